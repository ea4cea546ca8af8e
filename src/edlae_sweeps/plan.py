"""What a job would do: its cells, what they are expected to take, and which are finished. Nothing is computed."""

import time
from collections.abc import Sequence

import numpy as np

from edlae_sweeps import machine
from edlae_sweeps.cells import Cell, cell_name
from edlae_sweeps.console import print_table
from edlae_sweeps.datasets import Prepared
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import Optuna, Settings

# Selecting the best items takes about this many seconds for each user and item, and so does scoring at small ranks.
_SECONDS_PER_SCORE = 4e-8
_PROBE = 1024


def print_plan(
    settings: Settings, data: Prepared, done: dict[Rank, Cell], evaluations: int | None, needed: int
) -> None:
    """A row for each cell, and the `evaluations` of a search still to come (None: all); `needed` is in bytes."""
    unit = product_seconds(settings, data.n_items)
    scores = data.n_items * (len(data.validation.targets.indptr) - 1) * _SECONDS_PER_SCORE
    rows = []
    for rank in settings.ranks():
        seconds = _fit_seconds(settings, data, [rank], unit) + 2 * scores
        state = "finished" if rank in done else f"{seconds:,.0f} s"
        rows.append([cell_name(settings, rank), state, f"{needed / machine.GIB:.1f} GiB"])
    if isinstance(settings.tune, Optuna):
        # Those of an iterative method are of one rank each.
        shared = settings.method.nested
        groups = [settings.ranks()] if shared else [(rank,) for rank in settings.ranks()]
        costs = [_fit_seconds(settings, data, ranks, unit) + len(ranks) * scores for ranks in groups]
        each = sum(costs) / len(costs)
        if evaluations is None:
            evaluations = settings.tune.n_trials * len(groups)
        rows.append([f"{evaluations} evaluations", f"{evaluations * each:,.0f} s", f"{needed / machine.GIB:.1f} GiB"])
    print_table(f"{settings.dataset.label}: a dry run, times are estimates", ("", "time", "memory"), rows)


def _fit_seconds(settings: Settings, data: Prepared, ranks: Sequence[Rank], unit: float) -> float:
    """Estimated time of fitting these ranks, `unit` being that of one n×n×n product."""
    users, events = data.train.shape[0], int(data.train.nnz)
    return settings.method.cost(data.n_items, ranks) * unit + settings.method.events_cost(users, events, ranks)


def product_seconds(settings: Settings, n: int) -> float:
    """The time of one n×n×n product on this machine, from that of a small one."""
    a = np.ones((_PROBE, _PROBE), dtype=settings.dtype.value)
    a @ a
    start = time.perf_counter()
    a @ a
    return (time.perf_counter() - start) * (n / _PROBE) ** 3

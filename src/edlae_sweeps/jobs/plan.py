"""A dry run: the cells of a job, what they are expected to take, and which are finished. Nothing is computed."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edlae_sweeps.console import print_table
from edlae_sweeps.datasets import Prepared, TrainingData
from edlae_sweeps.jobs.limits import arrays_needed, memory_needed
from edlae_sweeps.jobs.result import Result, cell_name
from edlae_sweeps.linalg import backend_for
from edlae_sweeps.methods import Rank
from edlae_sweeps.resources import GIB, Device, Resources
from edlae_sweeps.settings import Optuna, Settings

# Seconds to select the best items, for each user and item; scoring at small ranks takes about the same.
_SECONDS_PER_SCORE = 8e-9
# Rows of a product that is timed: on a device the launch of a smaller one takes most of its time.
_PROBE, _DEVICE_PROBE = 1024, 4096


def print_plan(
    settings: Settings,
    data: Prepared,
    training: TrainingData,
    resources: Resources,
    finished: Mapping[Rank, Result],
    evaluations: int | None,
) -> None:
    """Print a row for each cell, and one for the `evaluations` of a search still to come (None: all of them)."""
    unit = _product_seconds(settings.dtype, data.n_items, resources.device)
    # Of the validation users; there are as many test users.
    scores = data.n_items * (len(data.validation.targets.indptr) - 1) * _SECONDS_PER_SCORE
    memory = _memory(settings, training, resources)

    def fit_seconds(ranks: Sequence[Rank]) -> float:
        estimate = settings.method.estimate(training, ranks, resources)
        return estimate.products * unit + estimate.seconds

    rows = []
    for rank in settings.ranks():
        times = ("finished", "") if rank in finished else (_seconds(fit_seconds([rank])), _seconds(2 * scores))
        rows.append([cell_name(settings, rank), *times, memory])
    if isinstance(settings.tune, Optuna):
        # An evaluation of an iterative method is of one rank.
        groups: list[Any] = [settings.ranks()] if settings.method.nested else [[rank] for rank in settings.ranks()]
        fit = sum(map(fit_seconds, groups)) / len(groups)
        validation = scores * len(settings.ranks()) / len(groups)
        if evaluations is None:
            evaluations = settings.tune.n_trials * len(groups)
        times = _seconds(evaluations * fit), _seconds(evaluations * validation)
        rows.append([f"{evaluations} evaluations", *times, memory])
    how = ", gram=products" if settings.by_products else ""
    title = f"{settings.dataset.label}: a dry run, times are estimates{how}"
    print_table(title, ("", "fit", "evaluation", "memory"), rows)


def _memory(settings: Settings, training: TrainingData, resources: Resources) -> str:
    """The memory of the process, or of the arrays where they are on a GPU."""
    if resources.device_memory is not None:
        return f"{arrays_needed(settings, settings.ranks(), training, resources) / GIB:.1f} GiB on the GPU"
    return f"{memory_needed(settings, settings.ranks(), training, resources) / GIB:.1f} GiB"


def _seconds(seconds: float) -> str:
    """A time in a unit of which there are not many."""
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:,.0f} h"


def _product_seconds(dtype: str, n: int, device: Device) -> float:
    """Seconds of one n×n×n product on a device, from a smaller one."""
    backend = backend_for(device)
    probe = _PROBE if device == "cpu" else _DEVICE_PROBE
    a = backend.array(np.ones((probe, probe), dtype=dtype))
    # A device answers before it has computed: ask for a number of the result.
    backend.diagonal(a @ a)
    start = time.perf_counter()
    backend.diagonal(a @ a)
    return (time.perf_counter() - start) * (n / probe) ** 3

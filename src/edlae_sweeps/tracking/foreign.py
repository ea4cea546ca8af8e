"""Runs that say they are cells but are none that this package can read: of a shared store, or damaged.

A store may be shared with other programs and other versions. One odd run must not keep a report, or a registration,
from the others.
"""

import logging
import math
from collections.abc import Iterable
from functools import cache

from edlae_sweeps.tracking.stored import StoredRun

# What every cell has, from the first version on; readers rely on these and ask for the rest.
_PARAMS = ("dataset", "method", "rank", "dtype")
_TAGS = ("run_key", "data_digest", "shared")
_METRICS = (
    "validation/ndcg_100", "test/ndcg_100", "test/ndcg_100_se", "test/recall_20", "test/recall_50",
    "train/squared_error", "time/fit_seconds",
)  # fmt: skip
# Parameters that are numbers, and metrics that are whole numbers, where a cell has them.
_NUMBERS = ("l2", "dropout")
_COUNTS = ("tune/evaluations", "train/epochs")
# More digits than a rank has: those of the largest index.
_MOST_DIGITS = 19
# What a warning shows of a value.
_SHOWN = 40
_log = logging.getLogger(__name__)


def readable_cells(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """The runs that are cells; a warning names each other one, once in a process."""
    cells = []
    for run in runs:
        if problem := cell_problem(run):
            warn_of(run.id, problem)
        else:
            cells.append(run)
    return cells


def cell_problem(run: StoredRun) -> str:
    """Why a run is no cell that can be read; empty if it is one."""
    for kind, names, values in (("parameter", _PARAMS, run.params), ("tag", _TAGS, run.tags)):
        if missing := [name for name in names if not values.get(name)]:
            return f"it has no {kind} {missing[0]}"
    rank = run.params["rank"]
    if rank != "full" and not (rank.isascii() and rank.isdecimal() and len(rank) <= _MOST_DIGITS and int(rank) > 0):
        return f"its rank is {_shown(rank)}"
    for name in _NUMBERS:
        if name in run.params and not _is_number(run.params[name]):
            return f"its {name} is {_shown(run.params[name])}"
    for name in _METRICS:
        if name not in run.metrics:
            return f"it has no metric {name}"
    for name in (*_METRICS, *_COUNTS):
        if not math.isfinite(run.metrics.get(name, 0)):
            return f"its metric {name} is {run.metrics[name]}"
    return ""


@cache
def warn_of(run_id: str, problem: str) -> None:
    """Say that a run is skipped: once, however often it is read."""
    _log.warning("run %s is skipped: %s", run_id, problem)


def _shown(value: str) -> str:
    """The start of a value, in one line that no terminal takes for a command."""
    return repr(value)[1:-1][:_SHOWN]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

"""One evaluation of a search as a task."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edlae_sweeps.errors import SolverError
from edlae_sweeps.evaluation import METRICS
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.workers.bench import Bench


@dataclass(frozen=True)
class PointTask:
    """Evaluate `ranks` of a method with the parameters of a point.

    study         key of the search, whose tasks share the states that are kept
    search_ranks  all ranks of the search, for which these states are prepared
    metric        what the search improves: measured beside the metrics that always are
    """

    study: str
    method: Method[Any]
    ranks: tuple[Rank, ...]
    search_ranks: tuple[Rank, ...]
    metric: str = METRICS[0]


@dataclass(frozen=True)
class Outcome:
    """Validation metrics of each rank, none if the method failed; `tags`: where, if not in the job's process."""

    ranks: Mapping[Rank, Mapping[str, float]]
    seconds: float
    error: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


def evaluate_point(bench: Bench, task: PointTask) -> Outcome:
    """The outcome of one point."""
    start = time.perf_counter()
    metrics: Mapping[Rank, Mapping[str, float]] = {}
    error = ""
    validator = bench.validator(task.study, task.search_ranks)
    try:
        metrics = validator.metrics(task.method, task.ranks, task.metric)
    except SolverError as failure:
        error = str(failure)
    bench.follow(validator.resources)
    return Outcome(metrics, time.perf_counter() - start, error, bench.tags)

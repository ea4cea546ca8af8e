"""The work of a checked job: (search) → for each rank fit, measure, write, log."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, TrainingData, load_gram
from edlae_sweeps.evaluation import Popularity, evaluate
from edlae_sweeps.jobs.limits import arrays_needed, memory_needed
from edlae_sweeps.jobs.notes import cell_run_name, job_run_name
from edlae_sweeps.jobs.ranks import finish_ranks
from edlae_sweeps.jobs.result import Result, cell_params, cell_tags
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.resources import Resources
from edlae_sweeps.settings import Optuna, Settings
from edlae_sweeps.tracking import Experiment, Lease, Run, origin_tags
from edlae_sweeps.tuning import Search
from edlae_sweeps.workers import Bench, Here, Pool, named, open_pool, warm_up

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A job whose settings have been checked against its data and the machine; `ranks` are still to be done.

    `command` is what the user typed, for the notes; it may be empty. `beside` says that other jobs run on this machine
    at the same time. Its run takes the `lease` on the work, if any.
    """

    settings: Settings
    data: Prepared
    training: TrainingData
    resources: Resources
    ranks: tuple[Rank, ...]
    output: Path
    experiment: Experiment
    command: str
    beside: bool = False
    lease: Lease | None = None

    @property
    def tune(self) -> Optuna | None:
        """The settings of the search; None if there is none."""
        return self.settings.tune if isinstance(self.settings.tune, Optuna) else None

    @property
    def parent(self) -> bool:
        """Whether the cells are nested runs below the run of the job, rather than its only run."""
        return self.tune is not None or len(self.ranks) > 1

    def folder(self, name: str) -> Path:
        """The output folder of a cell: that of the job, or below it."""
        return self.output / name if self.parent else self.output

    @contextmanager
    def run(self) -> Iterator[Run]:
        """The run that stands for the whole job: the only cell, or the parent of the cells."""
        with self._run() as run, run.system_metrics() if self.settings.tracking.system_metrics else nullcontext():
            yield run

    def _run(self) -> AbstractContextManager[Run]:
        settings = self.settings
        if not self.parent:
            return self.cell_run(settings.method, self.ranks[0], self.beside, None)
        shown = f"[{','.join(map(str, self.ranks))}]" if len(self.ranks) > 1 else self.ranks[0]
        tags = {"kind": "job", **origin_tags(self.data.digest)}
        params = cell_params(settings, settings.method, shown)
        return self.experiment.run(job_run_name(settings, self.ranks), tags, params, lease=self.lease)

    def cell_run(
        self, method: Method[Any], rank: Rank, shared: bool, parent: Run | None
    ) -> AbstractContextManager[Run]:
        """The run of one rank."""
        tags = cell_tags(self.settings, self.data, rank, shared)
        params = cell_params(self.settings, method, rank)
        lease = None if parent else self.lease
        return self.experiment.run(cell_run_name(self.settings, method, rank), tags, params, parent, lease)


def compute(job: Job) -> list[Result]:
    """The results of the ranks that are still to be done. Raises Busy, and leaves no run, if another run is at them."""
    bench = Bench(job.data, job.training, job.resources)
    needed, arrays = (
        estimate(job.settings, job.settings.ranks(), job.training, job.resources)
        for estimate in (memory_needed, arrays_needed)
    )
    with open_pool(job.settings, bench, needed, arrays) as pool:
        if job.tune is None:
            with job.run() as run:
                baseline = _baseline(job, pool)
                return finish_ranks(job, pool, baseline, [(job.settings.method, job.ranks)], run, None)
        return _tuned(job, pool, Search(job.settings, job.tune, job.data, job.experiment))


def _tuned(job: Job, pool: Pool, search: Search) -> list[Result]:
    """The results at the best points of a search."""
    if search.seen:
        _log.info("the store has %d of %d evaluations already", len(search.seen), search.total)
    elif others := search.others():
        _log.info("a new search: %d evaluations in the store have other data, ranges or settings", others)
    if pool.workers > search.tune.batch:
        _log.warning("tune.batch=%d: the search uses as many of its %d workers", search.tune.batch, pool.workers)
    with job.run() as run:
        baseline = _baseline(job, pool)
        with stage(f"tune {job.settings.method.name}") as progress:
            search.run(pool, run, progress)
        failed = [rank for rank in job.ranks if not search.succeeded(rank)]
        job = dataclasses.replace(job, ranks=tuple(rank for rank in job.ranks if rank not in failed))
        results = finish_ranks(job, pool, baseline, _best_groups(search, job.ranks), run, search)
        # Only now, when the other ranks have their results, raise for those that failed.
        for rank in failed:
            search.best(rank)
        return results


def _best_groups(search: Search, ranks: Sequence[Rank]) -> list[tuple[Method[Any], tuple[Rank, ...]]]:
    """The best parameters of each rank; ranks with the same ones share a factorisation."""
    groups: dict[tuple[float, ...], list[Rank]] = {}
    for rank in ranks:
        groups.setdefault(tuple(search.best(rank).point.values()), []).append(rank)
    return [(search.method_at(search.best(group[0]).point), tuple(group)) for group in groups.values()]


def _baseline(job: Job, pool: Pool) -> dict[str, float]:
    """The metrics baseline/* of popularity. Afterwards G is in memory if the fits run here, else in the cache.

    Workers with a GPU make G there.
    """
    if job.settings.repeat:
        # The first call of a library is slower than those that are to be timed.
        warm_up(job.settings.dtype)
    if isinstance(pool, Here):
        # The first use is timed.
        _ = pool.bench.gram_seconds
    elif job.resources.device == "cpu" and not job.training.by_products:
        with stage("Gram matrix") as advance:
            load_gram(job.data, job.settings.dtype, Path(job.settings.data_dir).expanduser(), advance)
    popularity = Popularity(job.training.item_counts)
    with stage("popularity baseline") as advance:
        metrics = job.settings.further_metrics()
        return named("baseline", evaluate(popularity, job.data.test, advance, job.resources, metrics=metrics).summary())

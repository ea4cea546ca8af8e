"""The work of a checked job: (search) → for each rank fit, measure, write, log."""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, TrainingData
from edlae_sweeps.errors import DataError, TrackingError
from edlae_sweeps.evaluation import Popularity, evaluate
from edlae_sweeps.jobs.files import search_tags, write_result, write_search
from edlae_sweeps.jobs.kept import keep_model, log_kept_model
from edlae_sweeps.jobs.measure import Inputs, Shared, fit_rank, measure, named, prepare, warm_up
from edlae_sweeps.jobs.notes import cell_note, cell_run_name, job_run_name
from edlae_sweeps.jobs.parent import log_job
from edlae_sweeps.jobs.result import Result, cell_name, cell_params, cell_tags
from edlae_sweeps.methods import Method, Rank, largest_rank
from edlae_sweeps.resources import Resources
from edlae_sweeps.settings import Optuna, Settings
from edlae_sweeps.tracking import Experiment, Lease, Run, origin_tags
from edlae_sweeps.tuning import Search

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A job whose settings have been checked against its data and the machine; `ranks` are still to be done.

    `command` is what the user typed, for the notes; it may be empty. Its run takes the `lease` on the work, if any.
    """

    settings: Settings
    data: Prepared
    training: TrainingData
    resources: Resources
    ranks: tuple[Rank, ...]
    output: Path
    experiment: Experiment
    command: str
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
            return self.cell_run(settings.method, self.ranks[0], False, None)
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
    if job.tune is None:
        with job.run() as run:
            inputs = _inputs(job)
            return _finish_ranks(job, inputs, [(job.settings.method, job.ranks)], run, None)
    search = Search(job.settings, job.tune, job.data, job.experiment)
    if search.seen:
        _log.info("the store has %d of %d evaluations already", len(search.seen), search.total)
    elif others := search.others():
        _log.info("a new search: %d evaluations in the store have other data, ranges or settings", others)
    with job.run() as run:
        inputs = _inputs(job)
        with stage(f"tune {job.settings.method.name}") as progress:
            search.run(job.training, job.resources, run, progress)
        failed = [rank for rank in job.ranks if not search.succeeded(rank)]
        job = dataclasses.replace(job, ranks=tuple(rank for rank in job.ranks if rank not in failed))
        results = _finish_ranks(job, inputs, _best_groups(search, job.ranks), run, search)
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


def _inputs(job: Job) -> Inputs:
    """Gram matrix and popularity baseline."""
    if job.settings.repeat:
        # The first call of a library is slower than those that are to be timed.
        warm_up(job.settings.dtype)
    start = time.perf_counter()
    gram = job.training.gram
    gram_seconds = time.perf_counter() - start
    with stage("popularity baseline") as advance:
        popularity = Popularity(np.diagonal(gram).copy())
        baseline = evaluate(popularity, job.data.test, advance, job.resources).summary()
    return Inputs(job.data, job.training, job.resources, named("baseline", baseline), gram_seconds)


def _finish_ranks(
    job: Job,
    inputs: Inputs,
    groups: Iterable[tuple[Method[Any], tuple[Rank, ...]]],
    run: Run,
    search: Search | None,
) -> list[Result]:
    """Fit and measure each rank, write its result to disk, then log it: in `run`, or below it if that is a job's.

    If the tracking store goes away, the remaining ranks are still measured and written.
    """
    results: dict[Rank, Result] = {}
    unreachable = _failure(partial(run.log, metrics=inputs.baseline)) if job.parent else None
    for method, ranks in groups:
        low = largest_rank(ranks)
        with stage(f"factorise {method.name}{f' to rank {low}' if low else ''}"):
            shared = prepare(method, inputs, ranks)
        for rank in ranks:
            results[rank], files = _finish_rank(job, inputs, shared, rank, search)
            unreachable = unreachable or _failure(partial(_log_cell, job, shared, rank, results[rank], files, run))
        # Free it before the next one: each is as large as the Gram matrix.
        del shared
    finished = [results[rank] for rank in job.ranks]
    if job.parent and finished:
        log = partial(log_job, job.settings, finished, job.output, job.command, run)
        unreachable = unreachable or _failure(log)
    if unreachable:
        raise TrackingError(f"{unreachable}; the results are in {job.output}") from unreachable
    return finished


def _log_cell(job: Job, shared: Shared, rank: Rank, result: Result, files: Iterable[Path], run: Run) -> None:
    """Log a result: in `run`, or below it if that is a job's."""
    cell = job.cell_run(shared.method, rank, shared.shared, run) if job.parent else nullcontext(run)
    note = cell_note(job.settings, result, job.command)
    with cell as tracked:
        tracked.log(metrics=result.metrics, tags=result.tags, files=files, history=result.history, note=note)
        if result.tags.get("model") == "kept":
            log_kept_model(job.experiment, tracked, result, job.folder(result.name))


def _failure(log: Callable[[], None]) -> TrackingError | None:
    """The error of the store that `log` met, if any."""
    try:
        log()
    except TrackingError as error:
        return error
    return None


def _finish_rank(
    job: Job, inputs: Inputs, shared: Shared, rank: Rank, search: Search | None
) -> tuple[Result, list[Path]]:
    """The result of one rank, and its files in the output folder of the job or below it."""
    settings, name = job.settings, cell_name(job.settings, rank)
    validation = job.data.validation if settings.epoch_metrics else None
    with nullcontext() if shared.method.nested else stage(f"fit {name}") as advance:
        fitted = fit_rank(shared, rank, inputs, advance, validation)
    with stage(f"evaluate {name}") as advance:
        measured = measure(shared, fitted, inputs, advance)
    folder = job.folder(name)
    folder.mkdir(exist_ok=True)
    files, failure = [], None
    metrics = {**measured.metrics, **({} if job.parent else inputs.baseline)}
    tags = {**cell_tags(settings, job.data, rank, shared.shared), **measured.tags}
    if search is not None:
        metrics["tune/evaluations"] = float(len(search.table(rank)))
        tags |= search_tags(search, rank)
        files += write_search(search, rank, folder)
    if settings.save_model:
        try:
            keep_model(fitted.model, job.data, folder)
            tags["model"] = "kept"
        except DataError as error:
            failure = error
    result = Result(name, cell_params(settings, shared.method, rank), metrics, tags, measured.history, inputs.baseline)
    files += write_result(result, measured.test, fitted.model, folder)
    if failure is not None:
        # The disk was too full for the model; the result without it is safe now.
        raise failure
    _log.info("%s: test nDCG@100 %.4f ± %.4f", name, metrics["test/ndcg_100"], metrics["test/ndcg_100_se"])
    return result, files

"""The end of a job: each rank is fitted and measured, its result written to disk, then logged."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edlae_sweeps.console import stage
from edlae_sweeps.errors import DataError, SolverError, TrackingError
from edlae_sweeps.jobs.files import search_tags, write_result, write_search
from edlae_sweeps.jobs.kept import keep_model, log_kept_model
from edlae_sweeps.jobs.notes import cell_note
from edlae_sweeps.jobs.parent import log_job
from edlae_sweeps.jobs.result import Result, cell_name, cell_params, cell_tags
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.tracking import Run
from edlae_sweeps.tuning import Search
from edlae_sweeps.workers import Died, Fit, FitTask, Here, Pool, fit_ranks, fits_of

if TYPE_CHECKING:
    from edlae_sweeps.jobs.compute import Job

_log = logging.getLogger(__name__)
# A method with its parameters, and ranks that share its factorisation.
Group = tuple[Method[Any], tuple[Rank, ...]]


def finish_ranks(
    job: "Job",
    pool: Pool,
    baseline: Mapping[str, float],
    groups: Sequence[Group],
    run: Run,
    search: Search | None,
) -> list[Result]:
    """Fit and measure each rank, write its result to disk, then log it: in `run`, or below it if that is a job's.

    If the tracking store goes away, the remaining ranks are still measured and written. Raises SolverError, after all
    other ranks, if the workers of a fit died.
    """
    results: dict[Rank, Result] = {}
    died: list[str] = []
    unreachable = _failure(partial(run.log, metrics=baseline)) if job.parent else None
    for fit in _fits(job, pool, groups, died):
        result, files = _write(job, fit, baseline, search)
        results[fit.rank] = result
        unreachable = unreachable or _failure(partial(_log_cell, job, fit, result, files, run))
        # Free its model before the next one is fitted.
        del fit
    finished = [results[rank] for rank in job.ranks if rank in results]
    if job.parent and finished:
        log = partial(log_job, job.settings, finished, job.output, job.command, run)
        unreachable = unreachable or _failure(log)
    if unreachable:
        raise TrackingError(f"{unreachable}; the results are in {job.output}") from unreachable
    if died:
        raise SolverError("; ".join(died))
    return finished


def _fits(job: "Job", pool: Pool, groups: Iterable[Group], died: list[str]) -> Iterator[Fit]:
    """The fits of all groups, each as soon as it is there; `died` gets a line for each task whose workers died."""
    settings = job.settings
    if not isinstance(pool, Here):
        # Ranks that share little more than an inverse gain more from a worker each.
        groups = [
            (method, part) for method, ranks in groups for part in ([ranks] if method.nested else [(r,) for r in ranks])
        ]
    groups = list(groups)
    beside = job.beside or (pool.workers > 1 and len(groups) > 1)
    tasks = [
        FitTask(method, ranks, tuple(cell_name(settings, rank) for rank in ranks), beside, settings.epoch_metrics,
                settings.save_model, settings.further_metrics(), settings.certificate)
        for method, ranks in groups
    ]  # fmt: skip
    if isinstance(pool, Here):
        for task in tasks:
            yield from fit_ranks(pool.bench, task, stage)
        return
    with stage(f"fit {settings.method.name}") as progress:
        for done, (index, fits) in enumerate(pool.run(fits_of, tasks, len(tasks)), 1):
            progress(done, len(tasks))
            if isinstance(fits, Died):
                died.append(f"{', '.join(tasks[index].names)}: {fits.error}")
            else:
                yield from fits


def _log_cell(job: "Job", fit: Fit, result: Result, files: Iterable[Path], run: Run) -> None:
    """Log a result: in `run`, or below it if that is a job's."""
    cell = job.cell_run(fit.method, fit.rank, fit.shared, run) if job.parent else nullcontext(run)
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


def _write(job: "Job", fit: Fit, baseline: Mapping[str, float], search: Search | None) -> tuple[Result, list[Path]]:
    """The result of one rank, and its files in the output folder of the job or below it."""
    settings, rank, measured, name = job.settings, fit.rank, fit.measured, cell_name(job.settings, fit.rank)
    folder = job.folder(name)
    folder.mkdir(exist_ok=True)
    files, failure = [], None
    metrics = {**measured.metrics, **({} if job.parent else baseline)}
    tags = {**cell_tags(settings, job.data, rank, fit.shared), **measured.tags}
    if search is not None:
        metrics["tune/evaluations"] = float(len(search.table(rank)))
        tags |= search_tags(search, rank)
        files += write_search(search, rank, folder)
    if fit.model is not None:
        try:
            keep_model(fit.model, job.data, folder)
            tags["model"] = "kept"
        except DataError as error:
            failure = error
    result = Result(name, cell_params(settings, fit.method, rank), metrics, tags, measured.history, baseline)
    files += write_result(result, measured.test, fit.diagonal, folder)
    if failure is not None:
        # The disk was too full for the model; the result without it is safe now.
        raise failure
    _log.info("%s: test nDCG@100 %.4f ± %.4f", name, metrics["test/ndcg_100"], metrics["test/ndcg_100_se"])
    return result, files

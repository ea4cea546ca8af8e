"""What of a job is finished, and the rest of it, which no two commands compute at the same time."""

import dataclasses
import logging
from collections.abc import Collection, Mapping
from functools import partial

from edlae_sweeps.jobs.compute import Job, compute
from edlae_sweeps.jobs.result import Result, cell_name, stored_result
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import run_key, study_key
from edlae_sweeps.tracking import Busy, Lease, StoredRun

_log = logging.getLogger(__name__)
Cells = Mapping[Rank, list[StoredRun]]


def complete(job: Job, skip: bool) -> dict[Rank, Result]:
    """The result of every rank of a job; with `skip`, those that the store has already are taken from it.

    If another command is computing some of the same cells, or runs the same search, this one waits. What others
    finished since this command started is taken from the store whatever `skip` is. Only fits that are repeated on
    purpose, to time them, never wait.
    """
    alone = job.settings.skip_finished is False or job.settings.repeat is not None
    old = frozenset[str]() if skip else None
    while True:
        cells = _cells(job)
        stored = _stored(job, cells)
        if old is None:
            old = frozenset(run.id for run in stored if alone or not run.concurrent)
        done = _newest(job, cells, old)
        rest = tuple(rank for rank in job.ranks if rank not in done)
        if not rest:
            return _results(job, done)
        lease = None if alone else Lease(_keys(job, rest), partial(_unchanged, job, {run.id for run in stored}))
        if lease and job.experiment.wait(lease.keys):
            continue
        job.experiment.describe()
        try:
            computed = compute(dataclasses.replace(job, ranks=rest, lease=lease))
        except Busy:
            continue
        except KeyboardInterrupt as stop:
            if not skip and len(job.ranks) > 1:
                stop.add_note("add skip_finished=true to keep the ranks that are finished")
            raise
        return {**_results(job, done), **dict(zip(rest, computed, strict=True))}


def finished(job: Job) -> dict[Rank, Result]:
    """The results of this job that the store already has."""
    return _results(job, _newest(job, _cells(job), frozenset()))


def _keys(job: Job, ranks: Collection[Rank]) -> list[str]:
    """The keys of the work on these ranks. The ranks of a search share its evaluations."""
    if job.tune is not None:
        return [study_key(job.settings, job.tune, job.data)]
    return [run_key(job.settings, job.data, rank) for rank in ranks]


def _stored(job: Job, cells: Cells) -> list[StoredRun]:
    """All finished runs that belong to this job: its cells, and the evaluations of its search."""
    runs = [run for runs in cells.values() for run in runs]
    if job.tune is not None:
        (key,) = _keys(job, job.ranks)
        runs += job.experiment.find(f"tags.kind = 'evaluation' and tags.study = '{key}'")
    return runs


def _unchanged(job: Job, seen: Collection[str]) -> bool:
    """Whether the store has the same runs of this job as before."""
    return {run.id for run in _stored(job, _cells(job))} == seen


def _cells(job: Job) -> Cells:
    """The finished cells of each rank, oldest first: those with the same run key."""
    keys = {rank: run_key(job.settings, job.data, rank) for rank in job.ranks}
    return {rank: job.experiment.cells(key) for rank, key in keys.items()}


def _newest(job: Job, cells: Cells, old: Collection[str]) -> dict[Rank, StoredRun]:
    """The newest finished cell of each rank that has one, but for runs with the ids `old`."""
    newest = {}
    for rank, runs in cells.items():
        for run in runs:
            # A cell whose search ran out of time, or that lacks what is asked for beside the fit, does not count.
            kept = not job.settings.save_model or run.tags.get("model") == "kept"
            measured = all(f"test/{metric}" in run.metrics for metric in job.settings.further_metrics())
            bounded = not job.settings.certificate or rank == "full" or "eq7/lower_bound" in run.metrics
            if kept and measured and bounded and run.tags.get("search") != "cut" and run.id not in old:
                newest[rank] = run
    return newest


def _results(job: Job, runs: Mapping[Rank, StoredRun]) -> dict[Rank, Result]:
    """The results that finished cells hold."""
    results = {}
    for rank, run in runs.items():
        parent = run.tags.get("mlflow.parentRunId")
        job_run = job.experiment.get(parent) if parent else None
        result = results[rank] = stored_result(cell_name(job.settings, rank), run, job_run)
        _log.info("%s is finished already: test nDCG@100 %.4f", result.name, result.metrics["test/ndcg_100"])
    return results

"""Merging: the finished runs of another store are copied into this one, each once."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from mlflow.entities import Run as MlflowRun

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking.copies import Copier, LogModel, SourceRun
from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.foreign import cell_problem, warn_of
from edlae_sweeps.tracking.source import Source
from edlae_sweeps.tracking.store import Store
from edlae_sweeps.tracking.stored import stored_run
from edlae_sweeps.tracking.watch import PARENT

_KINDS = ("job", "cell", "evaluation")


@dataclass(frozen=True)
class Merged:
    """What became of the runs of one data set and kind (job, cell, evaluation), in numbers.

    copied    copied now
    present   in the store before
    left_out  without their artifacts in the source
    """

    dataset: str
    kind: str
    copied: int
    present: int
    left_out: int


def merge(
    source: Source,
    store: Store,
    folder: Path,
    names: Collection[str] | None,
    log_model: LogModel,
    advance: Callable[[int, int], None],
) -> list[Merged]:
    """Copy finished cells and evaluations, and the jobs above them, from `source` to `store`, and count them.

    folder     the folder of `store`, for its lock: one merge at a time
    names      data sets to merge; None: all
    log_model  logs the folder of a model, as `serving.log_model` does
    advance    is called with the numbers of runs done and to do

    A run is copied whole, or it does not count and the next merge copies it again. Raises DataError for a name that the
    source lacks, TrackingError if a store fails or another merge is running.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    with _alone(folder):
        runs = {name: runs for number, name in source.experiments(names) if (runs := _to_copy(source, number))}
        total = sum(map(len, runs.values()))
        for name in runs:
            digest = runs[name][-1].run.data.tags.get("data_digest", "")
            experiment = store.experiment(name, DatasetRecord(name, digest), [])
            experiment.describe()
            copier = Copier(source, experiment, log_model)
            for run in runs[name]:
                counts[name, run.kind, copier.copy(run)] += 1
                advance(counts.total(), total)
    outcomes = ("copied", "present", "left out")
    return [
        Merged(name, kind, *(counts[name, kind, outcome] for outcome in outcomes))
        for name in runs
        for kind in _KINDS
        if any(counts[name, kind, outcome] for outcome in outcomes)
    ]


def _to_copy(source: Source, experiment_id: str) -> list[SourceRun]:
    """The runs of an experiment that are worth a copy, parents first.

    A job may have been killed, or still be running: what it has finished counts. Its end is then that of its last
    child, so that a later merge sees whether there is more.
    """
    finished = [
        run
        for kind in ("cell", "evaluation")
        for run in source.runs(experiment_id, f"tags.kind = '{kind}' and attributes.status = 'FINISHED'")
        if _is_ours(kind, run)
    ]
    ends: dict[str, int] = {}
    for run in finished:
        parent = run.data.tags.get(PARENT, "")
        ends[parent] = max(ends.get(parent, 0), run.info.end_time)
    jobs = [job for job in source.runs(experiment_id, "tags.kind = 'job'") if job.info.run_id in ends]
    copies = [
        SourceRun(job, job.info.status if job.info.end_time else "KILLED", job.info.end_time or ends[job.info.run_id])
        for job in jobs
    ]
    return copies + [SourceRun(run, "FINISHED", run.info.end_time) for run in finished]


def _is_ours(kind: str, run: MlflowRun) -> bool:
    """Whether a run is one of this package that can be read; a warning names each other one."""
    problem = cell_problem(stored_run(run)) if kind == "cell" else ""
    if run.info.end_time is None:
        problem = "it has no end"
    if problem:
        warn_of(run.info.run_id, problem)
    return not problem


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / ".merge.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise TrackingError(f"another merge into the store of {folder} is running: wait until it has ended") from error
    try:
        yield
    finally:
        lock.release()

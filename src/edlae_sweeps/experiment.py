"""One job: load → Gram → factorise → each rank: cut, measure, keep, track."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from edlae_sweeps import machine
from edlae_sweeps.cells import Cell, Factorised, cell_name, cell_params, keep, measure_cell
from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, load, load_gram
from edlae_sweeps.errors import ConfigError, TrackingError
from edlae_sweeps.evaluation import Popularity, evaluate
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import Settings, check_against_data
from edlae_sweeps.tracking import DatasetRecord, Run, Store

_log = logging.getLogger(__name__)
# What the process takes beside the matrices of the method: interpreter, libraries, data, one batch of scores.
_BASE_BYTES = machine.GIB


@dataclass
class Job:
    """A job whose settings have been checked against its data and the machine; `cells` grows as ranks are done."""

    settings: Settings
    data: Prepared
    ranks: tuple[Rank, ...]
    output: Path
    composed: Mapping[str, str]
    cells: list[Cell] = field(default_factory=list)

    @property
    def several(self) -> bool:
        """Whether the ranks are nested runs below a parent, rather than one run."""
        return len(self.ranks) > 1


def run_job(settings: Settings, output: Path, composed: Mapping[str, str]) -> list[Cell]:
    """Run one job and return its cells, which are also in `output` and in MLflow.

    `composed` (file name → text) is kept with each result. What a user can have got wrong is checked before the first
    run is created: EdlaeSweepsError.
    """
    settings.check()
    ranks = settings.ranks()
    store = Store(settings.tracking.uri, Path(settings.tracking.dir))
    if orphans := store.close_orphans():
        _log.warning("marked %d run(s) as KILLED whose process on this host is gone", orphans)
    data_dir = Path(settings.data_dir).expanduser()
    with stage(f"data: {settings.dataset.label}"):
        data = load(settings.dataset, data_dir)
    check_against_data(ranks, data)
    check_memory(settings, ranks, data)

    job = Job(settings, data, ranks, output, composed)
    experiment = store.experiment(settings.dataset.label)
    name = f"{settings.method.name}-{len(ranks)}-ranks" if job.several else cell_name(settings, ranks[0])
    shown = f"[{','.join(map(str, ranks))}]" if job.several else ranks[0]
    with store.run(experiment, name, "job" if job.several else "cell", cell_params(settings, shown)) as outer:
        finish_ranks(job, factorise(job, data_dir), store, experiment, outer)
    return job.cells


def check_memory(settings: Settings, ranks: Sequence[Rank], data: Prepared) -> None:
    """Raise ConfigError when the estimated peak exceeds the memory left to this process, by cgroups too."""
    itemsize = 4 if settings.dtype.value == "float32" else 8
    needed = _BASE_BYTES + settings.method.peak_bytes(data.n_items, _largest(ranks), itemsize)
    available = machine.available_memory()
    if needed > available:
        raise ConfigError(
            f"rank={settings.rank} on {data.n_items} items in {settings.dtype.value} needs about "
            f"{needed / machine.GIB:.1f} GiB, and {available / machine.GIB:.1f} GiB are available: choose a smaller "
            f"rank{', dtype=float32' if itemsize == 8 else ''} or a higher dataset.min_item_events, or free some memory"
        )


def factorise(job: Job, data_dir: Path) -> Factorised:
    """Gram matrix, popularity baseline, and the method's own O(n³) step, each timed alone."""
    settings, data, method = job.settings, job.data, job.settings.method
    seconds = {}
    start = time.perf_counter()
    with stage("Gram matrix") as advance:
        gram = load_gram(data, settings.dtype.value, data_dir, advance)
    seconds["gram_seconds"] = time.perf_counter() - start
    with stage("popularity baseline") as advance:
        baseline = evaluate(Popularity(gram.diagonal().copy()), data.test, advance).summary()
    largest = _largest(job.ranks)
    with stage(f"factorise {method.name}{f' to rank {largest}' if largest else ''}"):
        start = time.perf_counter()
        penalty = method.penalty(gram)
        state = method.factorise(gram, penalty, largest)
        seconds["factorise_seconds"] = time.perf_counter() - start
    return Factorised(gram, penalty, state, baseline, seconds, shared=job.several)


def finish_ranks(job: Job, factorised: Factorised, store: Store, experiment: str, outer: Run) -> None:
    """Measure each rank, keep it on disk, then track it.

    When the tracking store goes away, the remaining ranks, which cost little by now, are still measured and kept.
    """
    record = dataset_record(job.data, job.settings.dataset.label)
    unreachable: TrackingError | None = None
    for rank in job.ranks:
        with stage(f"evaluate {cell_name(job.settings, rank)}") as advance:
            cell, per_user = measure_cell(job.settings, job.data, factorised, rank, advance)
        folder = job.output / cell.name if job.several else job.output
        files = keep(cell, per_user, folder, job.composed)
        job.cells.append(cell)
        _log.info(
            "%s: test nDCG@100 %.4f ± %.4f", cell.name, cell.metrics["test/ndcg_100"], cell.metrics["test/ndcg_100_se"]
        )
        if unreachable:
            continue
        try:
            with (
                store.run(experiment, cell.name, "cell", cell.params, outer)
                if job.several
                else nullcontext(outer) as tracked
            ):
                tracked.log(cell.metrics, cell.tags, files, record)
        except TrackingError as error:
            unreachable = error
    if unreachable:
        raise TrackingError(f"{unreachable}; the results are in {job.output}") from unreachable


def dataset_record(data: Prepared, label: str) -> DatasetRecord:
    """The data set for MLflow's own dataset tracking."""
    profile = {
        "users": len(data.user_names),
        "items": data.n_items,
        "events": data.events,
        "training_users": data.train.shape[0],
        "training_events": int(data.train.nnz),
    }
    return DatasetRecord(label, data.digest, json.dumps(profile))


def _largest(ranks: Sequence[Rank]) -> int:
    return max([0, *(rank for rank in ranks if rank != "full")])

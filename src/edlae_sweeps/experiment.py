"""One job: load → Gram → factorise → each rank: cut, measure, keep, track."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edlae_sweeps import machine
from edlae_sweeps.cells import (
    Cell,
    Factorised,
    Fitted,
    cell_name,
    cell_params,
    cell_tags,
    fit_rank,
    measure_cell,
    origin_tags,
)
from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, load, load_gram, summarize
from edlae_sweeps.errors import ConfigError, TrackingError
from edlae_sweeps.evaluation import Popularity, evaluate
from edlae_sweeps.methods import Rank
from edlae_sweeps.outputs import check_disk, keep, save_model, write_context
from edlae_sweeps.settings import Settings, check_against_data
from edlae_sweeps.tracking import DatasetRecord, Experiment, Run, Store

_log = logging.getLogger(__name__)
# What the process takes beside the matrices of the method: interpreter, libraries, data, one batch of scores.
_BASE_BYTES = machine.GIB


@dataclass(frozen=True)
class Job:
    """A job whose settings have been checked against its data and the machine."""

    settings: Settings
    data: Prepared
    ranks: tuple[Rank, ...]
    output: Path
    experiment: Experiment

    @property
    def several(self) -> bool:
        """Whether the ranks are nested runs below a parent, rather than one run."""
        return len(self.ranks) > 1

    def run(self) -> AbstractContextManager[Run]:
        """The run that stands for the whole job: that of its only cell, or the parent of its cells."""
        settings, data = self.settings, self.data
        if not self.several:
            return self.cell_run(self.ranks[0], None)
        shown = f"[{','.join(map(str, self.ranks))}]"
        name = f"{settings.method.name}-{len(self.ranks)}-ranks"
        return self.experiment.run(name, {"kind": "job", **origin_tags(data)}, cell_params(settings, shown))

    def cell_run(self, rank: Rank, parent: Run | None) -> AbstractContextManager[Run]:
        """The run of one rank."""
        tags = cell_tags(self.settings, self.data, rank, self.several)
        return self.experiment.run(cell_name(self.settings, rank), tags, cell_params(self.settings, rank), parent)


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
    with stage(f"data: {settings.dataset.label}") as advance:
        data = load(settings.dataset, data_dir, advance)
    check_against_data(ranks, data)
    check_memory(settings, ranks, data)
    if settings.save_model:
        check_disk(settings, ranks, data, output)

    summary = summarize(data)
    _tell(summary)
    context = write_context(output, {**composed, "dataset.json": json.dumps(summary, indent=2)})
    record = DatasetRecord(settings.dataset.label, data.digest, json.dumps(summary))
    experiment = store.experiment(settings.dataset.label, record, context)
    job = Job(settings, data, ranks, output, experiment)
    with job.run() as run:
        return finish_ranks(job, factorise(job, data_dir), run)


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


def finish_ranks(job: Job, factorised: Factorised, run: Run) -> list[Cell]:
    """Measure each rank, keep it on disk, then track it: in `run`, or below it if there are several.

    When the tracking store goes away, the remaining ranks, which cost little by now, are still measured and kept.
    """
    cells: list[Cell] = []
    unreachable: TrackingError | None = None
    for rank in job.ranks:
        name = cell_name(job.settings, rank)
        fitted = _fit(job.settings, factorised, rank, name)
        with stage(f"evaluate {name}") as advance:
            cell, per_user = measure_cell(job.settings, job.data, factorised, rank, fitted, advance)
        folder = job.output / name if job.several else job.output
        files = keep(cell, per_user, fitted.model, folder)
        if job.settings.save_model:
            files.append(save_model(fitted.model, job.data, folder))
        cells.append(cell)
        metrics = cell.metrics
        _log.info("%s: test nDCG@100 %.4f ± %.4f", name, metrics["test/ndcg_100"], metrics["test/ndcg_100_se"])
        if unreachable:
            continue
        try:
            with job.cell_run(rank, run) if job.several else nullcontext(run) as tracked:
                tracked.log(metrics, cell.outcome, files, cell.history)
        except TrackingError as error:
            unreachable = error
    if unreachable:
        raise TrackingError(f"{unreachable}; the results are in {job.output}") from unreachable
    return cells


def _fit(settings: Settings, factorised: Factorised, rank: Rank, name: str) -> Fitted:
    if settings.method.nested:
        return fit_rank(settings, factorised, rank, None)
    with stage(f"fit {name}") as advance:
        return fit_rank(settings, factorised, rank, advance)


def _tell(summary: Mapping[str, Any]) -> None:
    """The data set in three lines of the log."""
    _log.info(
        "%s training and 2 × %s held-out users, %s items, %s training events (density %.2g)",
        *(f"{summary[name]:,}" for name in ("training_users", "heldout_users", "items", "training_events")),
        summary["density"],
    )
    for name in ("items_per_user", "users_per_item"):
        quantiles = ", ".join(f"{value:,.0f} ({level})" for level, value in summary[name].items())
        _log.info("%s: %s", name.replace("_per_", " per "), quantiles)


def _largest(ranks: Sequence[Rank]) -> int:
    return max([0, *(rank for rank in ranks if rank != "full")])

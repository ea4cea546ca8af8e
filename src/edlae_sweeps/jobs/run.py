"""One job from its settings: check, load, skip what is finished, compute the rest."""

import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, TrainingData, load, load_gram, summarize
from edlae_sweeps.jobs.compute import Job, compute
from edlae_sweeps.jobs.files import write_context
from edlae_sweeps.jobs.limits import check_disk, check_memory
from edlae_sweeps.jobs.plan import print_plan
from edlae_sweeps.jobs.result import Result, cell_name, stored_result
from edlae_sweeps.methods import Rank
from edlae_sweeps.resources import GIB, Resources
from edlae_sweeps.settings import Settings, check_against_data, run_key
from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.tuning import Search

# The file among `composed` that holds the command line.
COMMAND = "command.txt"
_log = logging.getLogger(__name__)


def run_job(settings: Settings, output: Path, composed: Mapping[str, str], multirun: bool = False) -> list[Result]:
    """Run one job and return its results, which are also in `output` and in MLflow.

    `composed` (file name → text) is kept with each result. Errors that a user can fix are raised before the first run
    is created, as EdlaeSweepsError.
    """
    settings.method.require(settings.device)
    memory = None if settings.memory is None else int(settings.memory * GIB)
    resources = Resources.here(settings.threads, memory, settings.device)
    with resources.limit_threads():
        return _run(settings, resources, output, composed, multirun)


def _run(
    settings: Settings, resources: Resources, output: Path, composed: Mapping[str, str], multirun: bool
) -> list[Result]:
    store = Store(settings.tracking.uri, Path(settings.tracking.dir))
    if orphans := store.close_orphans():
        _log.warning("marked %d run(s) as KILLED: their process on this host is gone", orphans)
    data, training = _load(settings)
    ranks = settings.ranks()
    check_against_data(ranks, data)
    check_memory(settings, ranks, training, resources)
    if settings.save_model:
        check_disk(settings, ranks, data, training, resources, output)
    summary = summarize(data)
    _log_summary(summary)
    context = write_context(output, {**composed, "dataset.json": json.dumps(summary, indent=2)})
    if settings.dry_run and settings.dataset.label not in store.existing():
        # A dry run creates nothing, not even the experiment.
        print_plan(settings, data, training, resources, {}, None)
        return []
    experiment = store.experiment(settings.dataset.label, dataset_record(settings, data, summary), context)
    job = Job(settings, data, training, resources, ranks, output, experiment, composed.get(COMMAND, "").strip())
    skip = settings.skip_finished if settings.skip_finished is not None else job.tune is not None or multirun
    done = _finished(job) if skip or settings.dry_run else {}
    if settings.dry_run:
        pending = Search(settings, job.tune, data, experiment).pending() if job.tune else None
        print_plan(settings, data, training, resources, done, pending)
        return []
    job = dataclasses.replace(job, ranks=tuple(rank for rank in ranks if rank not in done))
    if job.ranks:
        experiment.describe()
        done |= dict(zip(job.ranks, compute(job), strict=True))
    return [done[rank] for rank in ranks]


def _load(settings: Settings) -> tuple[Prepared, TrainingData]:
    """The split, and its training part, whose Gram matrix is loaded or computed on first use."""
    data_dir = Path(settings.data_dir).expanduser()
    with stage(f"data: {settings.dataset.label}") as advance:
        data = load(settings.dataset, data_dir, advance)

    def gram() -> NDArray[Any]:
        with stage("Gram matrix") as advance:
            return load_gram(data, settings.dtype, data_dir, advance)

    return data, TrainingData(data.train, settings.dtype, data.item_names, gram)


def _finished(job: Job) -> dict[Rank, Result]:
    """The results of this job that the store already has: those with the same run key."""
    settings = job.settings
    finished = {}
    for rank in job.ranks:
        runs = job.experiment.find(f"tags.kind = 'cell' and tags.run_key = '{run_key(settings, job.data, rank)}'")
        # A cell whose search ran out of time, or without the model that is asked for, does not count.
        runs = [run for run in runs if run.tags.get("search") != "cut"]
        runs = [run for run in runs if not settings.save_model or run.tags.get("model") == "kept"]
        if runs:
            parent = runs[-1].tags.get("mlflow.parentRunId")
            job_run = job.experiment.get(parent) if parent else None
            result = finished[rank] = stored_result(cell_name(settings, rank), runs[-1], job_run)
            _log.info("%s is finished already: test nDCG@100 %.4f", result.name, result.metrics["test/ndcg_100"])
    return finished


def dataset_record(settings: Settings, data: Prepared, summary: Mapping[str, Any]) -> DatasetRecord:
    """The record of the data: where they come from, their columns, and counts; MLflow's pages show num_rows first."""
    counts = ("users", "items", "training_users", "heldout_users", "training_events")
    profile = {
        "num_rows": summary["events"],
        **{name: summary[name] for name in counts},
        "density": float(f"{summary['density']:.3g}"),
    }
    columns = {
        name: "string" if names.dtype.kind in "OSU" else "long"
        for name, names in (("user", data.user_names), ("item", data.item_names))
    }
    source = settings.dataset.source(Path(settings.data_dir).expanduser().absolute())
    return DatasetRecord(settings.dataset.label, data.digest, profile, source, columns)


def _log_summary(summary: Mapping[str, Any]) -> None:
    """Log the data set in three lines."""
    _log.info(
        "%s training and 2 × %s held-out users, %s items, %s training events (density %.2g), SHA-256 %s",
        *(f"{summary[name]:,}" for name in ("training_users", "heldout_users", "items", "training_events")),
        summary["density"],
        summary["digest"][:12],
    )
    for name in ("items_per_user", "users_per_item"):
        quantiles = ", ".join(f"{value:,.0f} ({level})" for level, value in summary[name].items())
        _log.info("%s: %s", name.replace("_per_", " per "), quantiles)

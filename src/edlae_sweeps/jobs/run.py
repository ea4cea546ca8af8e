"""One job from its settings: check, load, skip what is finished, compute the rest."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, TrainingData, load, load_gram, summarize
from edlae_sweeps.imports import quick_imports
from edlae_sweeps.jobs.compute import Job
from edlae_sweeps.jobs.files import clean_outputs, write_context
from edlae_sweeps.jobs.finished import complete, finished
from edlae_sweeps.jobs.gram import settle_gram
from edlae_sweeps.jobs.limits import check_disk, check_memory, settle_device
from edlae_sweeps.jobs.plan import print_plan
from edlae_sweeps.jobs.result import Result
from edlae_sweeps.jobs.start import settle_start
from edlae_sweeps.resources import GIB, Resources, memory_errors
from edlae_sweeps.settings import Settings, check_against_data, check_metrics
from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.tuning import Search

# The file among `composed` that holds the command line.
COMMAND = "command.txt"
# The folder of all output folders below tracking.dir, as conf/ has it.
OUTPUTS = "hydra"
# What to do where a fit runs out of memory although the estimate said that it fits.
SMALLER = "choose a smaller rank, dtype=float32 or a higher dataset.min_item_events"
_log = logging.getLogger(__name__)
# Digests of the data that this process has described.
_described: set[str] = set()


def run_job(
    settings: Settings, output: Path, composed: Mapping[str, str], multirun: bool = False, beside: bool = False
) -> list[Result]:
    """Run one job and return its results, which are also in `output` and in MLflow.

    `composed` (file name → text) is kept with each result. `beside` says that other jobs run on this machine at the
    same time, so that times are not those of a stand-alone fit. Errors that a user can fix are raised before the first
    run is created, as EdlaeSweepsError.
    """
    settings.method.require(settings.device)
    memory = None if settings.memory is None else int(settings.memory * GIB)
    resources = Resources.here(settings.threads, memory, settings.device)
    tried = f"method={settings.method.name}, rank={settings.rank} on {settings.dataset.label}"
    with resources.limit_threads(), memory_errors(tried, SMALLER):
        return _run(settings, resources, output, composed, multirun, beside)


def _run(
    settings: Settings,
    resources: Resources,
    output: Path,
    composed: Mapping[str, str],
    multirun: bool,
    beside: bool,
) -> list[Result]:
    with quick_imports():
        # The first of a process imports a good part of MLflow.
        store = Store(settings.tracking.uri, Path(settings.tracking.dir))
    store.close_orphans()
    clean_outputs(Path(settings.tracking.dir) / OUTPUTS)
    data, training = _load(settings, resources)
    ranks = settings.ranks()
    check_against_data(ranks, data)
    check_metrics(settings.further_metrics(), data, training.item_counts)
    settings = settle_start(settings, data, training)
    settings, training = settle_gram(settings, training, resources)
    resources = settle_device(settings, training, resources)
    check_memory(settings, ranks, training, resources)
    if settings.save_model:
        check_disk(settings, ranks, data, training, resources, output)
    summary = summarize(data)
    if multirun:
        describe_once(summary)
    else:
        _log_summary(summary)
    context = write_context(output, {**composed, "dataset.json": json.dumps(summary, indent=2)})
    if settings.dry_run and settings.dataset.label not in store.existing():
        # A dry run creates nothing, not even the experiment.
        print_plan(settings, data, training, resources, {}, None)
        return []
    experiment = store.experiment(settings.dataset.label, dataset_record(settings, data, summary), context)
    command = composed.get(COMMAND, "").strip()
    job = Job(settings, data, training, resources, ranks, output, experiment, command, beside)
    if settings.dry_run:
        pending = Search(settings, job.tune, data, experiment).pending() if job.tune else None
        print_plan(settings, data, training, resources, finished(job), pending)
        return []
    skip = settings.skip_finished if settings.skip_finished is not None else job.tune is not None or multirun
    done = complete(job, skip)
    return [done[rank] for rank in ranks]


def _load(settings: Settings, resources: Resources) -> tuple[Prepared, TrainingData]:
    """The split, and its training part, whose Gram matrix is loaded or computed on first use."""
    data_dir = Path(settings.data_dir).expanduser()
    with stage(f"data: {settings.dataset.label}") as advance:
        data = load(settings.dataset, data_dir, advance, resources.memory)

    def gram() -> NDArray[Any]:
        with stage("Gram matrix") as advance:
            return load_gram(data, settings.dtype, data_dir, advance)

    return data, TrainingData(data.train, settings.dtype, data.item_names, gram)


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


def describe_once(summary: Mapping[str, Any]) -> None:
    """Log the data set, as dataset.json has it, unless this process has done so: the jobs of a multirun share it."""
    if summary["digest"] not in _described:
        _described.add(summary["digest"])
        _log_summary(summary)


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

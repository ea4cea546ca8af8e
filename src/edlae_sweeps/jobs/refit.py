"""Fitting a finished cell again, from what its run recorded: on its training users, or on all users."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, vstack

from edlae_sweeps.console import stage
from edlae_sweeps.datasets import Prepared, TrainingData, fixed_width, load
from edlae_sweeps.errors import DataError
from edlae_sweeps.jobs.kept import MODEL_FOLDER
from edlae_sweeps.jobs.limits import check_disk, check_memory, settle_device
from edlae_sweeps.jobs.result import cell_name
from edlae_sweeps.jobs.run import SMALLER, run_job
from edlae_sweeps.resources import Resources, memory_errors
from edlae_sweeps.serving import Recommender, UserHistory, log_model, save_mlflow_model
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import Experiment, StoredRun, origin_tags


def refit_split(settings: Settings, cell: StoredRun, experiment: Experiment, output: Path) -> StoredRun:
    """The run of a job that fits and measures the cell again and keeps the model."""
    _load(settings, cell)
    composed = {"config.yaml": _config(settings, cell)}
    (result,) = run_job(settings, output, composed)
    return experiment.cells(result.tags["run_key"])[-1]


def refit_all(settings: Settings, cell: StoredRun, experiment: Experiment, output: Path) -> str:
    """Fit the cell's method on all users with their complete histories; return the id of the run that has the model.

    Items are those of the training users, as in the cell.
    """
    data = _load(settings, cell)
    (rank,) = settings.ranks()
    settings.method.require(settings.device)
    X = _complete(data)
    training = TrainingData(X, settings.dtype, data.item_names, by_products=settings.by_products)
    resources = settle_device(settings, training, Resources.here(settings.threads, None, settings.device))
    check_memory(settings, [rank], training, resources)
    check_disk(settings, [rank], data, training, resources, output)
    tried = f"fit {cell.name} on all {X.shape[0]:,} users"
    with stage(tried) as advance, memory_errors(f"can't {tried}", SMALLER):
        model = settings.method.fit(training, rank, resources=resources, advance=advance)
    history = UserHistory(fixed_width(data.user_names), X.indptr.astype(np.int64), X.indices.astype(np.int32))
    folder = save_mlflow_model(output / MODEL_FOLDER, Recommender(model, history))
    note = f"Fitted on all users with complete histories. Test metrics are those of run {cell.id}, fitted on a split."
    tags = {"kind": "refit", "refit": "all", "cell": cell.id, "mlflow.note.content": note, **origin_tags(data.digest)}
    name = f"{experiment.dataset.name}-{cell_name(settings, rank)}-all"
    with experiment.run(f"{cell.name} all users", tags, cell.params) as run:
        log_model(experiment.client, run.id, folder, name, cell.params, {}, experiment.dataset)
        return run.id


def _load(settings: Settings, cell: StoredRun) -> Prepared:
    """The data of the cell. Raises DataError if the source has changed since."""
    with stage(f"data: {settings.dataset.label}") as advance:
        data = load(settings.dataset, Path(settings.data_dir).expanduser(), advance)
    if data.digest != cell.tags["data_digest"]:
        raise DataError(
            f"{settings.dataset.label}: the data have changed since run {cell.id}, so its model can't be fitted again; "
            "run the job again with save_model=true"
        )
    return data


def _complete(data: Prepared) -> csr_array:
    """All that the data have of all users, in the order of the split."""
    held_out = [part.fold_in + part.targets for part in (data.validation, data.test)]
    return csr_array(vstack([data.train, *held_out], format="csr"))


def _config(settings: Settings, cell: StoredRun) -> str:
    """The configuration of a refit, in the form of config.yaml: JSON is YAML too."""
    content = {
        "refit_of": cell.id,
        "dataset": dataclasses.asdict(settings.dataset),
        "method": settings.method.params(settings.by_products),
        "evaluation": dataclasses.asdict(settings.evaluation),
        **{name: getattr(settings, name) for name in ("rank", "dtype", "gram", "seed", "device")},
    }
    return json.dumps(content, indent=2)

"""The model of a cell: a folder in its output that MLflow can load, and a logged model of its run."""

from pathlib import Path

from edlae_sweeps.datasets import Prepared
from edlae_sweeps.jobs.result import Result
from edlae_sweeps.models import Model
from edlae_sweeps.serving import Recommender, UserHistory, log_model, save_mlflow_model
from edlae_sweeps.tracking import Experiment, Run

MODEL_FOLDER = "model"


def keep_model(model: Model, data: Prepared, folder: Path) -> None:
    """Write the model, and what the data have of each user, to the folder `model` of a cell's output.

    Raises DataError if that fails.
    """
    save_mlflow_model(folder / MODEL_FOLDER, Recommender(model, UserHistory.of(data)))


def log_kept_model(experiment: Experiment, run: Run, result: Result, folder: Path) -> None:
    """Log the model in a cell's output, named after data set and cell, with its parameters and the run's accuracy."""
    metrics = {name: value for name, value in result.metrics.items() if name.startswith(("test/", "validation/"))}
    name = f"{experiment.dataset.name}-{result.name}"
    log_model(experiment.client, run.id, folder / MODEL_FOLDER, name, result.params, metrics, experiment.dataset)

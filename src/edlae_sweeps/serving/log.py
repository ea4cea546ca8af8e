"""A model in the tracking store: a LoggedModel of its run, with the metrics that the Models page compares."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric
from mlflow.models import Model as MlflowModel

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.models.files import MLFLOW_FILE
from edlae_sweeps.tracking import DatasetRecord
from edlae_sweeps.tracking.opening import one_line_errors


def log_model(
    client: MlflowClient,
    run_id: str,
    folder: Path,
    name: str,
    params: Mapping[str, object],
    metrics: Mapping[str, float],
    dataset: DatasetRecord,
) -> str:
    """Log an MLflow model folder as the LoggedModel `name` of a run; return its id, for `models:/ID`.

    The values of `metrics` that the run has logged are linked to the model and the data set: the Models page compares
    models by them. Characters of `name` that MLflow refuses become hyphens. Raises TrackingError if the store can't be
    written.
    """
    with one_line_errors(client.tracking_uri):
        experiment = client.get_run(run_id).info.experiment_id
        model = client.create_logged_model(
            experiment, model_name(name), run_id, params={key: str(value) for key, value in params.items()}
        )
        try:
            _sign(folder, model.model_id, run_id)
            client.log_model_artifacts(model.model_id, str(folder))
            client.finalize_logged_model(model.model_id, "READY")
        except BaseException:
            with suppress(TrackingError), one_line_errors(client.tracking_uri):
                client.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        linked = [_linked(client, run_id, key, value, model.model_id, dataset) for key, value in metrics.items()]
        client.log_batch(run_id, linked)
    return str(model.model_id)


def model_name(name: str) -> str:
    """`name` without the characters that MLflow refuses in the name of a model."""
    return re.sub(r"[/:.%\"']", "-", name) or "model"


def _sign(folder: Path, model_id: str, run_id: str) -> None:
    """Write the ids into the folder, where MLflow looks for them when the model is loaded."""
    description = MlflowModel.load(str(folder / MLFLOW_FILE))
    description.model_id, description.run_id = model_id, run_id
    description.save(str(folder / MLFLOW_FILE))


def _linked(client: MlflowClient, run_id: str, key: str, value: float, model_id: str, dataset: DatasetRecord) -> Metric:
    """The metric, linked to a model. The same time and step as on the run add no second value to the run."""
    logged = max(client.get_metric_history(run_id, key), key=lambda metric: metric.step, default=None)
    now, step = (logged.timestamp, logged.step) if logged and logged.value == value else (int(time.time() * 1000), 0)
    return Metric(key, value, now, step, model_id, dataset.name, dataset.digest[:32])

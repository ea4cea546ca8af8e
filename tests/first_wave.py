"""A store of the first wave, rebuilt from golden/first_wave.json: what this version must still read."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

EXPERIMENT = "synthetic"
_PATH = Path(__file__).parent / "golden" / "first_wave.json"
_PARENT = "mlflow.parentRunId"
# A fixed start time for the first run, one second between runs: runs are listed by start time, in milliseconds.
_START, _STEP = 1_700_000_000_000, 1000


def load() -> dict[str, Any]:
    """The frozen store: `runs`, and the csv `tables` that the first wave's report wrote for it, among others."""
    content: dict[str, Any] = json.loads(_PATH.read_text(encoding="utf-8"))
    return content


def rebuild(folder: Path) -> None:
    """Write the frozen runs to folder/mlflow.db, with artifacts in folder/artifacts. Run ids are new, the rest is not.

    A run holds the artifacts that the frozen file keeps, not all that the first wave logged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    location = (folder / "artifacts" / EXPERIMENT).as_uri()
    experiment = client.create_experiment(EXPERIMENT, artifact_location=location)
    ids: dict[str, str] = {}
    for number, run in enumerate(load()["runs"]):
        start = _START + number * _STEP
        tags = {name: ids[value] if name == _PARENT else value for name, value in run["tags"].items()}
        created = client.create_run(experiment, start_time=start, tags=tags, run_name=run["name"])
        run_id = ids[run["id"]] = created.info.run_id
        metrics = [Metric(name, value, start, step) for name, value, step in run["metrics"]]
        params = [Param(name, value) for name, value in run["params"].items()]
        client.log_batch(run_id, metrics, params)
        with tempfile.TemporaryDirectory() as temporary:
            _write_artifacts(run["artifacts"], Path(temporary))
            client.log_artifacts(run_id, temporary)
        client.set_terminated(run_id, run["status"], end_time=start + _STEP)


def _write_artifacts(artifacts: dict[str, Any], folder: Path) -> None:
    for name, content in artifacts.items():
        if isinstance(content, str):
            (folder / name).write_text(content, encoding="utf-8")
        else:
            np.savez_compressed(folder / name, **{key: np.array(values) for key, values in content.items()})

"""Finding a model wherever it was kept: a path, the registry, or a run."""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from edlae_sweeps.errors import DataError
from edlae_sweeps.models import model_place
from edlae_sweeps.models.files import FILE_NAME
from edlae_sweeps.serving.flavor import load_recommender
from edlae_sweeps.serving.recommender import Recommender
from edlae_sweeps.settings import masked_uri
from edlae_sweeps.tracking import database_uri
from edlae_sweeps.tracking.opening import one_line_errors
from edlae_sweeps.tracking.probe import probe

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_FOLDER = "mlruns"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def load_model(uri_or_path: str | Path, tracking_uri: str | None = None, mmap: bool = True) -> Recommender:
    """The recommender of a model that was kept.

    A path    an npz file, a folder that `Model.save` wrote, an MLflow model folder, or the output folder of a run
    models:/  `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/NAME/latest`, or `models:/m-ID`, a logged model
    a run     `runs:/ID`, the id alone, or the run's name; the newest run of that name that kept a model

    Large arrays are mapped into memory unless `mmap` is false. `tracking_uri` defaults to MLFLOW_TRACKING_URI, else to
    the database in mlruns/. Raises DataError if there is no such model or it is damaged, TrackingError if the store
    can't be read.
    """
    text = str(uri_or_path)
    stored = text.startswith(("models:", "runs:"))
    if not stored and (Path(text).exists() or text.endswith(".npz") or os.sep in text):
        return load_recommender(model_place(Path(text)), mmap)
    with tempfile.TemporaryDirectory() as downloads:
        place = _Finder(_client(text, tracking_uri), text, Path(downloads)).place()
        # On POSIX, files that are mapped outlive their folder.
        lasts = os.name == "posix" or not place.is_relative_to(downloads)
        return load_recommender(model_place(place), mmap and lasts)


def _client(model: str, tracking_uri: str | None) -> MlflowClient:
    """A client of a store that exists and answers."""
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or database_uri(Path(_FOLDER).absolute())
    if uri.startswith("sqlite") and not Path(make_url(uri).database or "").is_file():
        raise DataError(
            f"model={model}: there is no such path, and no store at {masked_uri(uri)}; "
            "name a folder, or the store with tracking.uri or tracking.dir"
        )
    probe(uri)
    return MlflowClient(uri)


@dataclass(frozen=True)
class _Finder:
    """Finds the place on disk of the model that `text` stands for; `downloads` is for what is not on this machine."""

    client: MlflowClient
    text: str
    downloads: Path

    def place(self) -> Path:
        with one_line_errors(self.client.tracking_uri):
            try:
                return self._place()
            except MlflowException as error:
                if error.error_code not in _ABSENT:
                    raise
                raise DataError(f"model={self.text}: {str(error).splitlines()[0]}") from error

    def _place(self) -> Path:
        if self.text.startswith("models:"):
            return self._registered(self.text.removeprefix("models:").lstrip("/"))
        if self.text.startswith("runs:"):
            run_id, _, name = self.text.removeprefix("runs:").lstrip("/").partition("/")
            return self._of_run(self.client.get_run(run_id), name)
        if _MODEL_ID.fullmatch(self.text):
            return self._logged(self.text)
        if _RUN_ID.fullmatch(self.text):
            return self._of_run(self.client.get_run(self.text), "")
        return self._named()

    def _registered(self, name: str) -> Path:
        """models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/latest, or models:/m-ID."""
        if _MODEL_ID.fullmatch(name):
            return self._logged(name)
        if "@" in name:
            version = self.client.get_model_version_by_alias(*name.rsplit("@", 1))
        elif name.endswith("/latest"):
            name = name.removesuffix("/latest")
            newest = self.client.search_model_versions(f"name={_quoted(name)}", 1, ["version_number DESC"])
            if not newest:
                raise DataError(f"model={self.text}: no model is registered as {name}")
            version = newest[0]
        elif "/" in name:
            version = self.client.get_model_version(*name.rsplit("/", 1))
        else:
            raise DataError(f"model={self.text}: choose models:/{name}@champion or models:/{name}/VERSION")
        if version.model_id:
            return self._logged(version.model_id)
        return self._local(self.client.get_model_version_download_uri(version.name, version.version))

    def _logged(self, model_id: str) -> Path:
        return self._local(self.client.get_logged_model(model_id).artifact_location)

    def _of_run(self, run: MlflowRun, name: str) -> Path:
        """The model that a run logged, or its model.npz, as runs of earlier versions have."""
        outputs = run.outputs.model_outputs if run.outputs else []
        models = [self.client.get_logged_model(output.model_id) for output in outputs]
        ready = [model for model in models if model.status == "READY" and name in ("", model.name)]
        if ready:
            return self._local(max(ready, key=lambda model: int(model.creation_timestamp)).artifact_location)
        if run.data.tags.get("model") == "kept" and any(
            file.path == FILE_NAME for file in self.client.list_artifacts(run.info.run_id)
        ):
            return self._local(f"{run.info.artifact_uri}/{FILE_NAME}")
        raise DataError(
            f"model={self.text}: run {run.info.run_name} kept no model; name a cell that ran with save_model=true"
        )

    def _named(self) -> Path:
        """The model of the newest run of this name that kept one."""
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        query = f"attributes.run_name = {_quoted(self.text)} and attributes.status = 'FINISHED'"
        # A filter holds a name with either kind of quotes, not with both.
        both = {"'", '"'} <= set(self.text)
        runs = [] if both else self.client.search_runs(experiments, query, order_by=["attributes.start_time DESC"])
        for run in runs:
            if run.data.tags.get("model") == "kept":
                return self._of_run(run, "")
        if runs:
            return self._of_run(runs[0], "")
        raise DataError(
            f"model={self.text}: there is no such path, run id or run name; "
            "choose a folder, models:/NAME@ALIAS, or a cell that ran with save_model=true"
        )

    def _local(self, location: str) -> Path:
        """A path of an artifact on this machine: the artifact itself, or a copy of it."""
        if urlsplit(location).scheme not in ("", "file"):
            uri = self.client.tracking_uri
            return Path(download_artifacts(location, dst_path=str(self.downloads), tracking_uri=uri))
        path = Path(url2pathname(urlsplit(location).path))
        database = (
            make_url(self.client.tracking_uri).database if self.client.tracking_uri.startswith("sqlite") else None
        )
        if not path.exists() and database and "artifacts" in path.parts:
            # MLflow stores absolute paths. If the folder of the database was moved, its artifacts are beside it.
            tail = path.parts[path.parts.index("artifacts") :]
            return Path(database).parent.joinpath(*tail)
        return path


def _quoted(name: str) -> str:
    """A text in a filter of MLflow."""
    return f'"{name}"' if "'" in name else f"'{name}'"

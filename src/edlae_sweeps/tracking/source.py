"""The store that a merge copies from. It is only read."""

import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, Metric
from mlflow.entities import Run as MlflowRun
from sqlalchemy import make_url

from edlae_sweeps.errors import DataError, TrackingError
from edlae_sweeps.models.files import MLFLOW_FILE
from edlae_sweeps.settings import masked_uri
from edlae_sweeps.tracking.opening import one_line_errors
from edlae_sweeps.tracking.probe import probe
from edlae_sweeps.tracking.watch import pages

_DATABASE = "mlflow.db"


@dataclass(frozen=True)
class KeptModel:
    """A model that a run logged, and a folder with its files, where MLmodel may be rewritten."""

    entity: LoggedModel
    folder: Path


class Source:
    """A store to copy from: an SQLite database, which may have its artifacts beside it, another one, or a server."""

    def __init__(self, source: str, target_uri: str) -> None:
        """Open `source`: a folder with mlflow.db, or its parent, or a URI.

        Raises DataError if there is no store or if it is the one at `target_uri`, TrackingError if it can't be read.
        """
        self._name = masked_uri(source)
        self._uri = source if "://" in source else f"sqlite:///{self._database(Path(source).expanduser())}"
        self._beside: Path | None = None
        if self._uri.rstrip("/") == target_uri.rstrip("/"):
            raise self._same()
        with self._errors():
            if self._uri.startswith("sqlite"):
                self._beside = self._check(target_uri)
            else:
                probe(self._uri, "source")
            self._client = MlflowClient(self._uri)
            self._client.search_experiments(max_results=1)

    def experiments(self, names: Collection[str] | None) -> list[tuple[str, str]]:
        """(id, name) of the experiments with these names, or of all; DataError for a name that the source lacks."""
        found: dict[str, str] = {}
        token = None
        with self._errors():
            while True:
                page = self._client.search_experiments(page_token=token)
                found |= {experiment.name: experiment.experiment_id for experiment in page}
                token = page.token
                if not token:
                    break
        if missing := sorted(set(names or ()) - found.keys()):
            known = ", ".join(sorted(found.keys() - {"Default"})) or "no data set"
            raise DataError(f"datasets: source={self._name} has no {', '.join(missing)}; it has {known}")
        return [(found[name], name) for name in sorted(found) if names is None or name in names]

    def runs(self, experiment_id: str, query: str) -> list[MlflowRun]:
        """The runs that match an MLflow filter, oldest first."""
        with self._errors():
            return pages(self._client, [experiment_id], query)

    def metrics(self, run: MlflowRun) -> list[Metric]:
        """Every value of every metric of a run.

        A metric whose latest step is 0 has only this value: what has more values logs them by step.
        """
        latest = [Metric.from_proto(metric) for metric in run.data.to_proto().metrics]
        values: list[Metric] = []
        with self._errors():
            for metric in latest:
                values += [metric] if metric.step == 0 else self._client.get_metric_history(run.info.run_id, metric.key)
        return [Metric(value.key, value.value, value.timestamp, value.step) for value in values]

    def artifacts(self, run: MlflowRun, experiment: str, downloads: Path) -> Path | None:
        """A folder on this machine with the artifacts of a run, or with a copy of them; None if it has none."""
        run_id = run.info.run_id
        with self._errors():
            place = self._place(run.info.artifact_uri, Path(experiment, run_id, "artifacts"))
            if place is not None:
                return place if place.is_dir() else None
            if not self._client.list_artifacts(run_id):
                return None
            folder = downloads / "artifacts"
            folder.mkdir()
            return Path(self._client.download_artifacts(run_id, "", str(folder)))

    def models(self, run: MlflowRun, experiment: str, downloads: Path) -> list[KeptModel]:
        """The complete models that a run kept, oldest first; DataError if the files of one are gone."""
        if run.data.tags.get("model") != "kept":
            return []
        with self._errors():
            query = f"source_run_id = '{run.info.run_id}'"
            models = self._client.search_logged_models([run.info.experiment_id], query)
            ready = sorted((model for model in models if model.status == "READY"), key=lambda m: m.creation_timestamp)
            return [KeptModel(model, self._files(model, experiment, downloads / model.model_id)) for model in ready]

    def _files(self, model: LoggedModel, experiment: str, folder: Path) -> Path:
        """A folder with the files of a model: links to the large ones, if they are on this machine."""
        place = self._place(model.artifact_location, Path(experiment, "models", model.model_id, "artifacts"))
        if place is None:
            folder.mkdir()
            return Path(download_artifacts(model.artifact_location, dst_path=str(folder), tracking_uri=self._uri))
        if not (place / MLFLOW_FILE).is_file():
            raise DataError(f"{place}: there is no model")
        shutil.copytree(place.absolute(), folder, copy_function=os.symlink)
        (folder / MLFLOW_FILE).unlink()
        shutil.copyfile(place / MLFLOW_FILE, folder / MLFLOW_FILE)
        return folder

    def _place(self, location: str, tail: Path) -> Path | None:
        """The local folder of artifacts; None if they have to be downloaded.

        MLflow stores absolute paths, those of the machine that made the runs: the folder beside the database is first.
        """
        if self._beside is not None and (near := self._beside / "artifacts" / tail).is_dir():
            return near
        parts = urlsplit(location)
        return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None

    def _database(self, folder: Path) -> Path:
        for place in (folder, folder / "mlruns"):
            if (place / _DATABASE).is_file():
                return (place / _DATABASE).absolute()
        raise DataError(
            f"source={self._name}: there is no {_DATABASE} in this folder; "
            "name the mlruns folder of the other store, or the URI of its database or server"
        )

    def _check(self, target_uri: str) -> Path:
        """The folder of the SQLite database, which must exist: MLflow would create it."""
        database = Path(make_url(self._uri).database or "")
        if not database.is_file():
            raise DataError(f"source={self._name}: there is no such database")
        target = Path((make_url(target_uri).database or "") if target_uri.startswith("sqlite") else "")
        if target.is_file() and database.samefile(target):
            raise self._same()
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
                raise DataError(f"source={self._name}: this database has no tables of MLflow; name another one")
        return database.absolute().parent

    def _same(self) -> DataError:
        return DataError(
            f"source={self._name}: this is the store to merge into; name another, or set tracking.dir or tracking.uri"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of the source in one line that names it."""
        try:
            with one_line_errors(self._uri, "source"):
                yield
        except sqlite3.Error as error:
            raise TrackingError(f"source={self._name}: this database can't be read ({error})") from error

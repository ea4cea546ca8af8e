"""The tracking store: a database below mlruns/, another database, or a server."""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.moved import follow_move
from edlae_sweeps.tracking.opening import database_uri, is_server, one_line_errors, probe, redacted
from edlae_sweeps.tracking.runs import Run, is_gone, live_run, stops_deferred
from edlae_sweeps.tracking.view import experiment_tags, page

_LOCK_SECONDS = 60
# Where `mlflow ui` serves a database.
_LOCAL_PAGES = "http://127.0.0.1:5000"


class Store:
    """A tracking store that can be reached."""

    def __init__(self, uri: str | None, directory: Path) -> None:
        """Open `uri`, or the SQLite database in `directory` if it is None. Raises TrackingError if that fails."""
        self._directory = directory.absolute()
        self.uri = uri or database_uri(self._directory)
        with one_line_errors(self.uri):
            self._directory.mkdir(parents=True, exist_ok=True)
            # Processes that create the same database or experiment at the same time race.
            self._lock = FileLock(self._directory / ".lock", timeout=_LOCK_SECONDS)
            # A database that is half made can't be opened again.
            with self._lock, stops_deferred():
                probe(self.uri)
                follow_move(self.uri, self._directory)
                self._client = MlflowClient(self.uri)
                self._client.search_experiments(max_results=1)

    def experiment(self, name: str, dataset: DatasetRecord, context: Sequence[Path]) -> "Experiment":
        """The experiment `name`, created if missing; its runs use `dataset` and start with the files `context`."""
        return Experiment(self._client, self.uri, self._experiment_id(name), dataset, context)

    def page(self, name: str) -> str | None:
        """The URL of the cells of the experiment `name`, on the server or once `mlflow ui` runs; None without it."""
        with one_line_errors(self.uri):
            experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return None
        return page(redacted(self.uri) if is_server(self.uri) else _LOCAL_PAGES, experiment.experiment_id)

    def existing(self) -> list[str]:
        """The names of the experiments, without MLflow's own default."""
        with one_line_errors(self.uri):
            names = [experiment.name for experiment in self._client.search_experiments()]
        return sorted(name for name in names if name != "Default")

    def _experiment_id(self, name: str) -> str:
        with one_line_errors(self.uri), self._lock:
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                location = None if is_server(self.uri) else (self._directory / "artifacts" / name).as_uri()
                return str(self._client.create_experiment(name, artifact_location=location))
        if experiment.lifecycle_stage == "deleted":
            raise TrackingError(
                f"experiment {name} of {redacted(self.uri)} is deleted: "
                f"restore it with mlflow experiments restore --experiment-id {experiment.experiment_id}"
            )
        return str(experiment.experiment_id)

    def close_orphans(self) -> int:
        """Mark RUNNING runs whose process on this host is gone as KILLED; return how many."""
        closed = 0
        with one_line_errors(self.uri):
            experiments = [experiment.experiment_id for experiment in self._client.search_experiments()]
            query = f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"
            for run in self._client.search_runs(experiments, query):
                if is_gone(run.data.tags):
                    self._client.set_terminated(run.info.run_id, "KILLED")
                    closed += 1
        return closed


@dataclass(frozen=True)
class StoredRun:
    """One run as the store holds it."""

    id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    name: str


@dataclass(frozen=True)
class Experiment:
    """The experiment of one data set."""

    client: MlflowClient
    uri: str
    id: str
    dataset: DatasetRecord
    context: Sequence[Path]

    def describe(self) -> None:
        """Add what the page of the experiment shows: a view of its cells, and a description. Keep what is there."""
        with one_line_errors(self.uri):
            present = self.client.get_experiment(self.id).tags
            for key, value in experiment_tags(self.dataset.name).items():
                if key not in present:
                    self.client.set_experiment_tag(self.id, key, value)

    def find(self, query: str) -> list[StoredRun]:
        """The finished runs that match an MLflow filter, oldest first."""
        runs: list[StoredRun] = []
        token: str | None = None
        with one_line_errors(self.uri):
            while True:
                page = self.client.search_runs(
                    [self.id],
                    f"{query} and attributes.status = 'FINISHED'",
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
                runs += [_stored(run) for run in page]
                token = page.token
                if not token:
                    return runs

    def get(self, run_id: str) -> StoredRun | None:
        """The run with this id; None if there is none."""
        with one_line_errors(self.uri):
            try:
                run = self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return _stored(run)

    def history(self, run_id: str, metric: str) -> list[float]:
        """The values of a metric by epoch, without the final one that `Run.log` adds."""
        with one_line_errors(self.uri):
            values = self.client.get_metric_history(run_id, metric)
        return [entry.value for entry in sorted(values, key=lambda entry: entry.step)][:-1]

    def fetch(self, run_id: str, name: str, folder: Path) -> Path:
        """The path of an artifact, or of a copy of it in `folder`; TrackingError if it is gone.

        MLflow stores absolute paths. If the folder of a database was moved, its artifacts are beside it.
        """
        try:
            with one_line_errors(self.uri):
                return Path(self.client.download_artifacts(run_id, name, str(folder)))
        except TrackingError:
            if self.uri.startswith("sqlite"):
                database = Path(make_url(self.uri).database or "")
                moved = database.parent / "artifacts" / self.dataset.name / run_id / "artifacts" / name
                if moved.is_file():
                    return moved
            raise

    def record(
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, object],
        metrics: Sequence[tuple[str, float, int]],
        parent: Run | None = None,
        files: Iterable[Path] = (),
    ) -> None:
        """Log a whole run with metrics (name, value, step) and files; it is FINISHED once it is complete."""
        with live_run(self.client, self.uri, self.id, name, tags, parent) as run:
            run.fill(params, metrics)
            run.upload(files)

    @contextmanager
    def run(
        self, name: str, tags: Mapping[str, str], params: Mapping[str, object], parent: Run | None = None
    ) -> Iterator[Run]:
        """A run that is closed whatever ends the block, and that starts with all it takes to repeat it."""
        with live_run(self.client, self.uri, self.id, name, tags, parent) as run:
            run.describe(params, self.dataset, self.context)
            yield run


def _stored(run: MlflowRun) -> StoredRun:
    return StoredRun(run.info.run_id, run.data.params, run.data.metrics, run.data.tags, run.info.run_name or "")

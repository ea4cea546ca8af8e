"""Runs in MLflow: the store, and the life of a run in it. The only importer of mlflow."""

import json
import logging
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# Read by mlflow as it is imported: no usage data are sent unless the user asks for it.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A server that dies during a job costs seconds of retries, not mlflow's default of four minutes; its results are on
# disk.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")

import psutil
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError

from edlae_sweeps.errors import TrackingError

_PROBE_SECONDS = 5
_log = logging.getLogger(__name__)
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclass(frozen=True)
class DatasetRecord:
    """A data set as MLflow's own dataset tracking knows it."""

    name: str
    digest: str
    profile: str


@contextmanager
def _one_line_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        # The first line says what is wrong; SQLAlchemy's others show its statement.
        reason = str(error).strip().split("\n", 1)[0]
        raise TrackingError(f"tracking store {uri}: {reason}; see tracking.uri and tracking.dir") from error


class Store:
    """A tracking store that answers. `uri` is what `mlflow ui` or a browser takes."""

    def __init__(self, uri: str | None, directory: Path) -> None:
        """Open `uri`, or the SQLite database in `directory`; raise TrackingError when it can't be used."""
        self._directory = directory.absolute()
        self.uri = uri or f"sqlite:///{self._directory / 'mlflow.db'}"
        self._probe()
        with _one_line_errors(self.uri):
            self._directory.mkdir(parents=True, exist_ok=True)
            # Several processes that create one fresh database, or one experiment, at once would trip over each other.
            with FileLock(self._directory / ".lock"):
                self._client = MlflowClient(self.uri)
                self._client.search_experiments(max_results=1)

    @property
    def is_server(self) -> bool:
        """Whether the store is behind HTTP, and so keeps its artifacts itself."""
        return urlsplit(self.uri).scheme in {"http", "https"}

    def _probe(self) -> None:
        """Fail within seconds where mlflow would retry for minutes."""
        if not self.is_server:
            return
        try:
            urllib.request.urlopen(f"{self.uri.rstrip('/')}/health", timeout=_PROBE_SECONDS).close()  # noqa: S310 - http(s)
        except urllib.error.HTTPError as answer:
            answer.close()  # an answer all the same: it may want credentials, which mlflow has
        except OSError as error:
            raise TrackingError(
                f"tracking server {self.uri} does not answer within {_PROBE_SECONDS} s "
                f"({getattr(error, 'reason', error)}): start it, or correct tracking.uri or MLFLOW_TRACKING_URI"
            ) from error

    def experiment(self, name: str) -> str:
        """Id of the experiment `name`, created where it is not there."""
        with _one_line_errors(self.uri), FileLock(self._directory / ".lock"):
            found = self._client.get_experiment_by_name(name)
            if found is not None and found.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"experiment {name} of {self.uri} is deleted: "
                    f"restore it with mlflow experiments restore --experiment-id {found.experiment_id}"
                )
            if found is not None:
                return str(found.experiment_id)
            location = None if self.is_server else (self._directory / "artifacts" / name).as_uri()
            return str(self._client.create_experiment(name, artifact_location=location))

    def close_orphans(self) -> int:
        """Mark as KILLED the runs that say RUNNING but whose process on this host is gone; return how many."""
        closed = 0
        with _one_line_errors(self.uri):
            experiments = [experiment.experiment_id for experiment in self._client.search_experiments()]
            query = f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"
            for run in self._client.search_runs(experiments, query):
                if not _alive(run.data.tags.get("pid", ""), run.data.tags.get("pid_start", "")):
                    self._client.set_terminated(run.info.run_id, "KILLED")
                    closed += 1
        return closed

    @contextmanager
    def run(
        self, experiment: str, name: str, kind: str, params: Mapping[str, object], parent: "Run | None" = None
    ) -> Iterator["Run"]:
        """A run: RUNNING inside the block; then FINISHED, FAILED, or KILLED if the process was told to stop."""
        process = {
            "kind": kind,
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "pid_start": _start(os.getpid()),
        }
        source = {"mlflow.source.name": "edlae_sweeps", "mlflow.source.type": "LOCAL"}
        family = {"mlflow.parentRunId": parent.id} if parent else {}
        with _one_line_errors(self.uri):
            created = self._client.create_run(experiment, run_name=name, tags={**process, **source, **family})
        run = Run(self._client, self.uri, created.info.run_id)
        status = "FAILED"
        try:
            run.log_params(params)
            yield run
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        except TrackingError:
            # The store itself has failed: telling it why would cost another round of retries.
            raise
        except Exception as error:
            with suppress(TrackingError), _one_line_errors(self.uri):
                self._client.set_tag(run.id, "error", f"{type(error).__name__}: {error}"[:5000])
            raise
        finally:
            run.end(status)


class Run:
    """One run of the store."""

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self._client = client
        self._uri = uri
        self.id = run_id

    def log_params(self, params: Mapping[str, object]) -> None:
        """Parameters are immutable in MLflow: log them once."""
        with _one_line_errors(self._uri):
            self._client.log_batch(self.id, params=[Param(key, str(value)) for key, value in params.items()])

    def log(
        self, metrics: Mapping[str, float], tags: Mapping[str, str], artifacts: Iterable[Path], dataset: DatasetRecord
    ) -> None:
        """The results of a finished computation: metrics and tags in one request, the files, the data set."""
        now = int(time.time() * 1000)
        with _one_line_errors(self._uri):
            self._client.log_inputs(self.id, [_dataset_input(dataset)])
            self._client.log_batch(
                self.id,
                metrics=[Metric(key, value, now, 0) for key, value in metrics.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )
            for file in artifacts:
                self._client.log_artifact(self.id, str(file))

    def end(self, status: str) -> None:
        """Close the run. A store that has gone away meanwhile must not hide the error that led here."""
        try:
            with _one_line_errors(self._uri):
                self._client.set_terminated(self.id, status)
        except TrackingError as error:
            if status == "FINISHED":
                raise
            _log.warning("run %s stays open: %s", self.id, error)


def _dataset_input(record: DatasetRecord) -> DatasetInput:
    # MLflow's digests are short by convention and its column is narrow.
    dataset = Dataset(
        name=record.name,
        digest=record.digest[:32],
        source_type="local",
        source=json.dumps({"uri": record.name}),
        profile=record.profile,
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training and evaluation")])


def _start(pid: int) -> str:
    """When a process started, in seconds since the epoch: with its number it names a process for good."""
    return f"{psutil.Process(pid).create_time():.2f}"


def _alive(pid: str, start: str) -> bool:
    try:
        return _start(int(pid)) == start
    except (ValueError, psutil.NoSuchProcess):
        return False

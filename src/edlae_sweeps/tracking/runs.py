"""The life of one run, whatever ends it."""

import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking.opening import one_line_errors

SOURCE = "edlae_sweeps"
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Start times are read from the wall clock, which may be set while a process runs.
_CLOCK_SECONDS = 60
# Metrics in one request, MLflow's limit.
_MOST_METRICS = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatasetRecord:
    """A data set as MLflow's dataset tracking stores it."""

    name: str
    digest: str
    profile: str


class Run:
    """One run of the store, open for writing."""

    def __init__(self, client: MlflowClient, uri: str, run_id: str) -> None:
        self._client = client
        self._uri = uri
        self.id = run_id

    def describe(self, params: Mapping[str, object], dataset: DatasetRecord, files: Iterable[Path]) -> None:
        """Log what is known before the computation, so that a run that fails can be understood and repeated."""
        with one_line_errors(self._uri):
            self._client.log_batch(self.id, params=[Param(key, str(value)) for key, value in params.items()])
            self._client.log_inputs(self.id, [_dataset_input(dataset)])
            self._upload(files)

    def fill(self, params: Mapping[str, object], metrics: Sequence[tuple[str, float, int]]) -> None:
        """Log parameters and metrics (name, value, step) in as few requests as MLflow allows."""
        now = int(time.time() * 1000)
        with one_line_errors(self._uri):
            self._client.log_batch(self.id, params=[Param(key, str(value)) for key, value in params.items()])
            self._log_metrics([Metric(key, value, now, step) for key, value, step in metrics])

    def log(
        self,
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
        files: Iterable[Path] = (),
        history: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Log the results of a finished computation: metrics, tags, files, and values by epoch, which is their step.

        A metric with a history ends with its value in `metrics`, one step after the last epoch: MLflow shows the last.
        """
        now = int(time.time() * 1000)
        history, tags = history or {}, tags or {}
        steps = [
            Metric(key, value, now, step) for key, values in history.items() for step, value in enumerate(values, 1)
        ]
        steps += [Metric(key, value, now, _after(history.get(key))) for key, value in metrics.items()]
        with one_line_errors(self._uri):
            self._log_metrics(steps)
            self._client.log_batch(self.id, tags=[RunTag(key, value) for key, value in tags.items()])
            self._upload(files)

    def end(self, status: str, error: Exception | None) -> None:
        """Close the run. If the store has gone away meanwhile, the error that led here still counts."""
        try:
            with one_line_errors(self._uri):
                if error is not None and not isinstance(error, TrackingError):
                    self._client.set_tag(self.id, "error", f"{type(error).__name__}: {error}"[:5000])
                self._client.set_terminated(self.id, status)
        except TrackingError as failure:
            if status == "FINISHED":
                raise
            _log.warning("run %s stays open until the next start: %s", self.id, failure)

    def _log_metrics(self, metrics: Sequence[Metric]) -> None:
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self.id, metrics[start : start + _MOST_METRICS])

    def _upload(self, files: Iterable[Path]) -> None:
        for file in files:
            self._client.log_artifact(self.id, str(file))


def _after(values: Sequence[float] | None) -> int:
    return len(values) + 1 if values else 0


@contextmanager
def live_run(
    client: MlflowClient, uri: str, experiment: str, name: str, tags: Mapping[str, str], parent: Run | None
) -> Iterator[Run]:
    """A run that is RUNNING inside the block, then FINISHED, FAILED, or KILLED if a signal stopped the process."""
    source = {"mlflow.source.name": SOURCE, "mlflow.source.type": "LOCAL"}
    family = {"mlflow.parentRunId": parent.id} if parent else {}
    run: Run | None = None
    status, failure = "FAILED", None
    try:
        with stops_deferred(), one_line_errors(uri):
            created = client.create_run(experiment, run_name=name, tags={**_process(), **source, **family, **tags})
            run = Run(client, uri, created.info.run_id)
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:
        failure = error
        raise
    finally:
        if run is not None:
            with stops_deferred():
                run.end(status, failure)


@contextmanager
def stops_deferred() -> Iterator[None]:
    """Delay signals to stop until the block ends, so that no run is half made or half closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    previous = {number: signal.getsignal(number) for number in _STOPS}
    for number, handler in previous.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        for number, handler in previous.items():
            if handler is not None:
                signal.signal(number, handler)
        for signum in pending:
            signal.raise_signal(signum)


def _process() -> dict[str, str]:
    """Tags that identify a process: host, number and start time."""
    return {"host": socket.gethostname(), "pid": str(os.getpid()), "pid_start": f"{psutil.Process().create_time():.2f}"}


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process on this host that made a run with these tags has ended; False for runs of other programs."""
    if tags.get("mlflow.source.name") != SOURCE or not {"pid", "pid_start"} <= tags.keys():
        return False
    try:
        process = psutil.Process(int(tags["pid"]))
        started = abs(process.create_time() - float(tags["pid_start"])) < _CLOCK_SECONDS
        return not started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _dataset_input(record: DatasetRecord) -> DatasetInput:
    # MLflow's digests are short by convention and its column is narrow.
    source = json.dumps({"uri": record.name})
    dataset = Dataset(record.name, record.digest[:32], source_type="local", source=source, profile=record.profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training and evaluation")])

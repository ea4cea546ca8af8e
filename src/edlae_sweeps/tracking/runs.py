"""The life of one run, whatever ends it."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.process import process_tags
from edlae_sweeps.slurm import slurm_tags
from edlae_sweeps.tracking.commit import source_commit
from edlae_sweeps.tracking.datasets import DatasetRecord, dataset_input
from edlae_sweeps.tracking.heartbeat import beating
from edlae_sweeps.tracking.lease import Busy
from edlae_sweeps.tracking.opening import one_line_errors, unconflicted
from edlae_sweeps.tracking.stops import stops_deferred
from edlae_sweeps.tracking.watch import PARENT, SOURCE

# Characters of a tag, the smallest limit of MLflow's stores.
_MOST_CHARACTERS = 5000
# Seconds between two samples of the system metrics.
_SAMPLING_SECONDS = 2
NOTE = "mlflow.note.content"
_log = logging.getLogger(__name__)


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
            # MLflow looks for the data set, then adds it; so do other processes at the same time.
            unconflicted(lambda: self._client.log_inputs(self.id, [dataset_input(dataset)]))
        self.upload(files)

    def fill(self, params: Mapping[str, object], metrics: Sequence[tuple[str, float, int]]) -> None:
        """Log parameters and metrics (name, value, step) in one request, if they are within MLflow's limits for one."""
        now = int(time.time() * 1000)
        with one_line_errors(self._uri):
            self._client.log_batch(
                self.id,
                metrics=[Metric(key, value, now, step) for key, value, step in metrics],
                params=[Param(key, str(value)) for key, value in params.items()],
            )

    def log(
        self,
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str] | None = None,
        files: Iterable[Path] = (),
        history: Mapping[str, Sequence[float]] | None = None,
        note: str = "",
    ) -> None:
        """Log the results of a finished computation: metrics, tags, files, and values by epoch, which is their step.

        A metric with a history ends with its value in `metrics`, one step after the last epoch: MLflow shows the last.
        `note` is the Markdown text that its pages show as the description.
        """
        now = int(time.time() * 1000)
        history, tags = history or {}, {**(tags or {}), **({NOTE: note[:_MOST_CHARACTERS]} if note else {})}
        steps = [
            Metric(key, value, now, step) for key, values in history.items() for step, value in enumerate(values, 1)
        ]
        steps += [Metric(key, value, now, _after(history.get(key))) for key, value in metrics.items()]
        with one_line_errors(self._uri):
            self._client.log_batch(self.id, steps, tags=[RunTag(key, value) for key, value in tags.items()])
        self.upload(files)

    def upload(self, files: Iterable[Path], folder: str | None = None) -> None:
        """Log files as artifacts, below `folder` if it is given."""
        with one_line_errors(self._uri):
            for file in files:
                self._client.log_artifact(self.id, str(file), folder)

    @contextmanager
    def system_metrics(self) -> Iterator[None]:
        """Log the load of processors, memory, disk, network and GPUs as system/* while the block runs."""
        # MLflow's class has no annotations.
        new_monitor: Callable[..., Any] = SystemMetricsMonitor
        monitor = new_monitor(self.id, sampling_interval=_SAMPLING_SECONDS, tracking_uri=self._uri)
        monitor.start()
        try:
            yield
        finally:
            with stops_deferred():
                monitor.finish()

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

    def withdraw(self) -> None:
        """Delete the run: its work is another run's."""
        with one_line_errors(self._uri):
            self._client.set_terminated(self.id, "KILLED")
            self._client.delete_run(self.id)


def _after(values: Sequence[float] | None) -> int:
    return len(values) + 1 if values else 0


@contextmanager
def live_run(
    client: MlflowClient, uri: str, experiment: str, name: str, tags: Mapping[str, str], parent: Run | None
) -> Iterator[Run]:
    """A run that is RUNNING inside the block, then FINISHED, FAILED, or KILLED if a signal stopped the process.

    Busy, raised inside the block, deletes it.
    """
    source = {"mlflow.source.name": SOURCE, "mlflow.source.type": "LOCAL"}
    if commit := source_commit(Path(__file__).resolve().parents[1]):
        source["mlflow.source.git.commit"] = commit
    family = {PARENT: parent.id} if parent else {}
    own = {**process_tags(), **slurm_tags(), **source, **family, **tags}
    run: Run | None = None
    status, failure = "FAILED", None
    try:
        with stops_deferred(), one_line_errors(uri):
            run = Run(client, uri, client.create_run(experiment, run_name=name, tags=own).info.run_id)
        with beating(client, uri, run.id) if parent is None else nullcontext():
            yield run
        status = "FINISHED"
    except Busy:
        status = "WITHDRAWN"
        raise
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except Exception as error:
        failure = error
        raise
    finally:
        if run is not None:
            with stops_deferred():
                if status == "WITHDRAWN":
                    run.withdraw()
                else:
                    run.end(status, failure)

"""The experiment of one data set: its finished runs, and new ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.process import process_tags
from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.lease import Lease, hold, wait
from edlae_sweeps.tracking.opening import one_line_errors, unconflicted
from edlae_sweeps.tracking.runs import Run, live_run
from edlae_sweeps.tracking.view import experiment_tags
from edlae_sweeps.tracking.watch import pages

# How much too early the start of a process may be: Linux counts it from the boot, whose time it gives in whole seconds.
_START_SECONDS = 1
# Runs that `find` reads at once. Larger pages are no faster, and take more memory.
_PAGE = 200


@dataclass(frozen=True)
class StoredRun:
    """One run as the store holds it; `ended` in seconds of the clock of its host, `artifacts` the URI of its files."""

    id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    name: str
    ended: float = 0
    artifacts: str = ""

    def local(self, name: str) -> Path | None:
        """The path of an artifact in a folder of this machine; None if it is elsewhere, or gone.

        It saves MLflow's look-up, tens of milliseconds for each file.
        """
        parts = urlsplit(self.artifacts)
        path = Path(url2pathname(parts.path)) / name
        return path if parts.scheme == "file" and path.is_file() else None

    @property
    def concurrent(self) -> bool:
        """Whether another process finished it after this one had started, as far as their clocks agree."""
        own = process_tags()
        same = all(self.tags.get(name) == own[name] for name in ("machine", "pid", "pid_ticks"))
        return not same and self.ended > float(own["pid_start"]) + _START_SECONDS


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
                    unconflicted(partial(self.client.set_experiment_tag, self.id, key, value))

    def find(self, query: str) -> list[StoredRun]:
        """The finished runs that match an MLflow filter, oldest first."""
        with one_line_errors(self.uri):
            runs = pages(self.client, [self.id], f"{query} and attributes.status = 'FINISHED'", _PAGE)
        return [_stored(run) for run in runs]

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
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, object],
        parent: Run | None = None,
        lease: Lease | None = None,
    ) -> Iterator[Run]:
        """A run that is closed whatever ends the block, and that starts with all it takes to repeat it.

        With a `lease`, the block has that work for itself. Raises Busy instead, and leaves no run, if another run is at
        it or has just done it.
        """
        claim = lease.tags() if lease else {}
        with live_run(self.client, self.uri, self.id, name, {**tags, **claim}, parent) as run:
            if lease:
                with one_line_errors(self.uri):
                    hold(self.client, self.uri, self.id, run.id, lease)
            run.describe(params, self.dataset, self.context)
            yield run

    def wait(self, keys: Sequence[str]) -> bool:
        """Wait until no run has a lease on any of these keys; whether there was one. A dead run's lease ends."""
        with one_line_errors(self.uri):
            return wait(self.client, self.uri, self.id, keys)


def _stored(run: MlflowRun) -> StoredRun:
    info, data = run.info, run.data
    return StoredRun(
        id=info.run_id,
        params=data.params,
        metrics=data.metrics,
        tags=data.tags,
        name=info.run_name or "",
        ended=(info.end_time or 0) / 1000,
        artifacts=info.artifact_uri or "",
    )

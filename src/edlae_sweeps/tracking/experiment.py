"""The experiment of one data set: its finished runs, and new ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.foreign import readable_cells
from edlae_sweeps.tracking.lease import Lease, hold, wait
from edlae_sweeps.tracking.opening import is_server, one_line_errors, unconflicted
from edlae_sweeps.tracking.runs import Run, live_run
from edlae_sweeps.tracking.stored import StoredRun, stored_run
from edlae_sweeps.tracking.view import experiment_tags, run_page
from edlae_sweeps.tracking.watch import pages

# Runs that `find` reads at once. Larger pages are no faster, and take more memory.
_PAGE = 200


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
        return [stored_run(run) for run in runs]

    def cells(self, run_key: str | None = None) -> list[StoredRun]:
        """The finished cells, or those with a run key, oldest first; a warning names a run that can't be read."""
        return readable_cells(self.find("tags.kind = 'cell'" + (f" and tags.run_key = '{run_key}'" if run_key else "")))

    def get(self, run_id: str) -> StoredRun | None:
        """The run with this id; None if there is none."""
        with one_line_errors(self.uri):
            try:
                run = self.client.get_run(run_id)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return stored_run(run)

    def history(self, run_id: str, metric: str) -> list[float]:
        """The values of a metric by epoch, without the final one that `Run.log` adds."""
        with one_line_errors(self.uri):
            values = self.client.get_metric_history(run_id, metric)
        return [entry.value for entry in sorted(values, key=lambda entry: entry.step)][:-1]

    def run_page(self, run_id: str) -> str | None:
        """The URL of a run on the server; None for a database, whose pages may be anywhere."""
        return run_page(self.uri, self.id, run_id) if is_server(self.uri) else None

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

"""The tracking store: a database below mlruns/, another database, or a server."""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from mlflow.exceptions import MlflowException

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.settings import STORE, masked_uri, shell_line, shell_uri
from edlae_sweeps.tracking.client import open_client
from edlae_sweeps.tracking.creation import create_database, database_file
from edlae_sweeps.tracking.datasets import DatasetRecord
from edlae_sweeps.tracking.experiment import Experiment
from edlae_sweeps.tracking.moved import follow_move
from edlae_sweeps.tracking.opening import database_uri, is_server, one_line_errors
from edlae_sweeps.tracking.probe import probe
from edlae_sweeps.tracking.stops import stops_deferred
from edlae_sweeps.tracking.view import page
from edlae_sweeps.tracking.watch import Watch, close_all

_LOCK_SECONDS = 60
# Where `mlflow ui` serves a database.
_LOCAL_PAGES = "http://127.0.0.1:5000"


class Store:
    """A tracking store that can be reached."""

    def __init__(self, uri: str | None, directory: Path, create: bool = True) -> None:
        """Open `uri`, or the SQLite database in `directory` if it is None.

        Raises TrackingError if that fails, and for an SQLite database that does not exist unless `create` makes it.
        """
        self._directory = directory.absolute()
        self.uri = uri or database_uri(self._directory)
        with one_line_errors(self.uri):
            file = database_file(self.uri)
            if file and not create and not file.exists():
                raise TrackingError(
                    f"there is no store at {file}: run python -m edlae_sweeps first, or correct tracking.dir"
                )
            folder = file.parent if file else self._directory
            for path in (self._directory, folder):
                path.mkdir(parents=True, exist_ok=True)
            # Processes that create the same database or experiment at the same time race.
            self._lock = FileLock(folder / ".lock", timeout=_LOCK_SECONDS)
            # It may wait, and Ctrl-C ends that.
            probe(self.uri)
            with self._lock, stops_deferred():
                if file:
                    create_database(file)
                follow_move(self.uri, self._directory)
                self._client = open_client(self.uri)
                self._client.search_experiments(max_results=1)

    def experiment(self, name: str, dataset: DatasetRecord, context: Sequence[Path]) -> Experiment:
        """The experiment `name`, created if missing; its runs use `dataset` and start with the files `context`."""
        return Experiment(self._client, self.uri, self._experiment_id(name), dataset, context)

    def page(self, name: str) -> str | None:
        """The URL of the cells of the experiment `name`, on the server or once `mlflow ui` runs; None without it."""
        with one_line_errors(self.uri):
            experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return None
        return page(self.uri if is_server(self.uri) else _LOCAL_PAGES, experiment.experiment_id)

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
                try:
                    return str(self._client.create_experiment(name, artifact_location=location))
                except MlflowException as error:
                    # The lock is that of a folder: a process of another host may have been first.
                    experiment = self._client.get_experiment_by_name(name)
                    if experiment is None:
                        raise error
        if experiment.lifecycle_stage == "deleted":
            restore = ["mlflow", "experiments", "restore", "--experiment-id", str(experiment.experiment_id)]
            raise TrackingError(
                f"experiment {name} of {masked_uri(self.uri)} is deleted: "
                f"restore it with {STORE}={shell_uri(self.uri)} {shell_line(restore)}"
            )
        return str(experiment.experiment_id)

    def close_orphans(self) -> int:
        """Mark RUNNING runs as KILLED if their process is known to be gone, and say so; return how many."""
        with one_line_errors(self.uri):
            return close_all(self._client, Watch(self.uri))

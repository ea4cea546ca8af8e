"""Where results are logged, and which of them a report shows."""

import os
import re
from dataclasses import dataclass, field
from typing import ClassVar

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.options import Options

# URI schemes of MLflow's tracking stores, without the driver that may follow a +.
_STORES = frozenset({"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"})


def redacted(text: str) -> str:
    """`text` with the user names and passwords of the URIs in it masked."""
    # A password may hold / and @, and a database takes it as an option too.
    text = re.sub(r"://[^/\s'\"][^\s'\"]*@", "://***@", text)
    return re.sub(r"([?&]\w*(?:password|passwd|pwd)=)[^&\s'\"]*", r"\1***", text, flags=re.IGNORECASE)


def _uri_of_environment() -> str | None:
    return os.environ.get("MLFLOW_TRACKING_URI") or None


@dataclass(frozen=True, kw_only=True, repr=False)
class Tracking(Options):
    """The tracking store.

    uri             MLflow tracking URI; None: the SQLite database mlflow.db in `dir`. Default: MLFLOW_TRACKING_URI,
                    else None
    dir             folder for everything else that a run writes
    system_metrics  log the load of the machine while a job runs
    """

    prefix: ClassVar[str] = "tracking."

    uri: str | None = field(default_factory=_uri_of_environment)
    dir: str = "mlruns"
    system_metrics: bool = False

    @override
    def check(self) -> None:
        if not self.dir:
            raise ConfigError("tracking.dir is empty: name a folder, such as mlruns")
        if self.uri is not None and not _is_store(self.uri):
            raise ConfigError(
                f"tracking.uri={redacted(self.uri)}: MLflow keeps runs on a server or in a database; choose "
                "http://HOST:PORT, sqlite:///PATH/mlflow.db or another database, or null for mlflow.db in tracking.dir"
            )

    @override
    def __repr__(self) -> str:
        return redacted(super().__repr__())


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportSettings(Options):
    """What to report on.

    datasets  names of data sets; None: all that the store has
    tracking  the store
    """

    datasets: tuple[str, ...] | None = None
    tracking: Tracking = field(default_factory=Tracking)


@dataclass(frozen=True, kw_only=True, repr=False)
class MergeSettings(Options):
    """What to copy into the store.

    source    another store: a folder with mlflow.db, the folder above it, or the URI of a database or server
    datasets  names of data sets; None: all that the source has
    tracking  the store to copy into

    Raises ConfigError if `source` is missing.
    """

    source: str | None = None
    datasets: tuple[str, ...] | None = None
    tracking: Tracking = field(default_factory=Tracking)

    @override
    def check(self) -> None:
        if not self.source:
            raise ConfigError(
                "source: name the store to copy from, such as source=cluster/mlruns or source=http://HOST:PORT"
            )
        if "://" in self.source and not _is_store(self.source):
            raise ConfigError(
                f"source={redacted(self.source)}: MLflow keeps runs on a server or in a database; "
                "choose a folder with mlflow.db, http://HOST:PORT, or the URI of a database"
            )

    @override
    def __repr__(self) -> str:
        return redacted(super().__repr__())


def _is_store(uri: str) -> bool:
    return uri.partition(":")[0].partition("+")[0] in _STORES

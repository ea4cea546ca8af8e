"""Where results are logged, and which of them a report shows."""

import os
from dataclasses import dataclass, field
from typing import ClassVar

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.options import Options
from edlae_sweeps.settings.uris import (
    SOURCE,
    STORE,
    has_place,
    is_ambiguous,
    is_in_memory,
    is_store,
    masked_uri,
)

# What may be in place of a password in a URI, for messages.
_ELSEWHERE = "~/.pgpass for PostgreSQL, ~/.mlflow/credentials or MLFLOW_TRACKING_PASSWORD for a server"


def _uri_of_environment() -> str | None:
    return os.environ.get(STORE) or None


def _source_of_environment() -> str | None:
    return os.environ.get(SOURCE) or None


def _check_store(key: str, uri: str, otherwise: str) -> None:
    """Raise ConfigError for a URI that can't be that of a store, or whose password can't be told from the rest."""
    shown = masked_uri(uri)
    if not is_store(uri):
        raise ConfigError(
            f"{key}={shown}: MLflow keeps runs on a server or in a database; choose http://HOST:PORT, "
            f"sqlite:///PATH/mlflow.db or another database, or {otherwise}"
        )
    if is_in_memory(uri):
        raise ConfigError(
            f"{key}={shown}: a database in memory ends with the command; choose a file, sqlite:///PATH/mlflow.db"
        )
    if is_ambiguous(uri):
        raise ConfigError(
            f"{key}={shown}: write %40 for @, %2F for /, %3F for ?, %23 for # and %20 for a space "
            "in a user name, a password and an option"
        )
    if not has_place(uri):
        raise ConfigError(
            f"{key}={shown}: it has no host and port as a URI has them; write HOST:PORT, or [HOST]:PORT "
            "for a host that is a number with colons"
        )


def password_error(key: str) -> ConfigError:
    """The error for a password in a configuration, which is written to files."""
    variable = SOURCE if key == "source" else STORE
    remedy = f"set the environment variable {variable} to the URI, or keep the password in {_ELSEWHERE}"
    if key.startswith("dataset."):
        remedy = "download the file, and name its path"
    return ConfigError(f"{key}: a password is not taken from here, since configurations are written to files; {remedy}")


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
        if self.uri is not None:
            _check_store("tracking.uri", self.uri, "null for mlflow.db in tracking.dir")

    @override
    def __repr__(self) -> str:
        return super().__repr__().replace(repr(self.uri), repr(self.uri and masked_uri(self.uri)))


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

    source    another store: a folder with mlflow.db, the folder above it, or the URI of a database or server. Default:
              EDLAE_SWEEPS_SOURCE, else None
    datasets  names of data sets; None: all that the source has
    tracking  the store to copy into

    Raises ConfigError if `source` is missing.
    """

    source: str | None = field(default_factory=_source_of_environment)
    datasets: tuple[str, ...] | None = None
    tracking: Tracking = field(default_factory=Tracking)

    @override
    def check(self) -> None:
        if not self.source:
            raise ConfigError(
                "source: name the store to copy from, such as source=cluster/mlruns or source=http://HOST:PORT"
            )
        if "://" in self.source:
            _check_store("source", self.source, "a folder with mlflow.db")

    @override
    def __repr__(self) -> str:
        return super().__repr__().replace(repr(self.source), repr(self.source and masked_uri(self.source)))

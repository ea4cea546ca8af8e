"""Opening a store: its URI, and its errors in one line."""

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests
from filelock import Timeout
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from edlae_sweeps.errors import ConfigError, TrackingError
from edlae_sweeps.settings import masked_uri, redacted

# How often a request is repeated that met a row of another process.
_MOST_TRIES = 8
# What SQLite, PostgreSQL, MySQL and SQL Server say of a row that is there already.
_CONFLICT = re.compile(
    "unique constraint|duplicate key|duplicate entry|violation of (unique|primary) key", re.IGNORECASE
)


def database_uri(directory: Path) -> str:
    """The URI of the SQLite database in `directory`; ConfigError for a path that a URI can't hold."""
    path = str(directory / "mlflow.db")
    # Unquoted: SQLAlchemy 2.0, 2.1 and MLflow, which makes the folder, read quoted paths differently.
    uri = f"sqlite:///{path}"
    if make_url(uri).database != path:
        raise ConfigError(f"tracking.dir={directory}: a database URI can't hold this path; choose one without ? and %")
    return uri


def is_server(uri: str) -> bool:
    """Whether the store is an HTTP server, which keeps the artifacts itself."""
    return urlsplit(uri).scheme in {"http", "https"}


@contextmanager
def one_line_errors(uri: str, settings: str = "tracking.uri, tracking.dir") -> Iterator[None]:
    """Turn what MLflow, its database or the network raise into a TrackingError; `settings` named the store."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise TrackingError(
            f"tracking store {masked_uri(uri)} needs the Python package {error.name}: {_remedy(error.name)}"
        ) from error
    except (MlflowException, requests.RequestException, SQLAlchemyError, Timeout, OSError) as error:
        # SQLAlchemy's message starts with what it was doing; the database's says what is wrong.
        cause: BaseException = error
        while isinstance(cause.__cause__, SQLAlchemyError):
            cause = cause.__cause__
        reason = str(getattr(cause, "orig", None) or cause).strip().split("\n", 1)[0]
        reason = redacted(reason.replace(uri, masked_uri(uri)))
        raise TrackingError(f"tracking store {masked_uri(uri)}: {reason}; see {settings}") from error


def _remedy(package: str | None) -> str:
    if package == "psycopg":
        return "pip install 'edlae_sweeps[server]'"
    if package == "psycopg2":
        # SQLAlchemy before 2.1 takes it for postgresql://.
        return "pip install 'edlae_sweeps[server]' and write postgresql+psycopg://"
    return "install it"


def unconflicted(call: Callable[[], object]) -> None:
    """Call MLflow, and again if another process added the same row between its look and its insertion."""
    for attempt in range(1, _MOST_TRIES + 1):
        try:
            call()
        except MlflowException as error:
            if attempt == _MOST_TRIES or not _CONFLICT.search(str(error)):
                raise
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311
        else:
            return

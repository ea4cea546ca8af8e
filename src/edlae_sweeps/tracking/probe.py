"""Whether a store answers, before MLflow asks it: MLflow would try for minutes, and say nothing."""

import logging
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests
from sqlalchemy import make_url

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.settings import masked_uri
from edlae_sweeps.tracking.opening import is_server, one_line_errors

# How long a server that is alive may take to answer, and a database may be locked.
PATIENCE_SECONDS = 60.0
# How long both may take without a line about it, and the connection to a server.
QUIET_SECONDS = 5.0
# A signal is heard between two calls of SQLite.
_CALL_SECONDS = 0.5
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_REASONS: dict[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    socket.gaierror: "no such host",
}
_log = logging.getLogger(__name__)


def probe(uri: str, settings: str = "tracking.uri or MLFLOW_TRACKING_URI") -> None:
    """Raise TrackingError if the store can't be used; `settings` named it.

    A refused connection and an unknown host are told at once. A server that is slow, or a database that is locked, is
    waited for, up to `PATIENCE_SECONDS`, with a line that says so.
    """
    if is_server(uri):
        _probe_server(uri, settings)
    elif uri.startswith("sqlite"):
        _probe_sqlite(uri)
    elif re.split("[+:]", uri)[0] in _PORTS:
        _probe_database(uri, settings)


def _probe_server(uri: str, settings: str) -> None:
    url = f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        with _told_to_wait(f"tracking server {masked_uri(uri)} to answer"):
            requests.get(url, timeout=(QUIET_SECONDS, PATIENCE_SECONDS)).close()
    except requests.exceptions.SSLError:
        return  # it answers; mlflow's own settings say which certificates to trust
    except requests.RequestException as error:
        raise _no_answer(f"tracking server {masked_uri(uri)}", error, settings) from error


def _probe_database(uri: str, settings: str) -> None:
    """Connect to the host of a database; what to say to it is left to MLflow."""
    with one_line_errors(uri, settings):
        url = make_url(uri)
        # A missing driver is the first thing to say.
        url.get_dialect().import_dbapi()
    # A database on this machine may have a socket in a folder.
    if not url.host:
        return
    try:
        port = url.port or _PORTS[url.get_backend_name()]
        socket.create_connection((url.host, port), timeout=QUIET_SECONDS).close()
    except OSError as error:
        raise _no_answer(f"tracking database {masked_uri(uri)}", error, settings) from error


def _probe_sqlite(uri: str) -> None:
    path = make_url(uri).database
    # SQLite would make an empty one.
    if not path or path == ":memory:" or not Path(path).exists():
        return
    end = time.monotonic() + PATIENCE_SECONDS
    try:
        with _told_to_wait(f"tracking database {path}, which another process has locked"):
            while not _can_write(path, end):
                pass
    except (sqlite3.Error, OSError) as error:
        raise TrackingError(
            f"tracking database {path} can't be written ({error}): "
            "make it writable, free some space, or choose tracking.dir"
        ) from error


def _can_write(path: str, end: float) -> bool:
    """Whether a database can be written now; False if it is locked, until `end`, and sqlite3.Error otherwise."""
    try:
        with closing(sqlite3.connect(path, timeout=_CALL_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
            raise
        return False
    return True


@contextmanager
def _told_to_wait(what: str) -> Iterator[None]:
    """Log what the block waits for, if that takes long."""
    line = f"waiting up to {PATIENCE_SECONDS:g} s for {what}"
    timer = threading.Timer(QUIET_SECONDS, _log.warning, ("%s", line))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _no_answer(store: str, error: Exception, settings: str) -> TrackingError:
    """The error for a store that can't be reached, by the first cause that has words."""
    reason = f"({type(error).__name__})"
    if isinstance(error, requests.ReadTimeout):
        reason = f"within {PATIENCE_SECONDS:g} s"
    cause: BaseException | None = error
    while cause is not None:
        if type(cause) in _REASONS:
            reason = f"({_REASONS[type(cause)]})"
        cause = cause.__cause__ or cause.__context__
    return TrackingError(f"{store} does not answer {reason}: start it, or correct {settings}")

"""Whether a store answers: an error at once where there is none, and patience where it is slow or locked."""

import _thread
import http.server
import logging
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking import Store, probe

UNUSED = "127.0.0.1:9"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Tell of the wait soon; wait for longer than any of these tests takes."""
    monkeypatch.setattr(probe, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(probe, "PATIENCE_SECONDS", 100.0)
    return monkeypatch


@contextmanager
def slow_server(wait: threading.Event) -> Iterator[str]:
    """A server that answers once the event is set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wait.wait(100)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            wait.set()
            server.shutdown()


class When(logging.Handler):
    """Calls a function at the first record of a logger."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.lines = function, []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.function()


@contextmanager
def when_told(function) -> Iterator[list[str]]:
    """Call the function once a probe says that it waits; yields what it says."""
    handler = When(function)
    logging.getLogger(probe.__name__).addHandler(handler)
    try:
        yield handler.lines
    finally:
        logging.getLogger(probe.__name__).removeHandler(handler)


@pytest.mark.usefixtures("patience")
def test_a_slow_server_is_waited_for_with_a_line():
    answer = threading.Event()
    with slow_server(answer) as uri, when_told(answer.set) as lines:
        probe.probe(uri)
    assert lines == [f"waiting up to 100 s for tracking server {uri} to answer"]


def test_a_server_that_stays_silent_is_an_error_in_the_end(patience):
    patience.setattr(probe, "PATIENCE_SECONDS", 0.3)
    with slow_server(threading.Event()) as uri, pytest.raises(TrackingError) as failure:
        probe.probe(uri, "source")
    assert str(failure.value) == (f"tracking server {uri} does not answer within 0.3 s: start it, or correct source")


def test_a_server_that_answers_is_no_reason_for_a_line(patience):
    patience.setattr(probe, "QUIET_SECONDS", 100)
    answer = threading.Event()
    answer.set()
    with slow_server(answer) as uri, when_told(answer.set) as lines:
        probe.probe(uri)
    assert lines == []


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


@pytest.mark.usefixtures("patience")
def test_a_locked_database_is_waited_for_with_a_line(tmp_path, new_store):
    new_store(tmp_path)
    path = tmp_path / "mlflow.db"
    with locked(path) as connection, when_told(connection.rollback) as lines:
        assert Store(None, tmp_path).existing() == []
    assert lines == [f"waiting up to 100 s for tracking database {path}, which another process has locked"]


def test_a_database_that_stays_locked_is_an_error_in_the_end(tmp_path, patience):
    patience.setattr(probe, "PATIENCE_SECONDS", 0.3)
    with locked(tmp_path / "mlflow.db"), pytest.raises(TrackingError) as failure:
        Store(None, tmp_path)
    assert str(failure.value).startswith(
        f"tracking database {tmp_path}/mlflow.db can't be written (database is locked)"
    )


@pytest.mark.usefixtures("patience", "heard")
def test_a_signal_ends_the_wait_for_a_locked_database(tmp_path):
    path = tmp_path / "mlflow.db"
    with locked(path), when_told(_thread.interrupt_main) as lines, pytest.raises(KeyboardInterrupt):
        Store(None, tmp_path)
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (f"http://{UNUSED}", "connection refused"),
        (f"http://me:secret@{UNUSED}", "connection refused"),
        ("http://no-such-host.invalid", "no such host"),
        ("http://localhost:abc", "InvalidURL"),
        (f"postgresql+psycopg://me:secret@{UNUSED}/x", "connection refused"),
        ("mysql+pymysql://me:secret@no-such-host.invalid/x", "no such host"),
    ],
)
def test_a_store_that_is_not_there_is_told_at_once(tmp_path, monkeypatch, uri, reason):
    # Neither of the drivers has to be installed.
    monkeypatch.setattr("sqlalchemy.engine.url.URL.get_dialect", lambda _: type("", (), {"import_dbapi": lambda: None}))
    # Without waiting for the name of a host: some networks answer for every name.
    real = socket.getaddrinfo

    def lookup(host, *arguments, **options):
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(TrackingError, match=rf"^tracking (server|database) .* does not answer \({reason}\)") as failure:
        Store(uri, tmp_path)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("package", ["psycopg", "psycopg2"])
def test_a_missing_driver_names_the_extra(tmp_path, monkeypatch, package):
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TrackingError, match=rf"{package}: pip install 'edlae_sweeps\[server\]'") as failure:
        Store(f"postgresql+{package}://user:secret@{UNUSED}/x", tmp_path)
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)

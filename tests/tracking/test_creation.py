"""A database appears under its name once MLflow's migrations are complete, and a kill amid them costs nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.tracking.creation import database_file


def entries(folder) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_a_failure_leaves_no_database(tmp_path, monkeypatch):
    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(SqlAlchemyStore, "_initialize_store_state", fail)
    with pytest.raises(TrackingError, match="no space left"):
        Store(None, tmp_path)
    assert entries(tmp_path) == set()


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:///runs.db", "runs.db"),
        ("sqlite:///runs.db?timeout=9", "runs.db"),
        # SQLite, not the path, says where this is: a file of this name would be left beside it.
        ("sqlite:///file:runs.db?uri=true", None),
        ("sqlite://", None),
        ("http://host", None),
    ],
)
def test_the_file_of_a_database(uri, file):
    assert database_file(uri) == (file and Path(file))


def test_a_database_that_is_there_is_kept(tmp_path, new_store):
    new_store(tmp_path)
    Store(None, tmp_path).experiment("data", DatasetRecord("data", "d" * 64), [])
    assert Store(None, tmp_path).existing() == ["data"]


@pytest.mark.parametrize("uri", [None, "elsewhere/runs.db"])
def test_a_killed_creation_is_begun_again(tmp_path, uri):
    """The killed process leaves its half; the next one doesn't open it, and removes it after a day."""
    database = tmp_path / (uri or "mlflow.db")
    uri = uri and f"sqlite:///{database}"
    code = f"from edlae_sweeps.tracking import Store; from pathlib import Path; Store({uri!r}, Path({str(tmp_path)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 60
    while not (halves := list(database.parent.glob(".*.tmp")) if database.parent.exists() else []) or (
        halves[0].stat().st_size == 0
    ):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not database.exists()
    for half in database.parent.glob(".*.tmp*"):
        os.utime(half, (0, 0))
    assert Store(uri, tmp_path).existing() == []
    assert {path.name for path in database.parent.glob("*.db")} == {database.name}
    assert list(database.parent.glob(".*.tmp*")) == []

"""What killed jobs left half-written below the output folders is removed, once a day, when its writer is gone."""

import os
import time
from pathlib import Path

from edlae_sweeps.disk import OLD_SECONDS, temporary
from edlae_sweeps.jobs.files import clean_outputs, write_context

OLD = time.time() - OLD_SECONDS - 60


def leftover(folder: Path, pid: int | None = None) -> Path:
    """A model that a process was writing, or that this one is writing, a day ago."""
    place = temporary(folder / "model")
    if pid is not None:
        place = place.with_name(place.name.replace(f"-{os.getpid()}-", f"-{pid}-"))
    (place / "data").mkdir(parents=True)
    (place / "data" / "U.npy").write_bytes(b"half")
    for path in (place / "data" / "U.npy", place / "data", place):
        os.utime(path, (OLD, OLD))
    return place


def test_models_of_ended_processes_are_removed_and_nothing_else(tmp_path):
    job = tmp_path / "2020-01-01" / "10-00-00" / "closed-k5"
    # No process has this number: it is beyond the largest.
    ended, own = leftover(job, 2**30), leftover(job)
    (job / "result.json").write_text("{}")
    os.utime(job / "result.json", (OLD, OLD))
    clean_outputs(tmp_path)
    assert not ended.exists()
    assert own.exists()
    assert (job / "result.json").exists()


def test_it_happens_once_a_day(tmp_path):
    clean_outputs(tmp_path)
    later = leftover(tmp_path / "job", 2**30)
    clean_outputs(tmp_path)
    assert later.exists()
    os.utime(tmp_path / ".cleaned", (OLD, OLD))
    clean_outputs(tmp_path)
    assert not later.exists()


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    clean_outputs(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_texts_are_flushed_before_they_get_their_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))
    write_context(tmp_path, {"config.yaml": "a: 1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "environment.json"]
    assert {path.stat().st_ino for path in (tmp_path, *tmp_path.iterdir())} <= set(flushed)

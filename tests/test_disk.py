"""Files and folders that appear whole or not at all, and what a killed writer leaves."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edlae_sweeps import disk
from edlae_sweeps.disk import commit, remove_leftovers, temporary, whole

TWO_DAYS = 2 * 24 * 3600


def age(path: Path, seconds: float = TWO_DAYS) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def ended_writer(folder: Path) -> Path:
    """A name that a process chose which has ended."""
    script = "import sys, pathlib; from edlae_sweeps.disk import temporary; print(temporary(pathlib.Path(sys.argv[1])))"
    run = subprocess.run([sys.executable, "-c", script, str(folder / "x")], capture_output=True, text=True, check=True)
    return Path(run.stdout.strip())


@pytest.fixture(scope="module")
def ended_name(tmp_path_factory) -> str:
    return ended_writer(tmp_path_factory.mktemp("writer")).name


def test_a_file_replaces_the_one_of_its_name(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with whole(path) as written:
            written.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_appears_with_all_that_is_in_it(tmp_path: Path):
    with whole(tmp_path / "model") as written:
        (written / "inner").mkdir(parents=True)
        (written / "inner" / "a").write_text("a")
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "inner" / "a").read_text() == "a"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_failure_leaves_nothing_and_keeps_what_there_was(tmp_path: Path, kind):
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with whole(tmp_path / "a") as written:
            if kind == "folder":
                written.mkdir()
            (written / "b" if kind == "folder" else written).write_text("new")
            raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_all_of_it_is_flushed_before_the_name_and_the_name_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steps: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(disk.os, "fsync", lambda number: steps.append(Path(f"/proc/self/fd/{number}").readlink().name))
    monkeypatch.setattr(Path, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    written = tmp_path / "written"
    written.mkdir()
    (written / "a").write_text("a")
    commit(written, tmp_path / "model")
    assert steps == ["a", "written", "rename", tmp_path.name]


@pytest.mark.parametrize(("code", "raises"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_file_systems_that_cannot_flush_a_folder_are_no_error(tmp_path, monkeypatch, code, raises):
    def refuse(number: int) -> None:
        if Path(f"/proc/self/fd/{number}").readlink().is_dir():
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(disk.os, "fsync", refuse)
    try:
        with whole(tmp_path / "a") as written:
            written.write_text("a")
        assert not raises
    except OSError:
        assert raises
    assert (tmp_path / "a").read_text() == "a"


def test_leftovers_of_a_writer_that_has_ended_are_removed_after_a_day(tmp_path: Path, ended_name):
    path = tmp_path / ended_name
    path.write_text("half")
    remove_leftovers(tmp_path)
    assert path.exists()
    age(path)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_process_writes_is_kept_however_old(tmp_path: Path):
    path = temporary(tmp_path / "a")
    path.write_text("half")
    age(path)
    remove_leftovers(tmp_path)
    assert path.exists()


@pytest.mark.parametrize(
    "name",
    [
        ".000000000000-1-5-0123456789ab.tmp",
        ".000000000000-1-5-0123456789ab.tmp-journal",
        f".debian-{'0' * 32}.npz-{'a' * 32}",
        f".model-{'a' * 32}",
    ],
)
def test_leftovers_of_unknown_writers_are_removed_after_a_day(tmp_path: Path, name):
    path = tmp_path / name
    path.write_text("half")
    remove_leftovers(tmp_path)
    assert path.exists()
    age(path)
    remove_leftovers(tmp_path)
    assert not path.exists()


def test_a_folder_is_as_old_as_the_newest_in_it(tmp_path: Path, ended_name):
    folder = tmp_path / ended_name
    folder.mkdir()
    (folder / "a").write_text("new")
    age(folder)
    remove_leftovers(tmp_path)
    assert folder.exists()
    age(folder / "a")
    age(folder)
    remove_leftovers(tmp_path)
    assert not folder.exists()


def test_links_are_removed_without_what_they_point_to(tmp_path: Path, ended_name):
    target = tmp_path / "mine"
    target.mkdir()
    (target / "a").write_text("a")
    link = tmp_path / ended_name
    link.symlink_to(target)
    then = time.time() - TWO_DAYS
    os.utime(link, (then, then), follow_symlinks=False)
    remove_leftovers(tmp_path)
    assert not link.is_symlink()
    assert (target / "a").read_text() == "a"


@pytest.mark.parametrize(
    "name",
    ["ratings.csv", ".hidden", "a.tmp", f"debian-{'0' * 32}.npz", ".cache-0123.tmp", f".cache-{'a' * 32}", ".npz-0123"],
)
def test_files_of_other_names_are_never_removed(tmp_path: Path, name):
    path = tmp_path / name
    path.write_text("mine")
    age(path)
    remove_leftovers(tmp_path)
    assert path.read_text() == "mine"


def test_a_folder_that_is_missing_is_no_error(tmp_path: Path):
    remove_leftovers(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_may_not_be_listed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Path] = []

    def refuse(folder: Path) -> None:
        asked.append(folder)
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    remove_leftovers(tmp_path)
    assert asked == [tmp_path]

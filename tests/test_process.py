"""Whether a process has ended, read from a /proc made by hand."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from edlae_sweeps import process
from edlae_sweeps.process import boot_of, has_ended, machine, process_tags

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc")
# Fields 4 to 21 of /proc/PID/stat.
FIELDS = " ".join(str(field) for field in range(4, 22))


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A function that adds a process to a /proc of its own."""
    monkeypatch.setattr(process, "_PROC", tmp_path)
    # Any number is somebody's, unless a test says otherwise.
    monkeypatch.setattr(os, "kill", lambda *_: None)

    def add(pid: int, state: str, ticks: int, name: str = "python") -> None:
        folder = tmp_path / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(f"{pid} ({name}) {state} {FIELDS} {ticks} 1 2 3\n")

    return add


def tags(pid: int, ticks: int) -> dict[str, str]:
    return {"pid": str(pid), "pid_ticks": str(ticks)}


@linux
@pytest.mark.parametrize("state", ["R", "S", "D", "T", "t", "I"])
def test_a_process_lives_whatever_it_does(proc, state):
    proc(7, state, 1000)
    assert not has_ended(tags(7, 1000))


@linux
@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_has_ended(proc, state):
    proc(7, state, 1000)
    assert has_ended(tags(7, 1000))


@linux
def test_another_process_with_the_same_number(proc):
    proc(7, "R", 1001)
    assert has_ended(tags(7, 1000))


@linux
def test_the_name_of_a_program_may_look_like_fields(proc):
    proc(7, "R", 1000, name="a) Z (1 2 3")
    assert not has_ended(tags(7, 1000))


@linux
@pytest.mark.usefixtures("proc")
@pytest.mark.parametrize(("error", "ended"), [(ProcessLookupError, True), (PermissionError, False)])
def test_a_process_that_proc_hides_is_asked_for_by_a_signal(monkeypatch, error, ended):
    def kill(*_):
        raise error

    monkeypatch.setattr(os, "kill", kill)
    assert has_ended(tags(7, 1000)) is ended


@linux
def test_a_proc_of_another_namespace_names_no_machine(proc, tmp_path):
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot\n")
    proc(1, "R", 5)
    (tmp_path / "self").symlink_to("1")
    (tmp_path / "1/ns").mkdir()
    (tmp_path / "1/ns/pid").write_text("")
    assert machine() != machine()
    (tmp_path / str(os.getpid()) / "ns").mkdir(parents=True)
    (tmp_path / str(os.getpid()) / "ns/pid").write_text("")
    (tmp_path / "self").unlink()
    (tmp_path / "self").symlink_to(str(os.getpid()))
    assert machine() == machine()
    assert boot_of({"machine": machine()}) == "boot"


def test_this_process_lives_and_a_child_that_ended_does_not():
    own = process_tags()
    assert not has_ended(own)
    assert has_ended({**own, "pid_ticks": "1"})
    script = "from edlae_sweeps.process import process_tags; import json; print(json.dumps(process_tags()))"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ended = json.loads(child.stdout)
    assert ended["machine"] == own["machine"]
    assert has_ended(ended)


@linux
def test_identity_does_not_follow_the_clock(monkeypatch):
    before = process_tags()
    create_time = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create_time(self) + 86_400)
    after = process_tags()
    assert after["pid_start"] != before["pid_start"]
    assert after["pid_ticks"] == before["pid_ticks"]
    assert not has_ended(before)


def test_another_namespace_of_processes_is_another_machine():
    """As in a container with the same host name."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    script = [sys.executable, "-c", "from edlae_sweeps.process import machine; print(machine())"]
    try:
        inside = subprocess.run([*unshare, *script], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"unshare needs rights that are missing here: {error}")
    assert inside != machine()
    assert boot_of({"machine": inside}) == boot_of({"machine": machine()})

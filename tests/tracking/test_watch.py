"""Which RUNNING runs are known to be gone: those of this machine at once, of others by Slurm or their heartbeat."""

import os
import socket
from types import SimpleNamespace

import psutil
import pytest

from edlae_sweeps.process import process_tags
from edlae_sweeps.tracking import watch
from edlae_sweeps.tracking.watch import HEARTBEAT, PARENT, SOURCE, STALE_SECONDS, Watch, close, is_local_database

SERVER = "http://127.0.0.1:5000"
OWN = {**process_tags(), "mlflow.source.name": SOURCE}
# As many containers: the same host name, and process numbers of their own.
CONTAINER = {**OWN, "machine": f"{OWN['machine'].partition(':')[0]}:1", "pid": "7", "pid_ticks": "99"}
OTHER = {**CONTAINER, "machine": "another-boot:1"}


def run(name: str, tags: dict[str, str]) -> SimpleNamespace:
    return SimpleNamespace(info=SimpleNamespace(run_id=name), data=SimpleNamespace(tags=tags))


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def names(runs) -> list[str]:
    return [run.info.run_id for run in runs]


def test_processes_of_this_machine_are_known_for_certain(clock):
    runs = [
        run("alive", OWN),
        run("number of another", {**OWN, "pid_ticks": "1"}),
        run("other program", {**OWN, "pid_ticks": "1", "mlflow.source.name": "train.py"}),
        run("no number like that", {**OWN, "pid": str(2**22 + 1)}),
    ]
    assert sorted(names(Watch(SERVER, clock).gone(runs))) == ["no number like that", "number of another"]


def test_a_container_with_the_same_host_name_is_another_machine(clock):
    assert Watch(SERVER, clock).gone([run("container", CONTAINER)]) == []


def test_a_run_of_this_machine_may_be_silent_for_ever(clock):
    watching = Watch(SERVER, clock)
    for clock.now in (0, STALE_SECONDS, 10 * STALE_SECONDS):
        assert watching.gone([run("stopped", OWN)]) == []


def test_a_heartbeat_that_stands_still_for_long_enough(clock):
    watching = Watch(SERVER, clock)
    dead, alive = run("dead", {**OTHER, HEARTBEAT: "3"}), {**OTHER, HEARTBEAT: "3"}
    for clock.now in (0, 600, 1200, STALE_SECONDS - 1):
        assert watching.gone([dead, run("alive", {**alive, HEARTBEAT: str(clock.now)})]) == []
    clock.now = STALE_SECONDS
    assert names(watching.gone([dead, run("alive", {**alive, HEARTBEAT: "4"})])) == ["dead"]


def test_a_late_heartbeat_counts_from_when_it_was_seen(clock):
    watching = Watch(SERVER, clock)
    for clock.now, beat in ((0, "1"), (STALE_SECONDS - 1, "1"), (STALE_SECONDS + 5, "2"), (2 * STALE_SECONDS, "2")):
        assert watching.gone([run("late", {**OTHER, HEARTBEAT: beat})]) == []
    clock.now = 2 * STALE_SECONDS + 5
    assert names(watching.gone([run("late", {**OTHER, HEARTBEAT: "2"})])) == ["late"]


def test_each_watcher_waits_the_whole_time_itself(clock):
    clock.now = 10 * STALE_SECONDS
    assert Watch(SERVER, clock).gone([run("unknown", {**OTHER, HEARTBEAT: "3"})]) == []


def test_a_run_without_any_beat_goes_stale_too(clock):
    watching = Watch(SERVER, clock)
    assert watching.gone([run("young", OTHER)]) == []
    clock.now = STALE_SECONDS
    assert names(watching.gone([run("young", OTHER)])) == ["young"]


def test_nested_runs_go_with_their_parent_and_before_it(clock):
    watching = Watch(SERVER, clock)

    def job(beat: int) -> list:
        return [run("job", {**OTHER, HEARTBEAT: str(beat)}), run("cell", {**OTHER, PARENT: "job"})]

    for clock.now in (0, STALE_SECONDS, 2 * STALE_SECONDS):
        assert watching.gone(job(int(clock.now))) == []
    clock.now = 3 * STALE_SECONDS
    assert names(watching.gone(job(2 * STALE_SECONDS))) == ["cell", "job"]


def test_a_nested_run_whose_parent_is_closed_goes_stale_by_itself(clock):
    watching = Watch(SERVER, clock)
    assert watching.gone([run("cell", {**OTHER, PARENT: "closed job"})]) == []
    clock.now = STALE_SECONDS
    assert names(watching.gone([run("cell", {**OTHER, PARENT: "closed job"})])) == ["cell"]


def test_an_older_version_has_no_heartbeat_and_is_judged_on_its_host_alone(clock):
    me = psutil.Process().create_time()
    old = {"mlflow.source.name": SOURCE, "host": socket.gethostname(), "pid": str(os.getpid()), "pid_start": f"{me}"}
    runs = [
        run("alive", old),
        run("gone", {**old, "pid_start": f"{me - 1000}"}),
        run("elsewhere", {**old, "host": "elsewhere", "pid_start": "1.0"}),
        run("unknown", {"mlflow.source.name": SOURCE}),
    ]
    watching = Watch(SERVER, clock)
    assert names(watching.gone(runs)) == ["gone"]
    clock.now = 10 * STALE_SECONDS
    assert names(watching.gone(runs)) == ["gone"]


def test_after_a_restart_the_runs_in_a_local_database_are_gone(clock, monkeypatch):
    # A container of this boot may write to it, another boot can't.
    runs = [run("before", OTHER), run("container", CONTAINER), run("own", OWN)]
    monkeypatch.setattr(watch, "is_local_database", lambda _: True)
    assert names(Watch("sqlite:////data/mlflow.db", clock).gone(runs)) == ["before"]
    monkeypatch.setattr(watch, "is_local_database", lambda _: False)
    assert Watch("sqlite:////shared/mlflow.db", clock).gone(runs) == []


@pytest.mark.parametrize(
    ("uri", "local"),
    [
        ("sqlite:////home/me/mlflow.db", True),
        ("sqlite:////home/me/nfs/mlflow.db", False),
        ("sqlite:////home/mean/mlflow.db", True),
        ("sqlite+pysqlite:////mnt/lustre/mlflow.db", False),
        ("http://127.0.0.1:5000", False),
        ("postgresql://127.0.0.1/mlflow", False),
    ],
)
def test_a_database_is_local_where_its_file_system_is(monkeypatch, uri, local):
    mounts = {"/": "overlay", "/home": "ext4", "/home/me": "xfs", "/home/me/nfs": "nfs4", "/mnt/lustre": "lustre"}
    partitions = [SimpleNamespace(mountpoint=mount, fstype=kind) for mount, kind in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: partitions)
    assert is_local_database(uri) is local


def test_a_run_that_was_finished_after_the_look_stays_finished():
    ended = []
    client = SimpleNamespace(
        get_run=lambda name: SimpleNamespace(info=SimpleNamespace(status="FINISHED" if name == "late" else "RUNNING")),
        set_terminated=lambda name, status: ended.append((name, status)),
    )
    assert close(client, [run("late", OWN), run("dead", OWN)]) == 1
    assert ended == [("dead", "KILLED")]

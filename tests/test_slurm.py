"""Whether the Slurm job of a run is over, with commands made by hand."""

import os
from pathlib import Path

import pytest

from edlae_sweeps import slurm
from edlae_sweeps.slurm import Queue, cluster, slurm_tags

CONFIG = "Configuration data as of now\nClusterName             = linux\nSlurmctldHost[0]        = head(10.0.0.1)\n"
JOB = {
    "slurm_job": "41",
    "slurm_restarts": "0",
    "slurm_cluster": "linux@head(10.0.0.1)",
    "slurm_user": str(os.getuid()),
}


@pytest.fixture
def commands(tmp_path: Path, monkeypatch):
    """A function that gives a command its output and exit status."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def command(name: str, output: str, status: int = 0) -> None:
        (folder / f"{name}.txt").write_text(output)
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\ncat {folder}/{name}.txt\nexit {status}\n')
        (folder / name).chmod(0o755)

    command("scontrol", CONFIG)
    cluster.cache_clear()
    yield command
    cluster.cache_clear()


@pytest.mark.parametrize(
    ("queue", "over"),
    [
        ("41      0     RUNNING \n42      0     PENDING \n", False),
        # Requeued: the job starts once more.
        ("41      1     PENDING \n", True),
        ("41      1     RUNNING \n", True),
        # Its processes are being stopped.
        ("41      1     COMPLETING \n", False),
        ("410     0     RUNNING \n4       0     RUNNING \n", True),
        ("", True),
    ],
)
def test_a_job_that_is_not_listed_is_over(commands, queue, over):
    commands("squeue", queue)
    assert Queue().over({"run": JOB}) == ({"run"} if over else set())


def test_the_second_life_of_a_requeued_job_is_not_over(commands):
    commands("squeue", "41 1 RUNNING\n")
    assert Queue().over({"first": JOB, "second": {**JOB, "slurm_restarts": "1"}}) == {"first"}


@pytest.mark.parametrize(
    "changes",
    [{"slurm_cluster": "linux@head(10.0.0.2)"}, {"slurm_cluster": ""}, {"slurm_user": "12345"}, {"slurm_job": ""}],
    ids=["another cluster", "unknown cluster", "another user", "no job"],
)
def test_jobs_that_this_user_may_not_see_are_not_judged(commands, changes):
    commands("squeue", "")
    assert Queue().over({"run": {**JOB, **changes}}) == set()


def test_a_queue_that_fails_says_nothing(commands):
    commands("squeue", "", status=1)
    assert Queue().over({"run": JOB}) == set()


def test_no_slurm_here(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    cluster.cache_clear()
    assert cluster() == ""
    assert Queue().over({"run": JOB}) == set()
    cluster.cache_clear()


def test_the_controller_is_asked_now_and_then_alone(commands, tmp_path, monkeypatch):
    commands("squeue", "41 0 RUNNING\n")
    now = 0.0
    monkeypatch.setattr(slurm.time, "monotonic", lambda: now)
    queue = Queue()
    for now in range(0, 61, 2):  # noqa: B007 - the clock reads it
        queue.over({"run": JOB})
    calls = [line for line in (tmp_path / "bin/calls").read_text().splitlines() if "noheader" in line]
    assert len(calls) == 3


@pytest.mark.usefixtures("commands")
def test_tags_of_a_job(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURMD_NODENAME", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert slurm_tags() == {}
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    # The shell of salloc is outside the job, and may outlive it.
    assert slurm_tags() == {}
    monkeypatch.setenv("SLURMD_NODENAME", "node1")
    assert slurm_tags() == JOB
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert slurm_tags() == {**JOB, "slurm_restarts": "2"}

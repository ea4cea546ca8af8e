"""The commands of Slurm: the job that this process runs in, and which jobs are over."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache

# The least seconds between two requests to a controller that all users share.
_QUEUE_SECONDS = 30
_TIMEOUT_SECONDS = 20


def output(*command: str) -> str | None:
    """What a command of Slurm prints; None if it is missing or fails."""
    try:
        # Without a shell; the arguments are our own and numbers of jobs that Slurm gave.
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def slurm_tags() -> dict[str, str]:
    """Tags of the Slurm job that this process runs in; none outside a job, and in the shell that salloc opens."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job or "SLURMD_NODENAME" not in os.environ:
        return {}
    return {
        "slurm_job": job,
        "slurm_restarts": os.environ.get("SLURM_RESTART_COUNT", "0"),
        "slurm_cluster": cluster(),
        "slurm_user": str(os.getuid()),
    }


@cache
def cluster() -> str:
    """Name and controller of the cluster that the commands of Slurm see here; empty if there is none.

    Many clusters are called `cluster` or `linux`.
    """
    lines = (output("scontrol", "show", "config") or "").splitlines()
    pairs = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    name, controller = pairs.get("ClusterName"), pairs.get("SlurmctldHost[0]")
    return f"{name}@{controller}" if name and controller else ""


class Queue:
    """The jobs that are waiting or running on the cluster."""

    def __init__(self) -> None:
        self._read = -float("inf")

    def over(self, runs: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Those of RUNNING `runs` (id → tags) whose Slurm job is over or was started again.

        They must have been read from the store before the call. Only jobs of this user and cluster count, as Slurm may
        hide those of others. A queue that can't be read, or was read less than 30 s ago, says nothing.
        """
        asked = {run: tags for run, tags in runs.items() if _visible(tags)}
        if not asked or time.monotonic() - self._read < _QUEUE_SECONDS:
            return set()
        self._read = time.monotonic()
        text = output("squeue", "--noheader", "--all", "--array", "--Format=JobID:32,RestartCnt:16,State:24")
        if text is None:
            return set()
        listed = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
        return {run for run, tags in asked.items() if _is_over(listed.get(tags["slurm_job"]), tags["slurm_restarts"])}


def _is_over(listed: Sequence[str] | None, restarts: str) -> bool:
    """Whether a job is no longer listed, or is requeued: it keeps its number and is counted as started once more.

    `listed`: restarts and state in the queue. A COMPLETING job may have processes that are being stopped.
    """
    if listed is None:
        return True
    count, state = listed
    return state != "COMPLETING" and int(count) > int(restarts)


def _visible(tags: Mapping[str, str]) -> bool:
    """Whether the queue that is seen here has the job of a run while it lives."""
    own = bool(tags.get("slurm_job")) and tags.get("slurm_user") == str(os.getuid())
    return own and bool(tags.get("slurm_cluster")) and tags["slurm_cluster"] == cluster()

"""RUNNING runs whose process is gone, and closing them as KILLED.

- A run of this machine is gone if its process is. A process that is stopped or busy lives.
- On a local disk, only this machine writes to an SQLite database: a run of another boot is gone.
- A run of another machine is gone if its Slurm job is over.
- Otherwise it is gone if its heartbeat, an integer tag that its process raises, did not change for `STALE_SECONDS` of
  the watcher's own clock. A run nested below another has the heartbeat of that one.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from sqlalchemy import make_url

from edlae_sweeps.process import boot_of, had_ended, has_ended, machine
from edlae_sweeps.slurm import Queue

SOURCE = "edlae_sweeps"
PARENT = "mlflow.parentRunId"
HEARTBEAT = "heartbeat"
# LAPACK may keep Python from running for minutes, and with it the thread that raises the heartbeat.
STALE_SECONDS = 1800
# File systems that no other machine writes to; overlay is that of a container.
_LOCAL_DISKS = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}
_log = logging.getLogger(__name__)


class Watch:
    """Watches RUNNING runs; it remembers when it saw each heartbeat first."""

    def __init__(self, uri: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._local = is_local_database(uri)
        self._clock = clock
        self._queue = Queue()
        self._beats: dict[str, tuple[str, float]] = {}

    def gone(self, running: Sequence[MlflowRun]) -> list[MlflowRun]:
        """Those of the RUNNING runs, just read from the store, whose process is gone; nested ones come first."""
        here = machine()
        tags = {run.info.run_id: run.data.tags for run in running if run.data.tags.get("mlflow.source.name") == SOURCE}
        gone = {run for run, own in tags.items() if self._has_ended(own, here)}
        elsewhere = {
            run: own for run, own in tags.items() if own.get("machine") not in (None, here) and run not in gone
        }
        stale = self._stale(elsewhere)
        gone |= self._queue.over(elsewhere) | stale
        gone |= {run for run, own in elsewhere.items() if own.get(PARENT) in stale}
        return sorted((run for run in running if run.info.run_id in gone), key=lambda run: PARENT not in run.data.tags)

    def _has_ended(self, tags: Mapping[str, str], here: str) -> bool:
        """What this machine knows for certain."""
        try:
            if "machine" not in tags:
                known = tags.get("host") == socket.gethostname() and {"pid", "pid_start"} <= tags.keys()
                return known and had_ended(tags)
            if tags["machine"] == here:
                return has_ended(tags)
        # Tags that this program did not write name no process.
        except (KeyError, ValueError, OverflowError):
            return False
        boot, own = boot_of(tags), boot_of({"machine": here})
        return self._local and bool(boot) and bool(own) and boot != own

    def _stale(self, runs: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Runs whose heartbeat has been the same for too long."""
        now = self._clock()
        beats = {run: tags.get(HEARTBEAT, "") for run, tags in runs.items() if tags.get(PARENT) not in runs}
        before = self._beats
        self._beats = {
            run: before[run] if run in before and before[run][0] == beat else (beat, now) for run, beat in beats.items()
        }
        return {run for run, (_, since) in self._beats.items() if now - since >= STALE_SECONDS}


def running(client: MlflowClient, experiments: Sequence[str], extra: str = "") -> list[MlflowRun]:
    """The RUNNING runs of this program, of one moment if they fit on a page (1,000 runs)."""
    query = f"attributes.status = 'RUNNING' and tags.`mlflow.source.name` = '{SOURCE}'{extra}"
    return pages(client, experiments, query)


def pages(client: MlflowClient, experiments: Sequence[str], query: str, size: int = 1000) -> list[MlflowRun]:
    """All runs that match an MLflow filter, oldest first, in pages of `size`. Each run of a page takes 100 KiB."""
    # A run that starts to match while pages are read moves others to the next page, where they come a second time.
    runs: dict[str, MlflowRun] = {}
    token: str | None = None
    while True:
        order = ["attributes.start_time ASC"]
        page = client.search_runs(list(experiments), query, max_results=size, order_by=order, page_token=token)
        runs |= {run.info.run_id: run for run in page}
        token = page.token
        if not token:
            return list(runs.values())


def close(client: MlflowClient, gone: Iterable[MlflowRun]) -> int:
    """Mark runs whose process is gone as KILLED, and say so; return how many."""
    # Read again: a process may have finished its run and ended since the run was read as RUNNING.
    left = [run for run in gone if client.get_run(run.info.run_id).info.status == "RUNNING"]
    for run in left:
        client.set_terminated(run.info.run_id, "KILLED")
    if left:
        names = sorted({f"{run.data.tags.get('pid')} on {run.data.tags.get('host')}" for run in left})
        _log.warning("marked %d run(s) as KILLED: their process is gone (%s)", len(left), ", ".join(names))
    return len(left)


def close_all(client: MlflowClient, watch: Watch) -> int:
    """The same for all experiments."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return close(client, watch.gone(running(client, experiments))) if experiments else 0


def is_local_database(uri: str) -> bool:
    """Whether the store is an SQLite database on a local disk."""
    if not uri.startswith("sqlite"):
        return False
    path = os.path.realpath(Path(make_url(uri).database or ""))
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    above = [mount for mount in mounts if Path(path).is_relative_to(mount)]
    return bool(above) and mounts[max(above, key=len)] in _LOCAL_DISKS

"""What the jobs of a launcher may use, how they are stopped, and whether one is still alive."""

import logging
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from edlae_sweeps.cli.multirun import Multirun
from edlae_sweeps.memory import available_memory
from edlae_sweeps.resources import GIB, cores
from edlae_sweeps.slurm import output

# Runs its jobs in this process, one after another.
IN_PROCESS = "basic"
# Launchers whose jobs share the parent's terminal; those of others have log files in its place.
SHARES_TERMINAL = ("joblib", "ray", "ray_aws")
# Seconds that stopped jobs have to close their runs: a call of LAPACK delays them.
_GRACE = 60
_POLL = 0.2
_log = logging.getLogger(__name__)


def jobs_at_once(launcher: str, options: DictConfig, jobs: int) -> int:
    """How many jobs of a launcher run at the same time on this machine; 1 if they run elsewhere."""
    if launcher == "joblib":
        wanted = int(options.n_jobs)
        # joblib counts from the end: -1 is all processors, -2 all but one.
        return min(max(1, jobs), wanted if wanted > 0 else max(1, cores() + 1 + wanted))
    if launcher == "submitit_local":
        return max(1, jobs)
    if launcher == "ray" and OmegaConf.select(options, "ray.init.address") is None:
        each = OmegaConf.select(options, "ray.remote.num_cpus") or 1
        return min(max(1, jobs), max(1, int(cores() // each)))
    return 1


def share(launcher: str, options: DictConfig, jobs: int) -> dict[str, Any]:
    """`at_once`, and the default `threads` and `memory` (GiB) of each job where several run at once on this machine."""
    at_once = jobs_at_once(launcher, options, jobs)
    if at_once == 1:
        return {}
    each = OmegaConf.select(options, "cpus_per_task") or OmegaConf.select(options, "ray.remote.num_cpus")
    threads = min(cores(), max(1, int(each))) if each else max(1, cores() // at_once)
    return {"at_once": at_once, "threads": threads, "memory": round(available_memory() / at_once / GIB, 2)}


def stop_jobs(multirun: Multirun) -> None:
    """Let no further job start, ask those that run to stop, and wait until they have closed their runs."""
    multirun.stop()
    running = [job for job in multirun.started() if not job.ended]
    submitted = _slurm_ids(multirun)
    if not running and not submitted:
        return
    _log.warning("stopping %d job(s); Ctrl-C again leaves them to themselves", max(len(running), len(submitted)))
    if submitted:
        # Those that have not started yet, too.
        output("scancel", "--", *submitted)
    else:
        for job in running:
            # Jobs of Ray on other machines end with the parent.
            if job.here:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(int(job.process["pid"]), signal.SIGTERM)
    wait_for_jobs(multirun, _GRACE)


def wait_for_jobs(multirun: Multirun, seconds: float | None = None) -> None:
    """Wait until no job runs or is queued, for at most this long."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        submitted = _slurm_ids(multirun)
        if submitted:
            queued = listed()
            if queued is not None and not submitted & queued:
                return
        elif all(job.ended for job in multirun.started()):
            return
        time.sleep(2 if submitted else _POLL)


def _slurm_ids(multirun: Multirun) -> set[str]:
    """The Slurm ids of the jobs, as submitit names their folders."""
    if multirun.submitit is None:
        return set()
    return {path.name for path in Path(multirun.submitit).glob("[0-9]*") if re.fullmatch(r"\d+(_\d+)?", path.name)}


def listed() -> set[str] | None:
    """The ids of this user's jobs that Slurm still queues or runs; None if it does not answer."""
    ids = output("squeue", "--noheader", "--array", "--me", "--format", "%i")
    return None if ids is None else set(ids.split())


def watch_queue() -> None:
    """Let submitit ask Slurm's queue about its jobs: its own way needs accounting, without which it waits for ever."""
    from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

    # submitit belongs to an extra, without which its classes have no type.
    class QueueWatcher(SlurmInfoWatcher):  # type: ignore[misc]
        """A job that the queue no longer lists has ended."""

        def update(self) -> None:
            queued = listed()
            self._last_status_check = time.time()
            if queued is not None:
                for job_id in self._registered - self._finished:
                    self._info_dict[job_id] = {"JobID": job_id, "State": "RUNNING" if job_id in queued else "COMPLETED"}
                self._finished |= {job_id for job_id in self._registered if self.is_done(job_id, mode="cache")}

    SlurmJob.watcher = QueueWatcher(delay_s=15)

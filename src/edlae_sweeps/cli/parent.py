"""The parent of a multirun: lists its jobs, shows each as it ends, and sums up, whatever the launcher."""

import json
import logging
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from edlae_sweeps.cli.compose import typed
from edlae_sweeps.cli.errors import USER_ERROR
from edlae_sweeps.cli.hydra_app import end, one_line
from edlae_sweeps.cli.launchers import IN_PROCESS, share, stop_jobs, wait_for_jobs, watch_queue
from edlae_sweeps.cli.multirun import JobFile, Multirun
from edlae_sweeps.cli.output import print_error, print_text
from edlae_sweeps.cli.passwords import show_bug
from edlae_sweeps.cli.signals import SIGNAL_STATUS, before_stop
from edlae_sweeps.errors import TrackingError
from edlae_sweeps.settings import Tracking, redacted

_POLL = 1.0
_BUG = 1
_log = logging.getLogger(__name__)
# Hydra makes the callback, and nothing else of it reaches the command.
_announced: "Parent | None" = None


def announced() -> "Parent | None":
    """The multirun of this process; None if it has none."""
    return _announced


def forget() -> None:
    """Forget the multirun: the next command in this process has its own."""
    global _announced
    _announced = None


class Announce(Callback):
    """Hydra calls it as a multirun starts (conf/config.yaml). A launcher passes it to its workers, where it is idle."""

    def on_multirun_start(self, config: DictConfig, **_kwargs: Any) -> None:
        """Write the list of jobs and prepare the launcher; end the command if that fails."""
        global _announced
        try:
            _announced = _start(config)
        # Hydra would warn of it, and run jobs that nobody shows.
        except Exception as error:  # noqa: BLE001
            message = one_line(error)
            if message is None:
                show_bug(type(error), error, error.__traceback__)
                sys.exit(_BUG)
            end(message, USER_ERROR)


class Parent:
    """The jobs of a multirun as the command that started it shows them."""

    def __init__(self, multirun: Multirun, tracking: Tracking) -> None:
        self._multirun, self._tracking = multirun, tracking
        self.ended = False
        self._shown: set[int] = set()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        if multirun.launcher == IN_PROCESS:
            return
        if multirun.launcher == "submitit_slurm":
            watch_queue()
        before_stop(lambda: stop_jobs(multirun))
        self._watcher.start()

    def show(self, job: JobFile) -> None:
        """Show a job that has ended, once; again if it has been back in the queue."""
        if job.state == "running":
            self._shown.discard(job.number)
        if job.number in self._shown or job.state == "running":
            return
        self._shown.add(job.number)
        if job.printed:
            print_text(job.printed.rstrip("\n"))
        if job.state == "finished":
            self._describe_data(job)
            done = f"{len(self._shown)} of {len(self._multirun.names)}, " if self._multirun.names else ""
            cells = ", ".join(f"{cell['name']} {cell['metrics']['test/ndcg_100']:.4f}" for cell in job.results)
            _log.info("%sjob %s: finished%s", done, job.title, f", test nDCG@100: {cells}" if cells else "")
        elif job.state == "crashed":
            for line in job.error.splitlines():
                print_error(line)
            print_error(f"error: job {job.title} ended by a bug: {job.error.splitlines()[-1]}")
        elif job.state == "failed":
            print_error(f"error: job {job.title}: {job.error}")
        else:
            print_error(f"job {job.title}: {job.error}")

    def _describe_data(self, job: JobFile) -> None:
        """Log the data of a job that ran elsewhere, once for all jobs with the same."""
        if self._multirun.launcher == IN_PROCESS:
            return
        # It imports MLflow, as the summary at the end does.
        from edlae_sweeps.jobs.run import describe_once

        # The job may have been skipped, or its folder be gone.
        with suppress(OSError, ValueError):
            describe_once(json.loads((job.folder / "dataset.json").read_text(encoding="utf-8")))

    def launcher_failed(self, error: Exception) -> str | None:
        """One line for what a launcher raised, once none of its jobs runs any more; None if it had none."""
        if self._multirun.launcher == IN_PROCESS:
            return None
        print_error(f"launcher {self._multirun.launcher}: {_line(error)}")
        wait_for_jobs(self._multirun)
        return ""

    def stop(self) -> None:
        """Stop the jobs of a launcher that has ended itself."""
        stop_jobs(self._multirun)

    def end(self, error: str, status: int) -> tuple[str, int]:
        """Print the results of all jobs; add what became of the others to `error` and `status`."""
        self.ended = True
        if self._watcher.is_alive():
            self._over.set()
            self._watcher.join()
        jobs = self._multirun.started()
        for job in jobs:
            self.show(job)
        self._print_summary(jobs)
        ends = {
            "failed": [job for job in jobs if job.state in ("failed", "crashed")],
            "stopped": [job for job in jobs if job.state == "stopped"],
            "ended without a result": [job for job in jobs if job.state == "running"],
            # Composition errors end a multirun before its first job.
            "not started": [job for job in jobs if job.state == "skipped"] + (self._multirun.missing() if jobs else []),
        }
        if ends["ended without a result"]:
            self._close_runs()
        words = [
            f"{len(those)} {name}: {', '.join(job.title for job in those)}" for name, those in ends.items() if those
        ]
        if not words:
            return error, status
        # After a stop, the last line says so anyway.
        if status <= SIGNAL_STATUS and any(those for name, those in ends.items() if name != "failed"):
            words.append("the same command computes what is missing")
        told = f"of {max(len(self._multirun.names), len(jobs))} jobs, {'; '.join(words)}"
        crashed = any(job.state == "crashed" for job in jobs)
        return "; ".join(filter(None, [error, told])), status or (_BUG if crashed else USER_ERROR)

    def _close_runs(self) -> None:
        """Close the runs of processes that were killed; a store that does not answer leaves that to the next start."""
        from edlae_sweeps.tracking import Store

        with suppress(TrackingError):
            Store(self._tracking.uri, Path(self._tracking.dir)).close_orphans()

    def _print_summary(self, jobs: Sequence[JobFile]) -> None:
        finished = [job for job in jobs if job.results]
        if not finished:
            return
        # They import MLflow.
        from edlae_sweeps.cli.summary import print_summary
        from edlae_sweeps.jobs import Result

        results = [(job.label, [Result(**result) for result in job.results]) for job in finished]
        print_summary(results, self._tracking)

    def _watch(self) -> None:
        while not self._over.wait(_POLL):
            for job in self._multirun.started():
                # The terminal may be closed by now.
                with suppress(OSError):
                    self.show(job)


def _start(config: DictConfig) -> "Parent":
    """The multirun of this process, with its list of jobs written."""
    tracking = typed(config.tracking, Tracking)
    hydra_config = config.hydra
    launcher = hydra_config.runtime.choices["hydra/launcher"]
    names = _names(hydra_config)
    submitit = None
    if launcher == "submitit_slurm":
        submitit = str(Path(hydra_config.launcher.submitit_folder).parent)
    defaults = share(launcher, hydra_config.launcher, len(names))
    multirun = Multirun(Path(hydra_config.sweep.dir), launcher, names, submitit=submitit, **defaults)
    multirun.write()
    return Parent(multirun, tracking)


def _names(hydra_config: DictConfig) -> list[str]:
    """What each job of Hydra's own sweeper varies, in its order; empty for another sweeper."""
    sweeper = hydra_config.sweeper
    if not str(sweeper._target_).endswith(".BasicSweeper"):
        return []
    given = [f"{key}={value}" for key, value in (sweeper.params or {}).items()]
    given += [str(override) for override in hydra_config.overrides.task]
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    overrides = parser.parse_overrides(given)
    # A key on the command line replaces the same one of the sweeper.
    varied = {override.get_key_element(): override.is_sweep_override() for override in overrides}
    jobs = [job for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]
    return [",".join(part for part in job if varied.get(part.partition("=")[0])) for job in jobs]


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return redacted(f"{type(error).__name__}: {lines[0]}") if lines else type(error).__name__

"""One job of a multirun, wherever its launcher runs it: what became of it is written to its folder."""

import dataclasses
import io
import logging
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from edlae_sweeps.cli.launchers import IN_PROCESS, SHARES_TERMINAL
from edlae_sweeps.cli.multirun import JobFile, Multirun
from edlae_sweeps.cli.signals import stop_signals, stop_then
from edlae_sweeps.errors import EdlaeSweepsError
from edlae_sweeps.settings import Settings, redacted

if TYPE_CHECKING:
    from edlae_sweeps.jobs import Result

_log = logging.getLogger(__name__)
# By one of these, submitit has Slurm announce a time limit or a preemption.
_ANNOUNCED = (signal.SIGUSR1, signal.SIGUSR2)
# Takes a composed configuration and the multirun; returns the settings and the results of the job.
RunJob = Callable[[DictConfig, Multirun], "tuple[Settings, Sequence[Result]]"]


def run_and_record(config: DictConfig, run: RunJob) -> JobFile:
    """Run a job of a multirun and record how it ended. In the parent's own process, a stop is raised again."""
    hydra_config = HydraConfig.get()
    multirun = Multirun.read(Path(hydra_config.sweep.dir))
    job = multirun.job(hydra_config.job.num, Path(hydra_config.runtime.output_dir))
    here = multirun.launcher == IN_PROCESS
    if reason := _reason_to_skip(config, multirun):
        return job.update("skipped", error=reason)
    printed = io.StringIO()
    try:
        with nullcontext() if here else _worker(multirun, printed):
            job = job.update("running")
            try:
                settings, results = run(config, multirun)
                content = [_content(result) for result in results]
                job = job.update("finished", label=settings.dataset.label, results=content, printed=printed.getvalue())
            except KeyboardInterrupt as stop:
                job = job.update("stopped", error=_reason_of(stop), printed=printed.getvalue())
                raise
    except KeyboardInterrupt:
        if here:
            raise
    except EdlaeSweepsError as error:
        job = job.update("failed", error=redacted(str(error)), printed=printed.getvalue())
    # Raised further, it would hide the results of the other jobs.
    except Exception:  # noqa: BLE001
        _log.exception("job %s", job.title)
        job = job.update("crashed", error=redacted(traceback.format_exc().strip()), printed=printed.getvalue())
    return job


def _reason_of(stop: KeyboardInterrupt) -> str:
    """Why a job stopped."""
    if getattr(stop, "signum", None) in _ANNOUNCED:
        return f"stopped near its time limit ({stop}); hydra.launcher.max_num_timeout says how often it may go on"
    return f"stopped by {str(stop) or 'Ctrl-C'}"


def _reason_to_skip(config: DictConfig, multirun: Multirun) -> str:
    """Why a job does not start; empty if it does."""
    if multirun.stopped:
        return "the multirun was stopped"
    if "on_error" in config and config.on_error.name == "stop":
        failed = [job.title for job in multirun.started() if job.state in ("failed", "crashed")]
        return f"on_error=stop, and job {failed[0]} failed" if failed else ""
    return ""


@contextmanager
def _worker(multirun: Multirun, printed: io.StringIO) -> Iterator[None]:
    """A process of a launcher: stops are heard, and the terminal is the parent's, which shows what a job left."""
    # It imports rich.
    from edlae_sweeps.console import hide_progress

    hide_progress()
    if multirun.launcher in SHARES_TERMINAL:
        root = logging.getLogger()
        for handler in [handler for handler in root.handlers if type(handler) is logging.StreamHandler]:
            root.removeHandler(handler)
    with redirect_stdout(printed), stop_signals(), stop_then(_ANNOUNCED[0]), stop_then(_ANNOUNCED[1]):
        yield


def _content(result: "Result") -> dict[str, object]:
    """The fields of a result as JSON can hold them."""
    fields = (field.name for field in dataclasses.fields(result))
    values = {name: getattr(result, name) for name in fields}
    return {name: value if isinstance(value, str) else dict(value) for name, value in values.items()}

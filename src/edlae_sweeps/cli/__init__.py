"""The entry: compose → typed settings → check → run; a user's error is one line and exit status 2."""

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cells import Cell
from edlae_sweeps.cli.config import conf_dir, register, typed
from edlae_sweeps.cli.failures import describe
from edlae_sweeps.cli.summary import print_summary
from edlae_sweeps.console import print_error, print_line, stage
from edlae_sweeps.errors import ConfigError, DataError, EdlaeSweepsError
from edlae_sweeps.experiment import run_job
from edlae_sweeps.reporting import report as write_report
from edlae_sweeps.settings import OnError, ReportSettings, Settings
from edlae_sweeps.tracking import Store, redacted

_USER_ERROR = 2
_log = logging.getLogger(__name__)
# What the jobs of this process left: the summary of a multirun comes after all of them.
_finished: list[tuple[Settings, list[Cell]]] = []
_failed: list[str] = []
_hook_before = sys.unraisablehook


class Stopped(KeyboardInterrupt):
    """The process was told to stop by a signal other than Ctrl-C."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    def __str__(self) -> str:
        return signal.Signals(self.signum).name


def main() -> None:
    """Run from the command line; the exit status is 0, 2 for a user's error, or 128 + the signal that stopped it."""
    guarded("config", _task)
    if _failed:
        _end(f"{len(_failed)} job(s) failed: {'; '.join(_failed)}", _USER_ERROR)
    _end()


def report() -> None:
    """The report from the command line; exit status as of `main`."""
    guarded("report", _report)
    _end()


def guarded(config_name: str, task: Callable[[DictConfig], None]) -> None:
    """Let Hydra compose a configuration and call `task`; what a user can have caused ends in one line."""
    # Hydra would exit by itself with a shortened traceback.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # A variable that is set to nothing is not set.
    for name in ("EDLAE_SWEEPS_DATA", "MLFLOW_TRACKING_URI"):
        if os.environ.get(name) == "":
            del os.environ[name]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # The λ and ± of a table are not worth losing it.
            stream.reconfigure(errors="replace")
    _hear_signals()
    register()
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(task)()
    except KeyboardInterrupt as stop:
        _end(
            f"stopped by {stop if isinstance(stop, Stopped) else 'Ctrl-C'}",
            128 + getattr(stop, "signum", signal.SIGINT),
        )
    except (HydraException, OmegaConfBaseException) as error:
        _end(describe(error, conf_dir()), _USER_ERROR)
    except EdlaeSweepsError as error:
        _end(str(error), _USER_ERROR)
    except ValueError as error:
        # How Hydra refuses method=null and =5.
        if not str(error).startswith("Config group override"):
            raise
        _end(f"{error}; write group=choice", _USER_ERROR)
    except OSError as error:
        # Hydra makes its output folder before the job can check it. An OSError that names no file is a bug.
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        remedy = "free some space, or choose a folder that can be written by tracking.dir or data_dir"
        _end(f"{error.filename or 'disk'}: {error.strerror}; {remedy}", _USER_ERROR)


def _end(error: str = "", status: int = 0) -> NoReturn:
    """Show what was finished, then what went wrong, and exit."""
    # The terminal may be gone by now.
    with suppress(OSError):
        if _finished:
            print_summary(_finished)
        if error:
            print_error(f"error: {error}")
    sys.exit(status)


def _hear_signals() -> None:
    if sys.unraisablehook is not _tell_again:
        global _hook_before
        _hook_before = sys.unraisablehook
        sys.unraisablehook = _tell_again
    for signum in (signal.SIGTERM, signal.SIGHUP):
        # nohup and its like have set it to be ignored, and mean it.
        if signal.getsignal(signum) is signal.SIG_DFL:
            signal.signal(signum, _stop)


def _tell_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python drops what is raised in a finaliser: a signal to stop that came just then is raised anew, outside it."""
    stop = unraisable.exc_value
    if not isinstance(stop, KeyboardInterrupt):
        _hook_before(unraisable)
        return

    def again(*_: object) -> NoReturn:
        raise stop

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    # A closing terminal hangs up more than once: a second signal must not interrupt what the first one set in motion.
    for again in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    raise Stopped(signum)


def _task(config: DictConfig) -> None:
    """One job, as Hydra calls it."""
    hydra_config = HydraConfig.get()
    multirun = hydra_config.mode is RunMode.MULTIRUN
    # Other launchers run their jobs in other processes, which must listen and speak for themselves.
    here = not multirun or hydra_config.runtime.choices["hydra/launcher"] == "basic"
    overrides = "".join(f"- {override}\n" for override in hydra_config.overrides.task) or "[]\n"
    if not here:
        _hear_signals()
    try:
        settings = typed(config, Settings)
        # A tracking URI may carry a password.
        texts = {"config.yaml": OmegaConf.to_yaml(config, resolve=True), "overrides.yaml": overrides}
        composed = {name: redacted(text) for name, text in texts.items()}
        cells = run_job(settings, Path(hydra_config.runtime.output_dir), composed, multirun)
    except EdlaeSweepsError as error:
        if not multirun:
            _end(str(error), _USER_ERROR)
        if not here:
            raise
        # Raised on, it would take the other jobs of the multirun with it.
        name = hydra_config.job.override_dirname
        print_error(f"error: job {hydra_config.job.num} ({name}): {error}")
        _failed.append(name)
        if config.on_error == OnError.stop:
            _end(f"stopped after a failed job: {name}", _USER_ERROR)
        return
    if not cells:
        return
    if here:
        _finished.append((settings, cells))
    else:
        print_summary([(settings, cells)])


def _report(config: DictConfig) -> None:
    """The report of each data set that is asked for, or that the store has."""
    try:
        _write_reports(typed(config, ReportSettings))
    except EdlaeSweepsError as error:
        # Raised on, it would be told twice.
        _end(str(error), _USER_ERROR)


def _write_reports(settings: ReportSettings) -> None:
    settings.check()
    store = Store(settings.tracking.uri, Path(settings.tracking.dir))
    names = store.existing() if settings.datasets is None else settings.datasets
    done = 0
    for name in names:
        try:
            with stage(f"report {name}") as advance:
                made = write_report(store, name, Path(settings.tracking.dir) / "reports", advance)
        except DataError as error:
            if settings.datasets is not None:
                raise
            # Of a server that is shared, not every experiment is ours.
            _log.warning("%s", error)
            continue
        done += 1
        for line in made.left_out:
            _log.warning("%s: left out: %s", name, line)
        print_line(f"{name}: {made.page}")
    if not done:
        raise ConfigError("there is nothing to report on: run python -m edlae_sweeps first, or name it by datasets")

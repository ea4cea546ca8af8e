"""`python -m edlae_sweeps`: compose → typed settings → run, for one job or a multirun."""

import dataclasses
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from edlae_sweeps.cli import hydra_app
from edlae_sweeps.cli.compose import register_resolvers, typed
from edlae_sweeps.cli.errors import USER_ERROR
from edlae_sweeps.cli.hydra_app import run_app
from edlae_sweeps.cli.output import print_error
from edlae_sweeps.cli.signals import stop_signals
from edlae_sweeps.errors import EdlaeSweepsError
from edlae_sweeps.settings import Settings

if TYPE_CHECKING:
    from edlae_sweeps.jobs import Result


def main() -> NoReturn:
    """Run the command line; the exit status is that of `run_app`, and 2 if a job of a multirun failed."""
    jobs = Jobs()
    run_app("config", jobs.task, jobs.end)


class Jobs:
    """The jobs of one command. `task` runs one, `end` shows the results of all.

    A launcher pickles `task` for its worker processes, whose copies start without results.
    """

    def __init__(self) -> None:
        self._finished: list[tuple[Settings, Sequence[Result]]] = []
        self._failed: list[str] = []

    def task(self, config: DictConfig) -> None:
        """One job, as Hydra calls it."""
        hydra_config = HydraConfig.get()
        # The basic launcher runs its jobs in this process. The workers of another one have no signal handlers and no
        # resolvers yet, and print their own results.
        if hydra_config.mode is RunMode.RUN or hydra_config.runtime.choices["hydra/launcher"] == "basic":
            self._run_here(config)
        else:
            register_resolvers()
            with stop_signals():
                finished = _run(config)
                if finished[1]:
                    _print_summary([finished])
                    _register(*finished)

    def end(self, error: str = "", status: int = 0) -> NoReturn:
        """Show the finished jobs, then what went wrong, and exit."""
        if self._failed and not status:
            error, status = f"{len(self._failed)} job(s) failed: {'; '.join(self._failed)}", USER_ERROR
        # The terminal may be closed by now.
        with suppress(OSError):
            if self._finished:
                _print_summary(self._finished)
        hydra_app.end(error, status)

    def _run_here(self, config: DictConfig) -> None:
        try:
            finished = _run(config)
            if finished[1]:
                self._finished.append(finished)
                _register(*finished)
        except EdlaeSweepsError as error:
            self._fail(str(error), config)

    def _fail(self, error: str, config: DictConfig) -> None:
        """End a single run. In a multirun go on: raised further, the error would end the other jobs too."""
        hydra_config = HydraConfig.get()
        if hydra_config.mode is RunMode.RUN:
            self.end(error, USER_ERROR)
        name = hydra_config.job.override_dirname
        print_error(f"error: job {hydra_config.job.num} ({name}): {error}")
        self._failed.append(name)
        if "on_error" in config and config.on_error.name == "stop":
            self.end(f"stopped after a failed job: {name}", USER_ERROR)


def _run(config: DictConfig) -> "tuple[Settings, Sequence[Result]]":
    """The settings and the results of one job."""
    hydra_config = HydraConfig.get()
    settings = typed(config, Settings)
    if settings.register:
        settings = dataclasses.replace(settings, save_model=True)
    # They import MLflow and SciPy's statistics, which take seconds: not before the settings are known to be good.
    from edlae_sweeps.jobs import run_job
    from edlae_sweeps.tracking import redacted

    overrides = "".join(f"- {override}\n" for override in hydra_config.overrides.task) or "[]\n"
    # A tracking URI may contain a password.
    command = shlex.join(["python", "-m", "edlae_sweeps", *hydra_config.overrides.task])
    texts = {
        "config.yaml": OmegaConf.to_yaml(config, resolve=True),
        "overrides.yaml": overrides,
        "command.txt": command,
    }
    composed = {name: redacted(text) for name, text in texts.items()}
    multirun = hydra_config.mode is RunMode.MULTIRUN
    return settings, run_job(settings, Path(hydra_config.runtime.output_dir), composed, multirun)


def _register(settings: Settings, results: "Sequence[Result]") -> None:
    """Register the best result of a job if it asks for that."""
    if settings.register:
        # It imports MLflow.
        from edlae_sweeps.cli.register import register_results

        register_results(settings, results)


def _print_summary(jobs: "Sequence[tuple[Settings, Sequence[Result]]]") -> None:
    # It imports MLflow.
    from edlae_sweeps.cli.summary import print_summary

    print_summary(jobs)

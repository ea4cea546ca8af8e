"""`python -m edlae_sweeps`: compose → typed settings → run, for one job or a multirun."""

import dataclasses
import signal
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
from edlae_sweeps.cli.multirun import Multirun
from edlae_sweeps.cli.parent import announced, forget
from edlae_sweeps.cli.worker import run_and_record
from edlae_sweeps.errors import EdlaeSweepsError
from edlae_sweeps.imports import quick_imports
from edlae_sweeps.settings import Settings, masked_uri, shell_line

if TYPE_CHECKING:
    from edlae_sweeps.jobs import Result


def main() -> NoReturn:
    """Run the command line; the exit status is that of `run_app`, 2 if a job failed, 1 if it ended by a bug."""
    try:
        run_app("config", task, end, one_line)
    except SystemExit as stop:
        # Ray replaces the handler of SIGTERM by one that exits.
        if (parent := announced()) and not parent.ended:
            parent.stop()
            end("stopped by SIGTERM", 128 + signal.SIGTERM)
        raise stop
    finally:
        forget()


def task(config: DictConfig) -> None:
    """One job, as Hydra calls it: in this process, or in one of a launcher's, which has no resolvers yet."""
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        register_resolvers()
        job = run_and_record(config, _run)
        if parent := announced():
            # The basic launcher runs its jobs in this process.
            parent.show(job)
        return
    try:
        settings, results = _run(config, None)
    except EdlaeSweepsError as error:
        # Raised further, Hydra would log it too.
        end(str(error), USER_ERROR)
    if results:
        # It imports MLflow.
        from edlae_sweeps.cli.summary import print_summary

        print_summary([(settings.dataset.label, results)], settings.tracking)


def end(error: str = "", status: int = 0) -> NoReturn:
    """Show what the jobs of a multirun left, then what went wrong, and exit."""
    if parent := announced():
        # The terminal may be closed by now.
        with suppress(OSError):
            error, status = parent.end(error, status)
    hydra_app.end(error, status)


def one_line(error: Exception) -> str | None:
    """One line for an error that the user can fix, or that a launcher met; None for a bug."""
    message, parent = hydra_app.one_line(error), announced()
    return parent.launcher_failed(error) if message is None and parent else message


def _run(config: DictConfig, multirun: Multirun | None) -> "tuple[Settings, Sequence[Result]]":
    """The settings and the results of one job."""
    hydra_config = HydraConfig.get()
    settings = typed(config, Settings)
    if settings.register:
        settings = dataclasses.replace(settings, save_model=True)
    if multirun is not None:
        threads, memory = settings.threads or multirun.threads, settings.memory or multirun.memory
        settings = dataclasses.replace(settings, threads=threads, memory=memory)
    # They import MLflow and SciPy's statistics, which take seconds: not before the settings are known to be good.
    with quick_imports():
        from edlae_sweeps.jobs import run_job

    overrides = "".join(f"- {override}\n" for override in hydra_config.overrides.task) or "[]\n"
    values = OmegaConf.to_container(config, resolve=True)
    # Hydra's own files have the name of a variable of the environment; this one has values.
    if isinstance(values, dict) and settings.tracking.uri is not None:
        values["tracking"]["uri"] = masked_uri(settings.tracking.uri)
    composed = {
        "config.yaml": OmegaConf.to_yaml(values),
        "overrides.yaml": overrides,
        "command.txt": shell_line(["python", "-m", "edlae_sweeps", *hydra_config.overrides.task]),
    }
    beside = multirun is not None and multirun.at_once > 1
    results = run_job(settings, Path(hydra_config.runtime.output_dir), composed, multirun is not None, beside)
    if settings.register and results:
        from edlae_sweeps.cli.register import register_results

        register_results(settings, results)
    return settings, results

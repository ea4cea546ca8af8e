"""`python -m edlae_sweeps.report`: compose → typed settings → a report for each data set."""

import logging
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig

from edlae_sweeps.cli.compose import typed
from edlae_sweeps.cli.errors import USER_ERROR
from edlae_sweeps.cli.hydra_app import end, run_app
from edlae_sweeps.errors import ConfigError, DataError, EdlaeSweepsError
from edlae_sweeps.imports import quick_imports
from edlae_sweeps.settings import ReportSettings

_log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Run the command line; the exit status is that of `run_app`."""
    run_app("report", task)


def task(config: DictConfig) -> None:
    """Write the reports, as Hydra calls it."""
    try:
        write_reports(typed(config, ReportSettings))
    except EdlaeSweepsError as error:
        # Raised further, Hydra would log it too.
        end(str(error), USER_ERROR)


def write_reports(settings: ReportSettings) -> None:
    """Write the report of each data set in `settings.datasets`, or of all in the store."""
    # They import MLflow and matplotlib, which take seconds: not before the settings are known to be good.
    with quick_imports():
        from edlae_sweeps.console import print_line, stage
        from edlae_sweeps.reporting import report
        from edlae_sweeps.tracking import Store

        folder = Path(settings.tracking.dir)
        store = Store(settings.tracking.uri, folder, create=False)
    names = store.existing() if settings.datasets is None else settings.datasets
    written = 0
    for name in names:
        try:
            with stage(f"report {name}") as advance:
                made = report(store, name, folder / "reports", advance)
        except DataError as error:
            if settings.datasets is not None:
                raise
            # A shared server has experiments of other applications.
            _log.warning("%s", error)
            continue
        written += 1
        for line in made.left_out:
            _log.warning("%s: left out: %s", name, line)
        print_line(f"{name}: {made.page}")
    if not written:
        raise ConfigError("there is nothing to report on: run python -m edlae_sweeps first, or set datasets")

"""`python -m edlae_sweeps.merge`: compose → typed settings → the runs of another store are copied."""

import logging
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig

from edlae_sweeps.cli.compose import typed
from edlae_sweeps.cli.errors import USER_ERROR
from edlae_sweeps.cli.hydra_app import end, run_app
from edlae_sweeps.errors import ConfigError, EdlaeSweepsError
from edlae_sweeps.imports import quick_imports
from edlae_sweeps.settings import MergeSettings, masked_uri

_log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Run the command line; the exit status is that of `run_app`."""
    run_app("merge", task)


def task(config: DictConfig) -> None:
    """Merge, as Hydra calls it."""
    try:
        merge_store(typed(config, MergeSettings))
    except EdlaeSweepsError as error:
        # Raised further, Hydra would log it too.
        end(str(error), USER_ERROR)


def merge_store(settings: MergeSettings) -> None:
    """Copy the finished runs of `settings.source` that the store lacks, and print a table of them."""
    # They import MLflow, which takes seconds: not before the settings are known to be good.
    with quick_imports():
        from edlae_sweeps.console import print_table, stage
        from edlae_sweeps.serving import log_model
        from edlae_sweeps.tracking import Store, database_uri
        from edlae_sweeps.tracking.merge import merge
        from edlae_sweeps.tracking.source import Source

    folder, name = Path(settings.tracking.dir), settings.source or ""
    # Before the store, which would be created.
    source = Source(name, settings.tracking.uri or database_uri(folder.absolute()))
    store = Store(settings.tracking.uri, folder)
    with stage("merge") as advance:
        merged = merge(source, store, folder, settings.datasets, log_model, advance)
    if not merged:
        raise ConfigError(
            f"there is nothing to merge: source={masked_uri(name)} has no finished cells or evaluations of edlae_sweeps"
        )
    rows = [(part.dataset, part.kind, str(part.copied), str(part.present)) for part in merged]
    print_table(f"merged from {masked_uri(name)}", ("data set", "runs", "copied", "there already"), rows, ("runs",))
    if left_out := sum(part.left_out for part in merged):
        _log.warning("left out: %d run(s) whose artifacts are gone; copy artifacts/ beside mlflow.db too", left_out)

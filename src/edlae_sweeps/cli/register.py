"""`python -m edlae_sweeps.register`: compose → typed settings → the best cell of each data set is registered."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from edlae_sweeps.cli.compose import typed
from edlae_sweeps.cli.errors import USER_ERROR
from edlae_sweeps.cli.hydra_app import end, run_app
from edlae_sweeps.errors import ConfigError, DataError, EdlaeSweepsError
from edlae_sweeps.imports import quick_imports
from edlae_sweeps.settings import RegisterSettings, Settings, command, recorded_settings

if TYPE_CHECKING:
    from edlae_sweeps.jobs import Result
    from edlae_sweeps.jobs.registration import Candidate, Fitted
    from edlae_sweeps.serving.registry import Registry, Version

_log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Run the command line; the exit status is that of `run_app`."""
    run_app("register", task)


def task(config: DictConfig) -> None:
    """Register the models, as Hydra calls it."""
    try:
        register_best(typed(config, RegisterSettings), Path(HydraConfig.get().runtime.output_dir))
    except EdlaeSweepsError as error:
        # Raised further, Hydra would log it too.
        end(str(error), USER_ERROR)


def register_best(settings: RegisterSettings, output: Path) -> None:
    """Register the best cell of each data set in `settings.datasets`, or of all in the store.

    A model that has to be fitted for this is written below `output`.
    """
    # They import MLflow, which takes seconds: not before the settings are known to be good.
    with quick_imports():
        from edlae_sweeps.jobs.registration import best_cell
        from edlae_sweeps.tracking import Store

        store = Store(settings.tracking.uri, Path(settings.tracking.dir), create=False)
    names = store.existing() if settings.datasets is None else settings.datasets
    registered = 0
    for name in names:
        try:
            candidate = best_cell(store, name, settings.methods)
        except DataError as error:
            if settings.datasets is not None:
                raise
            # A shared server has experiments of other applications.
            _log.warning("%s", error)
            continue
        register_cell(candidate, settings, output / name)
        registered += 1
    if not registered:
        raise ConfigError("there is nothing to register: run python -m edlae_sweeps first, or set datasets")


def register_results(settings: Settings, results: "Sequence[Result]") -> None:
    """Register the best of the results of a job, whose models were kept."""
    from edlae_sweeps.jobs.registration import candidate_of
    from edlae_sweeps.serving.registry import check_name
    from edlae_sweeps.tracking import DatasetRecord, Store

    check_name(settings.dataset.label)
    best = max(results, key=lambda result: result.metrics["validation/ndcg_100"])
    store = Store(settings.tracking.uri, Path(settings.tracking.dir))
    experiment = store.experiment(settings.dataset.label, DatasetRecord(settings.dataset.label, ""), [])
    cells = experiment.cells(best.tags["run_key"])
    options = RegisterSettings(data_dir=settings.data_dir, tracking=settings.tracking)
    register_cell(candidate_of(experiment, cells[-1]), options, Path(settings.tracking.dir))


def register_cell(candidate: "Candidate", settings: RegisterSettings, output: Path) -> None:
    """Register one cell, fitted again if its model was not kept, and print what became of it."""
    from edlae_sweeps.console import print_line
    from edlae_sweeps.jobs.registration import accuracy, in_words, register_model, registered_version
    from edlae_sweeps.serving.registry import Registry

    registry = Registry(candidate.experiment.uri)
    present = registered_version(registry, candidate, settings.refit)
    if present is not None:
        _print_registered(registry, candidate, present, settings.champion)
        return
    before = registry.champion(candidate.dataset)
    fitted = _fitted(registry, candidate, settings, output)
    version, verdict = register_model(registry, candidate, fitted, settings.champion)
    print_line(
        f"{version.name}: registered version {version.number}: {in_words(candidate.cell)}, "
        f"test nDCG@100 {accuracy(fitted.measured)}, run {fitted.model_run}"
    )
    if fitted.refit == "all":
        print_line("  fitted on all users; its test metrics are those of the same method fitted on the training users")
    stays = "none" if before is None else f"version {before.number} stays"
    print_line(f"  champion: {f'version {version.number}' if verdict.promoted else stays}; {verdict.reason}")
    recommend = command({"model": version.name if verdict.promoted else version.uri}, "recommend")
    print_line(f"  recommend: {recommend} 'items=[NAME,...]'")


def _fitted(registry: "Registry", candidate: "Candidate", settings: RegisterSettings, output: Path) -> "Fitted":
    """The model of a cell: the one that it kept, or a new fit of its recorded configuration."""
    from edlae_sweeps.jobs.refit import refit_all, refit_split
    from edlae_sweeps.jobs.registration import Fitted

    experiment, cell = candidate.experiment, candidate.cell
    if settings.refit == "split" and registry.logged_model(experiment.id, cell.id) is not None:
        return Fitted(cell.id, cell, "split")
    with tempfile.TemporaryDirectory() as folder:
        config = _config(experiment.fetch(cell.id, "config.yaml", Path(folder)), cell.id)
    recorded = recorded_settings(cell.params, config, settings.data_dir, settings.tracking)
    output.mkdir(parents=True, exist_ok=True)
    if settings.refit == "all":
        return Fitted(refit_all(recorded, cell, experiment, output), cell, "all")
    run = refit_split(recorded, cell, experiment, output)
    return Fitted(run.id, run, "split")


def _config(file: Path, run_id: str) -> dict[str, Any]:
    """The config.yaml of a run; DataError if it is damaged."""
    try:
        config = OmegaConf.to_container(OmegaConf.create(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, YAMLError, OmegaConfBaseException):
        config = None
    if not isinstance(config, dict):
        raise DataError(f"run {run_id}: its config.yaml is damaged; run the job again with save_model=true")
    return {str(key): value for key, value in config.items()}


def _print_registered(registry: "Registry", candidate: "Candidate", version: "Version", champion: bool | None) -> None:
    """Say that a cell is registered already; make it the champion if that was asked for."""
    from edlae_sweeps.console import print_line
    from edlae_sweeps.jobs.registration import in_words

    present = registry.champion(candidate.dataset)
    if champion and (present is None or present.number != version.number):
        registry.promote(version)
        present = version
    print_line(
        f"{version.name}: nothing to do: {in_words(candidate.cell)} is version {version.number} already "
        f"(run {version.run_id})"
    )
    hint = "" if champion or (present and present.number == version.number) else "; champion=true replaces it"
    print_line(f"  champion: {'none' if present is None else f'version {present.number}'}{hint}")

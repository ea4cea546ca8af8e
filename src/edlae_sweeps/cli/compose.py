"""The configuration: registration of its schemas, and typed settings from a composed one."""

from collections.abc import Mapping
from typing import TypeVar

import platformdirs
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cli.errors import describe, near, unknown_key
from edlae_sweeps.cli.keys import conf_dir, dataset_keys
from edlae_sweeps.cli.schema import UnknownKeyError, schema, to_options
from edlae_sweeps.cli.versions import register_resolver, schema_store
from edlae_sweeps.datasets import DATASETS, DatasetSettings
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import METHODS
from edlae_sweeps.options import Options
from edlae_sweeps.settings import (
    PARALLELS,
    TUNES,
    Evaluation,
    MergeSettings,
    RecommendSettings,
    RegisterSettings,
    ReportSettings,
    Settings,
    Tracking,
)

T = TypeVar("T", bound=Options)


def register() -> None:
    """Register the schemas and resolvers that conf/ refers to. A schema has the name of its choice in conf/."""
    register_resolvers()
    store = schema_store()
    store.store(group="schema", name="settings", node=schema(Settings))
    store.store(group="schema", name="report", node=schema(ReportSettings))
    store.store(group="schema", name="recommend", node=schema(RecommendSettings))
    store.store(group="schema", name="register", node=schema(RegisterSettings))
    store.store(group="schema", name="merge", node=schema(MergeSettings))
    store.store(group="schema", name="evaluation", node=schema(Evaluation))
    store.store(group="schema", name="tracking", node=schema(Tracking))
    registries: dict[str, Mapping[str, type[Options]]] = {
        "dataset": DATASETS,
        "method": METHODS,
        "tune": TUNES,
        "parallel": PARALLELS,
    }
    for group, registry in registries.items():
        for name, options in registry.items():
            store.store(group=f"schema/{group}", name=name, node=schema(options, name))


def register_resolvers() -> None:
    """Register the resolvers alone: OmegaConf does not pass them on to the processes of a launcher."""
    register_resolver("user_cache_dir", _user_cache_dir)


def _user_cache_dir() -> str:
    return platformdirs.user_cache_dir("edlae_sweeps")


def typed(config: DictConfig, kind: type[T]) -> T:
    """A composed configuration as settings of that kind; ConfigError for a key that is missing, wrong or unknown."""
    try:
        settings = to_options(config)
    except UnknownKeyError as error:
        raise ConfigError(unknown_key(error.name, conf_dir(), error.choice)) from error
    except OmegaConfBaseException as error:
        raise ConfigError(describe(error, conf_dir())) from error
    if not isinstance(settings, kind):
        raise TypeError(f"{type(settings).__name__} composed, {kind.__name__} expected")
    if isinstance(settings, Settings):
        _check_dataset_keys(settings.dataset)
    return settings


def _check_dataset_keys(dataset: DatasetSettings) -> None:
    """Raise ConfigError for a key of dataset.start or dataset.search that nothing reads."""
    set_keys = [f"dataset.search.{name}" for name in dataset.search]
    for method, options in dataset.start.items():
        if not isinstance(options, Mapping):
            raise ConfigError(f"dataset.start.{method}={options}: choose a group of keys")
        set_keys += [f"dataset.start.{method}.{name}" for name in options]
    known = dataset_keys(conf_dir())
    for key in set_keys:
        if key not in known:
            kind, option = ("method" if ".start." in key else "tune.search"), key.rpartition(".")[2]
            raise ConfigError(f"{key}: no method reads this key{near(key, known)}; {kind}.{option} sets it for a job")

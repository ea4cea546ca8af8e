"""The configuration: where conf/ is, its schemas, and how a composed one becomes typed settings."""

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cli.failures import describe, unknown_key
from edlae_sweeps.cli.keys import documentation
from edlae_sweeps.datasets import DATASETS
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import METHODS
from edlae_sweeps.settings import TUNES, ReportSettings, Settings

T = TypeVar("T")
_PACKAGE = Path(__file__).parents[1]


def conf_dir() -> Path:
    """The absolute folder of the configuration files: inside an installed package, or at the top of a checkout."""
    installed = _PACKAGE / "conf"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "conf"


def register() -> None:
    """Make the schemas and the resolvers known that conf/ refers to. A schema is named as its choice in conf/."""
    store = ConfigStore.instance()
    store.store(group="schema", name="settings", node=Settings)
    store.store(group="schema", name="report", node=ReportSettings)
    for name, dataset in DATASETS.items():
        store.store(group="schema/dataset", name=name, node=dataset)
    for name, method in METHODS.items():
        store.store(group="schema/method", name=name, node=method)
    for name, tune in TUNES.items():
        store.store(group="schema/tune", name=name, node=tune)
    OmegaConf.register_new_resolver("user_cache_dir", lambda: platformdirs.user_cache_dir("edlae_sweeps"), replace=True)
    OmegaConf.register_new_resolver("key_documentation", lambda name: documentation(conf_dir(), name), replace=True)


def typed(config: DictConfig, kind: type[T]) -> T:
    """The composed configuration as settings of that kind; ConfigError for a key that is missing, wrong or unknown."""
    nested = [(config[name], f"{name}.") for name in ("dataset", "method", "tune", "tracking") if name in config]
    for node, prefix in [(config, ""), *nested]:
        schema: Any = OmegaConf.get_type(node)
        known = {field.name for field in fields(schema)}
        if missing := {*known - set(node), *(name for name in known & set(node) if OmegaConf.is_missing(node, name))}:
            raise ConfigError(f"{prefix}{min(missing)}: no value; see --help")
        if added := set(node) - known:
            raise ConfigError(unknown_key(f"{prefix}{min(added)}", conf_dir()))
    try:
        settings = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(describe(error, conf_dir())) from error
    # The configuration names its schema itself.
    assert isinstance(settings, kind)  # noqa: S101
    return settings

"""The configuration: where conf/ is, its schemas, and how a composed one becomes typed settings."""

from pathlib import Path

import platformdirs
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from edlae_sweeps.cli.keys import documentation
from edlae_sweeps.datasets import DATASETS
from edlae_sweeps.methods import METHODS
from edlae_sweeps.settings import Settings

_PACKAGE = Path(__file__).parents[1]


def conf_dir() -> Path:
    """The absolute folder of the configuration files: inside an installed package, or at the top of a checkout."""
    installed = _PACKAGE / "conf"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "conf"


def register() -> None:
    """Make the schemas and the resolvers known that conf/ refers to. A schema is named as its choice in conf/."""
    store = ConfigStore.instance()
    store.store(group="schema", name="settings", node=Settings)
    for name, dataset in DATASETS.items():
        store.store(group="schema/dataset", name=name, node=dataset)
    for name, method in METHODS.items():
        store.store(group="schema/method", name=name, node=method)
    OmegaConf.register_new_resolver("user_cache_dir", lambda: platformdirs.user_cache_dir("edlae_sweeps"), replace=True)
    OmegaConf.register_new_resolver("key_documentation", lambda: documentation(conf_dir()), replace=True)


def typed(config: DictConfig) -> Settings:
    """Typed settings of a composed configuration."""
    settings = OmegaConf.to_object(config)
    if not isinstance(settings, Settings):
        raise TypeError(f"the configuration composes to {type(settings).__name__}, not to Settings")
    return settings

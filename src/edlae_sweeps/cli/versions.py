"""What differs between Hydra 1.3 with OmegaConf 2.3 and Hydra 1.4 with OmegaConf 2.4. Delete it with the older pair."""

from collections.abc import Callable
from typing import Any

import hydra
import omegaconf
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf


def _at_least(version: str, wanted: tuple[int, int]) -> bool:
    return tuple(int(part) for part in version.split(".")[:2]) >= wanted


_RECENT = _at_least(hydra.__version__, (1, 4))
# For Hydra's functions that read a configuration: 1.3 warns without version_base, and 1.4 warns of it.
VERSION_BASE: dict[str, Any] = {} if _RECENT else {"version_base": "1.3"}
# For hydra.main: of the classes that conf/ names, such as callbacks, 1.4 makes those of the list without a warning.
MAIN: dict[str, Any] = {"execution_whitelist": "edlae_sweeps.cli.*"} if _RECENT else VERSION_BASE


def register_resolver(name: str, resolver: Callable[..., Any]) -> None:
    """Register a resolver, in place of one of that name."""
    # Each version warns of the other's function; before 2.4, register_resolver was one with other parameters.
    recent = _at_least(omegaconf.__version__, (2, 4))
    getattr(OmegaConf, "register_resolver" if recent else "register_new_resolver")(name, resolver, replace=True)


def schema_store() -> ConfigStore:
    """Hydra's store without the schemas of an earlier registration: 1.4 warns of a name that is stored twice."""
    store = ConfigStore.instance()
    store.repo.pop("schema", None)
    return store

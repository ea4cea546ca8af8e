"""Hydra schemas made from options, and a composed configuration turned back into options.

OmegaConf can't hold the options themselves: it has no Literal and no tuple, and Hydra can't override frozen classes.
"""

import types
from collections.abc import Mapping
from dataclasses import field, fields, make_dataclass
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING, Container, DictConfig, OmegaConf

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.options import Options


def schema(options: type[Options], choice: str = "") -> type[Any]:
    """A structured config with the fields of `options`, for Hydra's ConfigStore.

    Literals become enums, tuples lists, and nested options `Any`: a schema of their own fills them. Every field but a
    mapping is missing until conf/ sets it. A mapping with the metadata `open` takes keys that conf/ does not have.
    `choice` is the name by which a config group knows these options.
    """
    hints = get_type_hints(options)
    columns: list[tuple[str, Any, Any]] = []
    for option in fields(options):
        kind = _omega_type(hints[option.name], option.name)
        default: Any = field(default=MISSING)
        if kind == dict[str, Any]:
            default = field(default_factory=_open_mapping if option.metadata.get("open") else dict)
        columns.append((option.name, kind, default))
    return make_dataclass(options.__name__, columns, namespace={"options": options, "choice": choice})


def _open_mapping() -> DictConfig:
    """An empty mapping that takes new keys where the configuration around it does not."""
    return DictConfig({}, flags={"struct": False})


def options_of(node: DictConfig) -> type[Options] | None:
    """The options whose schema a node has; None for a node without one."""
    kind: Any = getattr(OmegaConf.get_type(node), "options", None)
    return kind if isinstance(kind, type) and issubclass(kind, Options) else None


def to_options(node: DictConfig, prefix: str = "") -> Options:
    """The options that a composed node describes; `prefix` is its key with a dot, for messages.

    Raises ConfigError for a key that is missing or out of range, UnknownKeyError for one that the options don't have,
    and OmegaConf's errors for a value of another type.
    """
    kind = options_of(node)
    if kind is None:
        name = prefix.removesuffix(".")
        raise ConfigError(f"{name}: this choice has no schema; begin its defaults with /schema/{name}@_here_: NAME")
    names = [option.name for option in fields(kind)]
    if missing := [name for name in names if name not in node or OmegaConf.is_missing(node, name)]:
        raise ConfigError(f"{prefix}{min(missing)}: no value; see --help {prefix}{min(missing)}")
    if added := {str(name) for name in node} - set(names):
        raise UnknownKeyError(f"{prefix}{min(added)}", choice_of(node))
    hints = get_type_hints(kind)
    return kind(**{name: _value(node[name], hints[name], f"{prefix}{name}") for name in names})


class UnknownKeyError(Exception):
    """A key that the options don't have; `choice` is the choice of the group that was composed, if any."""

    def __init__(self, name: str, choice: str) -> None:
        super().__init__(name)
        self.name = name
        self.choice = choice


def choice_of(node: object) -> str:
    """The choice that a node was composed from: `closed` for `method`; empty for a node without one."""
    schema_class: Any = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
    return str(getattr(schema_class, "choice", ""))


def _value(value: Any, hint: Any, name: str) -> Any:
    if _is_options(hint):
        if not isinstance(value, DictConfig):
            raise ConfigError(f"{name}={value}: this is a group of keys; set them one by one, see --help {name}")
        return to_options(value, f"{name}.")
    if isinstance(value, Container):
        return OmegaConf.to_container(value, resolve=True, enum_to_str=True)
    return value.name if isinstance(value, Enum) else value


def _omega_type(hint: Any, name: str) -> Any:
    """The type that OmegaConf has for an annotation."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        first, *rest = (_omega_type(member, name) for member in arguments)
        for member in rest:
            first = first | member
        return first
    if origin is Literal:
        return Enum(name, {value: value for value in arguments})
    if origin is tuple:
        return types.GenericAlias(list, (arguments[0],))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, Any]
    return Any if _is_options(hint) else hint


def _is_options(hint: Any) -> bool:
    # Method[Any] is no type, its origin is.
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Options)

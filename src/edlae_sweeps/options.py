"""Options as dataclasses: defaults in the class, checked when an object is made, printed without the defaults."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from edlae_sweeps.errors import ConfigError

_KINDS = {
    bool: "true or false",
    int: "a whole number below 2**63",
    float: "a number",
    str: "a text of UTF-8 without NUL",
}
# Databases and arrays hold whole numbers below this.
_MOST = 2**63


@dataclass(frozen=True, kw_only=True, repr=False)
class Options:
    """Base of every class of options. A subclass gives each field a default and checks ranges in `check`.

    Fields may be bool, int, float, str, Literal, tuple[...] of these, dict, or other Options, each optionally None.
    Whole numbers are accepted for float fields and stored as floats, so that 10 and 10.0 are the same option. Numbers
    of NumPy are stored as Python's.
    """

    # The first part of a key in messages and on the command line: "method." for method.l2.
    prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            object.__setattr__(self, field.name, self._typed(field.name, hints[field.name]))
        self.check()

    def check(self) -> None:
        """Raise ConfigError for a value outside its range."""

    def _typed(self, name: str, hint: Any) -> Any:
        """The value of a field in the type of its annotation; ConfigError where it has another one."""
        value = getattr(self, name)
        members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        if value is None and type(None) in members:
            return None
        for member in members:
            if get_origin(member) is Literal:
                if value in get_args(member) and isinstance(value, str):
                    return str(value)
                raise ConfigError(f"{self.prefix}{name}={value}: choose from {', '.join(get_args(member))}")
            if get_origin(member) is tuple:
                kind = get_args(member)[0]
                if isinstance(value, list | tuple) and all(_fits(element, kind) for element in value):
                    return tuple(_converted(element, kind) for element in value)
            elif _fits(value, member):
                return _converted(value, member)
        kinds = " or ".join(_kind(member) for member in members if member is not type(None))
        raise ConfigError(f"{self.prefix}{name}={value}: choose {kinds}{' or null' if type(None) in members else ''}")

    def __repr__(self) -> str:
        """The constructor's call, without the fields that have their default."""
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != _default(field)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _fits(value: Any, kind: Any) -> bool:
    """Whether a field of this type takes the value."""
    if kind in (int, float):
        number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
        return number and (kind is float or -_MOST <= value < _MOST)
    if kind is str:
        return isinstance(value, str) and _is_text(value)
    if _is_mapping(kind):
        return isinstance(value, Mapping)
    return kind is not type(None) and (kind is not bool or isinstance(value, bool))


def _is_text(value: str) -> bool:
    """Whether file systems, databases and tables take a text: no NUL, and no bytes that are not UTF-8."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _converted(value: Any, kind: Any) -> Any:
    """The value in the type of its field."""
    if kind not in (int, float, str):
        return value
    try:
        return kind(value)
    # A whole number that no float holds.
    except OverflowError:
        return float("inf")


def _kind(member: Any) -> str:
    """A type in words."""
    if _is_mapping(member):
        return "a group of keys"
    if get_origin(member) is tuple:
        return f"a list, each entry {_KINDS.get(get_args(member)[0], 'a value')}"
    return _KINDS.get(member, "another value")

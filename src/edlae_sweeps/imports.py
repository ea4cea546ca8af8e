"""Imports of large libraries by a command, without the garbage collector; and of packages that may be missing."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from edlae_sweeps.errors import MissingExtra

if sys.version_info >= (3, 12):
    from typing import override
elif TYPE_CHECKING:
    from typing_extensions import override
else:
    F = TypeVar("F", bound=Callable[..., Any])

    def override(method: F) -> F:
        """Mark a method that overrides one of a base class, as Python 3.12 does; for type checkers."""
        return method


__all__ = ["needed", "override", "quick_imports"]


def needed(package: str, what: str) -> Any:
    """The module of a package that not every use needs. Raises MissingExtra, which names both, if it is missing."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise missing(package, what) from error


def missing(package: str, what: str) -> MissingExtra:
    """The error of `what` without a package."""
    return MissingExtra(f"{what} needs the package {package}: pip install {package}")


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keep the garbage collector off in the block, and let it never look at the objects that the block leaves.

    MLflow and what it needs make about a million objects that stay until the process ends. Searching them for garbage,
    at every step of the import and as the process ends, takes more than half as long as the import itself. It is for
    commands: in a notebook, objects that exist already would never be freed if they refer to each other. So would those
    of the first job in a later one, so a block that imports nothing new leaves the collector all that there is.
    """
    collecting = gc.isenabled()
    # What is garbage now would never be freed. This is quick: it skips what an earlier block has left.
    gc.collect()
    gc.disable()
    modules = len(sys.modules)
    try:
        yield
    finally:
        if len(sys.modules) > modules:
            gc.freeze()
        if collecting:
            gc.enable()

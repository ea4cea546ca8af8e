"""Imports of large libraries by a command, without the garbage collector."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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

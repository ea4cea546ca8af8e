"""Imports of large libraries by a command, without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keep the garbage collector off in the block, and let it never look at the objects that the block leaves.

    MLflow and what it needs make about a million objects that stay until the process ends. Searching them for garbage,
    at every step of the import and as the process ends, takes more than half as long as the import itself. It is for
    commands: in a notebook, objects that exist already would never be freed if they refer to each other.
    """
    collecting = gc.isenabled()
    # What is garbage now would never be freed. This is quick: it skips what an earlier block has left.
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()

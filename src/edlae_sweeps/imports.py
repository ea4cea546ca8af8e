"""Imports of large libraries, without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Keep the garbage collector off in the block, and let it never look at the objects that the block leaves.

    MLflow and what it needs make about a million objects that stay until the process ends. To search them for garbage
    again and again takes as long as half of their import, and once more as much when the process ends.
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

"""Work on blocks (n, b) in parts of their rows, on several threads."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from edlae_sweeps.resources import unthreaded_blas

# Columns of a block: a row of 16 in float32 is a cache line, and wider blocks are no quicker.
WIDTH = 16
# Rows of a part, 512 KiB of such a block: it stays in the cache of a core.
ROWS = 8192
# each(work, parts) → [work(part) for part in parts].
Each = Callable[[Callable[[Any], Any], list[Any]], list[Any]]


@contextmanager
def in_threads(threads: int) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """A `map` whose results come in order, on `threads` threads with one thread of BLAS each.

    If a part fails or the caller is interrupted, running parts are finished and no others begun.
    """
    with unthreaded_blas(), ThreadPoolExecutor(threads) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def team(threads: int) -> Iterator[Each]:
    """`Each` on `threads` threads; on one, the calling thread.

    The results do not depend on the number of threads as long as the parts don't.
    """
    if threads == 1:
        yield lambda work, parts: [work(part) for part in parts]
        return
    with in_threads(threads) as mapped:
        yield lambda work, parts: list(mapped(work, parts) if len(parts) > 1 else map(work, parts))


def row_parts(n: int) -> list[slice]:
    """All n rows, in parts of `ROWS`."""
    return [slice(first, min(first + ROWS, n)) for first in range(0, n, ROWS)]


def column_blocks(b: int) -> list[slice]:
    """All b columns, in blocks of `WIDTH`."""
    return [slice(first, min(first + WIDTH, b)) for first in range(0, b, WIDTH)]

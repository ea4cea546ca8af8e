"""Work on the columns of a block, which are independent of each other, on several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

# Columns that one thread takes at once: a row of 16 in float32 is a cache line, and wider blocks are no quicker.
WIDTH = 16
# Columns of all threads together, for which there is memory.
_TOGETHER = 64


def by_columns(
    work: Callable[[NDArray[Any]], NDArray[Any]],
    Y: NDArray[Any],
    threads: int,
    stop: Callable[[], None] | None = None,
) -> NDArray[Any]:
    """work(Y) (n, b) in C order, for a function that treats the columns of Y (n, b) alike and gives as many.

    Each thread takes blocks of up to WIDTH columns in C order, with one thread of BLAS. `stop` is called if one of
    them fails or the caller is interrupted: it should make the others fail soon.
    """
    n, b = Y.shape
    width = block_columns(b, threads)
    result = np.empty((n, b), dtype=Y.dtype)

    def block(first: int) -> None:
        columns = slice(first, first + width)
        result[:, columns] = work(np.ascontiguousarray(Y[:, columns]))

    starts = range(0, b, width)
    if threads == 1 or len(starts) <= 1:
        for first in starts:
            block(first)
        return result
    with _controller().limit(limits=1), ThreadPoolExecutor(threads) as pool:
        try:
            list(pool.map(block, starts))
        except BaseException:
            if stop is not None:
                stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return result


def block_columns(b: int, threads: int) -> int:
    """Columns that each of `threads` takes at once out of b."""
    return max(1, min(WIDTH, -(-b // threads), _TOGETHER // threads))


@cache
def _controller() -> ThreadpoolController:
    """The libraries of the process; looking for them takes longer than a small product."""
    return ThreadpoolController()

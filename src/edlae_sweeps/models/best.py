"""The best items of many users, in bounded memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import top_items
from edlae_sweeps.resources import Resources

# Bytes of the scores in memory. The selection takes about as much again.
_BATCH_BYTES = 64 * 1024**2
# Bytes of scores that are faster made at once than by threads.
_SMALL_BYTES = 4 * 1024**2


class Scorer(Protocol):
    """Anything that scores all items for users by their fold-in interactions."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type of the scores."""
        ...

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores, a new array."""
        ...


def best_columns(
    model: Scorer, rows: csr_array, depth: int, exclude_known: bool
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The `depth` ≤ n best columns of each row of (m, n), best first, and their scores: two arrays (m, depth).

    A column that is left out, because the row has it, is −1 and has score −∞. Raises SolverError if scores are not
    finite.
    """
    users, n = rows.shape
    columns, best = np.empty((users, depth), np.int64), np.empty((users, depth), model.dtype)

    def work(block: slice) -> None:
        scores = model.scores(rows[block])
        if not np.isfinite(scores.sum(dtype=np.float64)):
            raise SolverError("the model gives scores that are not finite")
        if exclude_known:
            scores[rows[block].nonzero()] = -np.inf
        columns[block] = top_items(scores, depth)
        best[block] = np.take_along_axis(scores, columns[block], axis=1)

    bytes_of_user = n * model.dtype.itemsize
    if users * bytes_of_user <= _SMALL_BYTES:
        work(slice(0, users))
    else:
        threads = Resources.here().threads
        size = max(1, _BATCH_BYTES // (threads * bytes_of_user))
        _in_threads(work, [slice(start, start + size) for start in range(0, users, size)], threads)
    columns[np.isneginf(best)] = -1
    return columns, best


def _in_threads(work: Callable[[slice], None], blocks: Sequence[slice], threads: int) -> None:
    """Call `work` for each block, `threads` at once with one BLAS thread each: the selection uses no more."""
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        try:
            for _ in pool.map(work, blocks):
                pass
        except BaseException:
            # Ctrl-C, or scores that are not finite: finish the running blocks and start no others.
            pool.shutdown(wait=False, cancel_futures=True)
            raise

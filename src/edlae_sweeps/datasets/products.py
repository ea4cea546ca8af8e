"""G = XᵀX as products: nothing of n² is ever made."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

# Row blocks for each thread: some rows cost more than others of as many entries.
_BLOCKS = 4
# Fewer multiplications than these are quicker on one thread.
_SMALL = 2_000_000


class Gram(Protocol):
    """G (n, n) as an operator: the dense array, or `GramProducts`."""

    def diagonal(self) -> NDArray[Any]:
        """diag G (n,)."""
        ...

    def __matmul__(self, other: NDArray[Any], /) -> NDArray[Any]:
        """GY (n, b), a new array."""
        ...


class GramProducts:
    """Y → Xᵀ(XY), 4·b flops for each event, on several threads.

    X and `by_item` = Xᵀ are in CSR format: each thread makes rows of its own, and SciPy's sparse product leaves
    Python's lock. The result does not depend on the number of threads.
    """

    def __init__(self, X: csr_array, by_item: csr_array, counts: NDArray[np.float64], threads: int) -> None:
        """`counts` is diag G (n,)."""
        self._X, self._by_item, self._counts, self._threads = X, by_item, counts, threads

    def diagonal(self) -> NDArray[np.float64]:
        """diag G (n,)."""
        return self._counts

    def __matmul__(self, Y: NDArray[Any], /) -> NDArray[Any]:
        """GY (n, b) in C order, which Y should be in too."""
        Y = np.ascontiguousarray(Y)
        threads = 1 if self._X.nnz * Y.shape[1] < _SMALL else self._threads
        if threads == 1:
            return np.asarray(self._by_item @ (self._X @ Y))
        with ThreadPoolExecutor(threads) as pool:
            hidden = _product(self._X, Y, threads * _BLOCKS, pool.map)
            return _product(self._by_item, hidden, threads * _BLOCKS, pool.map)


def _product(M: csr_array, Y: NDArray[Any], blocks: int, each: Callable[..., Any]) -> NDArray[Any]:
    """MY, in blocks of rows with about as many entries each."""
    result = np.empty((M.shape[0], Y.shape[1]), dtype=Y.dtype)
    cuts = np.searchsorted(M.indptr, np.linspace(0, M.nnz, blocks + 1)[1:-1])
    edges = [0, *cuts.tolist(), M.shape[0]]

    def work(first: int, end: int) -> None:
        if first < end:
            entries = slice(M.indptr[first], M.indptr[end])
            start = M.indptr[first]
            part = csr_array(
                (M.data[entries], M.indices[entries], M.indptr[first : end + 1] - start),
                shape=(end - first, M.shape[1]),
            )
            result[first:end] = part @ Y

    list(each(work, edges[:-1], edges[1:]))
    return result

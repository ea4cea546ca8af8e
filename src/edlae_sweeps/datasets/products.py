"""G = XᵀX as products: nothing of n² is ever made."""

import threading
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.linalg import by_columns


class Gram(Protocol):
    """G (n, n) as an operator: the dense array, or `GramProducts`."""

    def diagonal(self) -> NDArray[Any]:
        """diag G (n,)."""
        ...

    def __matmul__(self, other: NDArray[Any], /) -> NDArray[Any]:
        """GY (n, b), a new array."""
        ...


class GramProducts:
    """Y → Xᵀ(XY), 4·b flops for each event, on several threads, each with columns of its own.

    SciPy's sparse product leaves Python's lock. X in CSR format serves both factors: the second adds each user's row
    of XY to the rows of the user's items, which on `million` takes three fifths of the time of a product with Xᵀ in
    CSR format. There the order of the items, at random or by popularity, and of the users, as they come or by cluster,
    mattered little: 1.3 and 1.0 times.

    flops, seconds  of all products so far; the seconds are those of all threads together
    """

    def __init__(self, X: csr_array, counts: NDArray[np.float64], threads: int) -> None:
        """`counts` is diag G (n,)."""
        self._X, self._counts, self._threads = X, counts, threads
        self.flops, self.seconds, self._lock = 0, 0.0, threading.Lock()

    @property
    def rate(self) -> float:
        """Flops per second of all threads; 0 before the first product."""
        return self.flops / self.seconds * self._threads if self.seconds else 0.0

    def diagonal(self) -> NDArray[np.float64]:
        """diag G (n,)."""
        return self._counts

    def __matmul__(self, Y: NDArray[Any], /) -> NDArray[Any]:
        """GY (n, b) in C order."""
        return by_columns(self.multiply, Y, self._threads)

    def multiply(self, Y: NDArray[Any]) -> NDArray[Any]:
        """GY (n, b) in C order on the calling thread; Y should be in C order and have few columns."""
        start = time.perf_counter()
        result = np.asarray(self._X.T @ (self._X @ Y))
        with self._lock:
            self.flops += 4 * self._X.nnz * Y.shape[1]
            self.seconds += time.perf_counter() - start
        return result

"""G = XᵀX as products: nothing of n² is ever made."""

import time
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.linalg import Each, column_blocks, team

# Parts of X, which the threads share out: enough for the processors of a machine, and for parts of unequal cost.
_USER_PARTS, _ITEM_PARTS = 64, 16
# Fewer multiplications than these are quicker on one thread.
_SMALL = 2_000_000
# Users or items, and their rows or columns of X.
Part = tuple[slice, csr_array]


class Gram(Protocol):
    """G (n, n) as an operator on arrays of NumPy: the dense array, one on a device, or `GramProducts`."""

    def diagonal(self) -> NDArray[Any]:
        """diag G (n,)."""
        ...

    def __matmul__(self, other: NDArray[Any], /) -> NDArray[Any]:
        """GY (n, b), a new array."""
        ...


class GramProducts:
    """Y → Xᵀ(XY), 4·b flops for each event, on several threads, in blocks of a few columns.

    XY takes the users in parts, Xᵀ(XY) the items: each thread makes rows of its own, and SciPy's sparse product leaves
    Python's lock. Both go through X user by user, since popular items stay in the cache and users don't: with Xᵀ in
    CSR format the second product takes 1.8 times as long on `million`. Tried there too: threads with columns of their
    own (half as fast: they don't share what is in the cache), items by their counts (1.1 times as fast, but nearly the
    order that they have) or at random (.9), users by cluster (1.0), wider blocks (1.0).

    flops, seconds  of all products so far
    """

    def __init__(self, X: csr_array, by_item: list[Part], counts: NDArray[np.float64], threads: int) -> None:
        """`by_item` are `item_parts` of X, `counts` is diag G (n,)."""
        self._counts, self._threads, self._n_users, self._events = counts, threads, X.shape[0], X.nnz
        self._users, self._items = _user_parts(X), by_item
        self.flops, self.seconds = 0, 0.0

    @property
    def rate(self) -> float:
        """Flops per second; 0 before the first product."""
        return self.flops / self.seconds if self.seconds else 0.0

    def diagonal(self) -> NDArray[np.float64]:
        """diag G (n,)."""
        return self._counts

    def __matmul__(self, Y: NDArray[Any], /) -> NDArray[Any]:
        """GY (n, b) in C order."""
        start = time.perf_counter()
        n, b = Y.shape
        result = np.empty((n, b), dtype=Y.dtype)
        with team(1 if self._events * b < _SMALL else self._threads) as each:
            for columns in column_blocks(b):
                hidden = self._hidden(np.ascontiguousarray(Y[:, columns]), each)
                self._back(hidden, result[:, columns], each)
        self.flops += 4 * self._events * b
        self.seconds += time.perf_counter() - start
        return result

    def _hidden(self, Y: NDArray[Any], each: Each) -> NDArray[Any]:
        """XY (m, b)."""
        result = np.empty((self._n_users, Y.shape[1]), dtype=Y.dtype)

        def forward(part: Part) -> None:
            users, X = part
            result[users] = X @ Y

        each(forward, self._users)
        return result

    def _back(self, hidden: NDArray[Any], result: NDArray[Any], each: Each) -> None:
        """Xᵀ·hidden into `result` (n, b)."""

        def back(part: Part) -> None:
            items, X = part
            result[items] = X.T @ hidden

        each(back, self._items)


def item_parts(X: csr_array) -> list[Part]:
    """The columns of X in parts with about as many entries each: copies, together as large as X."""
    ends = np.bincount(X.indices, minlength=X.shape[1]).cumsum()
    return [(items, X[:, items]) for items in _cut(ends, _ITEM_PARTS)]


def _user_parts(X: csr_array) -> list[Part]:
    """The rows of X in parts with about as many entries each, which share its memory."""

    def rows(users: slice) -> csr_array:
        first, end = X.indptr[users.start], X.indptr[users.stop]
        indptr = X.indptr[users.start : users.stop + 1] - first
        return csr_array((X.data[first:end], X.indices[first:end], indptr), shape=(len(indptr) - 1, X.shape[1]))

    return [(users, rows(users)) for users in _cut(X.indptr[1:], _USER_PARTS)]


def _cut(ends: NDArray[np.integer[Any]], count: int) -> list[slice]:
    """Up to `count` slices of rows with about as many entries each; `ends` are the entries up to each row."""
    total = ends[-1] if len(ends) else 0
    cuts = np.searchsorted(ends, np.linspace(0, total, count + 1)[1:-1])
    return [slice(first, end) for first, end in pairwise(np.unique([0, *cuts, len(ends)]).tolist())]

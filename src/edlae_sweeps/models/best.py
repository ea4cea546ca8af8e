"""The best items of many users, in bounded memory: users in batches, and items in blocks where scores are a product."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import Array, Backend, backend_for, backend_of, team
from edlae_sweeps.resources import Device, Resources

# Up to WIDE items are one block; more are cut into blocks of BLOCK. Wide blocks read V less often for the same memory.
# Few users get blocks of FEW scores: a product with a narrow matrix reads a short block of V slowly.
WIDE, BLOCK, FEW = 65_536, 32_768, 1_048_576
# Bytes of the scores in memory. The selection takes about as much again.
_BATCH_BYTES = 64 * 1024**2
# Bytes of scores that are faster made at once than by threads.
_SMALL_BYTES = 4 * 1024**2

# Fold-in interactions (users, n) → hidden units (users, k).
Encode = Callable[[csr_array], Array]


class Scorer(Protocol):
    """Anything that scores all items for users by their fold-in interactions."""

    def scores(self, fold_in: csr_array) -> Array:
        """(users, n) scores, a new array."""
        ...

    def halves(self) -> tuple[Encode, Array] | None:
        """An encoder to (users, k) and a decoder V (n, k) whose product is the scores; None if there are none."""
        ...


@dataclass(frozen=True)
class OnDevice:
    """A model whose scores are computed on a device: from hidden units and V there, or from rows of B there."""

    backend: Backend
    encode: Encode | None
    matrix: Array

    def scores(self, fold_in: csr_array) -> Array:
        return self.backend.rows_product(fold_in, self.matrix)

    def halves(self) -> tuple[Encode, Array] | None:
        return None if self.encode is None else (self.encode, self.matrix)


def on_device(model: Any, device: Device) -> Any:
    """The model with its arrays on a device; itself on the CPU, or if half of the free memory is too little for B."""
    if device == "cpu":
        return model
    backend = backend_for(device)
    factors = model.factors() if hasattr(model, "factors") else None
    if factors is not None:
        U, V = (backend.array(factor) for factor in factors)
        return OnDevice(backend, lambda fold_in: backend.rows_product(fold_in, U), V)
    if (halves := model.halves()) is not None:
        encode, V = halves
        return OnDevice(backend, lambda fold_in: backend.array(encode(fold_in)), backend.array(V))
    B, free = model.arrays()["B"], backend.free_bytes()
    if free is not None and B.nbytes > free // 2:
        # G and the B of the fit may be there too.
        return model
    return OnDevice(backend, None, backend.array(B))


class Best:
    """The best items of the blocks so far (users, ≤ depth), best first, and their scores if `scored`.

    Blocks after the first one need the scores.
    """

    def __init__(self, depth: int, scored: bool) -> None:
        self.items = np.empty((0, 0), dtype=np.int64)
        self.scores: NDArray[Any] = np.empty((0, 0))
        self._depth, self._scored = depth, scored

    def add(self, scores: Array, first: int = 0) -> None:
        """Merge the scores (users, width) of the items from `first` on, which follow those of all blocks before."""
        if not first:
            self._take(scores, None)
            return
        columns = np.arange(scores.shape[1])
        if self.items.shape[1] == self._depth:
            # Only a score above the lowest that is kept enters; in a tie the earlier item stays.
            columns = np.flatnonzero((scores > self.scores[:, -1:]).any(axis=0))
        added = np.broadcast_to(columns + first, (len(scores), len(columns)))
        self._take(np.hstack([self.scores, scores[:, columns]]), np.hstack([self.items, added]))

    def _take(self, scores: Array, items: NDArray[np.int64] | None) -> None:
        """Keep the best of these scores; `items` (users, candidates) are the items, by default the columns."""
        backend = backend_of(scores)
        top = backend.top_items(scores, self._depth)
        self.items = top if items is None else np.take_along_axis(items, top, axis=1)
        if self._scored:
            self.scores = backend.taken(scores, top)


def batch_width(model: Scorer, n: int) -> int:
    """How many of n items are scored at once for a batch of many users: all, or a block if scores are a product.

    A device has no caches to stay in, and takes them all.
    """
    return n if n <= WIDE or isinstance(model, OnDevice) or model.halves() is None else BLOCK


def best_items(model: Scorer, fold_in: csr_array, depth: int, exclude_known: bool = True, scored: bool = False) -> Best:
    """The `depth` best items of each user of a batch, by all scores at once or block by block; with scores if `scored`.

    Items of `fold_in` come last, with score −∞, if `exclude_known`; ties go to the lower item index. Raises SolverError
    if scores are not finite.
    """
    known = fold_in if exclude_known else None
    halves = model.halves()
    if halves is not None:
        encode, V = halves
        return best_by_rank(encode(fold_in), V, [V.shape[1]], known, depth, scored)[0]
    scores = _finite(model.scores(fold_in))
    if known is not None:
        scores[known.nonzero()] = -np.inf
    best = Best(depth, scored)
    best.add(scores)
    return best


def best_by_rank(
    hidden: Array, V: Array, ranks: Sequence[int], known: csr_array | None, depth: int, scored: bool = False
) -> list[Best]:
    """For each rank k, the `depth` best items of each user by hidden[:, :k] V[:, :k]ᵀ.

    hidden (users, K), V (n, K); `ranks` ascend to K. Items of `known` come last, with score −∞; ties go to the lower
    item index. The scores of a rank are those of the rank before plus a product of the columns between. Raises
    SolverError if scores are not finite.
    """
    rows, columns = (np.empty(0, np.int64),) * 2 if known is None else known.nonzero()
    whole = len(V) <= WIDE or not isinstance(V, np.ndarray)
    width = len(V) if whole else max(BLOCK, FEW // max(1, len(hidden)))
    best = [Best(depth, scored or not whole) for _ in ranks]
    for first in range(0, len(V), width):
        block = V[first : first + width]
        here = (columns >= first) & (columns < first + len(block))
        scores: Array | None = None
        for done, rank, kept in zip([0, *ranks], ranks, best, strict=False):
            product = _finite(hidden[:, done:rank] @ block[:, done:rank].T)
            if scores is None:
                scores = product
                # They stay at −∞, whatever is added.
                scores[rows[here], columns[here] - first] = -np.inf
            else:
                scores += product
            kept.add(scores, first)
    return best


def best_columns(
    model: Scorer, dtype: np.dtype[Any], rows: csr_array, depth: int, exclude_known: bool
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The `depth` ≤ n best columns of each row of (m, n), best first, and their scores in `dtype`: two (m, depth).

    A column that is left out, because the row has it, is −1 and has score −∞. Raises SolverError if scores are not
    finite.
    """
    users, n = rows.shape
    columns, scores = np.empty((users, depth), np.int64), np.empty((users, depth), dtype)

    def work(batch: slice) -> None:
        best = best_items(model, rows[batch], depth, exclude_known, scored=True)
        columns[batch], scores[batch] = best.items, best.scores

    if users * batch_width(model, n) * dtype.itemsize <= _SMALL_BYTES:
        work(slice(0, users))
    else:
        threads = Resources.here().threads
        most = _BATCH_BYTES // (threads * batch_width(model, n) * dtype.itemsize)
        size = max(1, min(most, -(-users // threads)))
        with team(threads) as each:
            each(work, [slice(start, start + size) for start in range(0, users, size)])
    columns[np.isneginf(scores)] = -1
    return columns, scores


def _finite(scores: Array) -> Array:
    """The scores. Raises SolverError if one is not finite."""
    # Both are NaN if one score is.
    if 0 not in scores.shape and not (math.isfinite(scores.min()) and math.isfinite(scores.max())):
        raise SolverError("the model gives scores that are not finite")
    return scores

"""The best items of a batch of users from factors, in blocks of items: no array of users × n."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import top_items

# Up to WIDE items are one block; more are cut into blocks of BLOCK. Wide blocks read V less often for the same memory.
WIDE, BLOCK = 65_536, 32_768


def block_width(n: int) -> int:
    """Items scored at once out of n."""
    return n if n <= WIDE else BLOCK


def best_by_rank(
    hidden: NDArray[Any], V: NDArray[Any], ranks: Sequence[int], fold_in: csr_array, depth: int, width: int
) -> list[NDArray[np.int64]]:
    """For each rank k, the `depth` best items (users, ≤ depth) by hidden[:, :k] V[:, :k]ᵀ, best first.

    hidden (users, K), V (n, K); `ranks` ascend to K. Items of `fold_in` come last; ties go to the lower item index. The
    scores of a rank are those of the rank before plus a product of the columns between. Raises SolverError if hidden is
    not finite.
    """
    if not np.isfinite(hidden.sum(dtype=np.float64)):
        raise SolverError("the model gives scores that are not finite")
    rows, columns = fold_in.nonzero()
    best: list[_Best] = [_Best(depth) for _ in ranks]
    for first in range(0, len(V), width):
        block = V[first : first + width]
        # Masked items stay at −∞, whatever is added.
        scores = np.zeros((len(hidden), len(block)), dtype=np.result_type(hidden, V))
        here = (columns >= first) & (columns < first + len(block))
        scores[rows[here], columns[here] - first] = -np.inf
        done = 0
        for rank, kept in zip(ranks, best, strict=True):
            scores += hidden[:, done:rank] @ block[:, done:rank].T
            kept.add(scores, first)
            done = rank
    return [kept.items for kept in best]


class _Best:
    """The best items of the blocks so far (users, ≤ depth), best first, and their scores."""

    def __init__(self, depth: int) -> None:
        self.items = np.empty((0, 0), dtype=np.int64)
        self._depth, self._scores = depth, np.empty((0, 0))

    def add(self, scores: NDArray[Any], first: int) -> None:
        """Merge the scores (users, width) of the items from `first` on, which follow those of all blocks before."""
        top = top_items(scores, self._depth)
        if not first:
            self.items, self._scores = top, np.take_along_axis(scores, top, axis=1)
            return
        values = np.hstack([self._scores, np.take_along_axis(scores, top, axis=1)])
        # Stable: among equal scores those of earlier blocks, which have lower indices, stay in front.
        order = np.argsort(-values, axis=1, kind="stable")[:, : self._depth]
        self.items = np.take_along_axis(np.hstack([self.items, top + first]), order, axis=1)
        self._scores = np.take_along_axis(values, order, axis=1)

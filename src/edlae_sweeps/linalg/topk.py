"""Selection of the best items of each row of a score matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def top_items(scores: NDArray[Any], depth: int) -> NDArray[np.int64]:
    """The `depth` best items of each row of (users, n), best first; ties go to the lower item index.

    One partition finds the lowest score that counts, one comparison the items: about two passes over the scores.
    """
    n = scores.shape[1]
    depth = min(depth, n)
    last = np.partition(scores, n - depth, axis=1)[:, n - depth, None]
    chosen = scores >= last
    if np.count_nonzero(chosen) > len(scores) * depth:
        surplus = np.count_nonzero(chosen, axis=1) - depth
        for row in np.flatnonzero(surplus):
            tied = np.flatnonzero(scores[row] == last[row])
            chosen[row, tied[-surplus[row] :]] = False
    # Positions in the flattened matrix are found faster than pairs of row and column.
    items = np.flatnonzero(chosen).reshape(-1, depth) - n * np.arange(len(scores))[:, None]
    order = np.argsort(-np.take_along_axis(scores, items, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1)

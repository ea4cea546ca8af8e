"""Ranking metrics of one user each, from hits in rank order (Liang et al. 2018)."""

import numpy as np
from numpy.typing import NDArray

DEPTH = 100
_DISCOUNT = 1 / np.log2(np.arange(2, DEPTH + 2))
_IDEAL = np.concatenate([[0.0], np.cumsum(_DISCOUNT)])


def ndcg(hits: NDArray[np.bool_], wanted: NDArray[np.integer]) -> NDArray[np.float64]:
    """nDCG@100 (users,): Σ_{hits} 1/log2(position + 1) over the same sum when all come first.

    `hits` (users, ≤ 100) says which of the best items are held out, best first; `wanted` (users,) how many are held
    out.
    """
    gain: NDArray[np.float64] = hits @ _DISCOUNT[: hits.shape[1]]
    gain /= _IDEAL[np.minimum(wanted, DEPTH)]
    return gain


def recall(hits: NDArray[np.bool_], wanted: NDArray[np.integer], depth: int) -> NDArray[np.float64]:
    """Recall (users,): hits among the first `depth` items over min(depth, number of held-out items)."""
    share: NDArray[np.float64] = hits[:, :depth].sum(axis=1) / np.minimum(wanted, depth)
    return share

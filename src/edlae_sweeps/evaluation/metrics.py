"""Ranking metrics: of one user each, from gains in rank order (Liang et al. 2018), and of all rankings together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.evaluation.names import DEPTH

# The head is the fifth of the items with the most training events.
_HEAD = 5
# Propensities are at least this.
_LEAST_PROPENSITY = 0.01
_DISCOUNT = 1 / np.log2(np.arange(2, DEPTH + 2))

# The gain of each item in an order: numbers, or whether it is held out.
Gains = NDArray[Any]


def ndcg(gains: Gains, best: Gains, depth: int) -> NDArray[np.float64]:
    """nDCG@depth (users,): Σ gain/log2(position + 1) over the same sum of the best ranking.

    `gains` (users, ≤ 100) are those of the recommended items, best first, 0 for an item that is not held out; `best`
    (users, ≤ 100) the gains of the held-out items, largest first. NaN for a user without a gain to make.
    """
    return _ratio(*(part[:, :depth] @ _DISCOUNT[: min(depth, part.shape[1])] for part in (gains, best)))


def recall(gains: Gains, best: Gains, depth: int) -> NDArray[np.float64]:
    """Recall@depth (users,): Σ gain of the first `depth` items over that of the best ranking.

    With gains of 0 and 1 these are the hits over min(depth, number of held-out items). Arguments as in `ndcg`.
    """
    return _ratio(*(part[:, :depth].sum(axis=1, dtype=np.float64) for part in (gains, best)))


def coverage(recommended: NDArray[np.int64]) -> float:
    """The share of items that are recommended to anyone; `recommended` (n,) counts how often each item is."""
    return np.count_nonzero(recommended) / len(recommended)


def gini(recommended: NDArray[np.int64]) -> float:
    """Gini coefficient of how often each item is recommended, (n,): 0 if all are equally often, 1 − 1/n if one alone.

    Σ_i (2i − n − 1) c_i / (n Σ c_i), c ascending, i from 1. Items that nobody is recommended are zeros among the c_i.
    It is 0 if there is no recommendation at all.
    """
    n, total = len(recommended), recommended.sum()
    if not total:
        return 0.0
    place = 2.0 * np.arange(1, n + 1) - n - 1
    return float(place @ np.sort(recommended) / (n * total))


def head(item_counts: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which items (n,) are in the head: the ⌈n/5⌉ with the most training events, the lower index first in a tie.

    All others are the tail.
    """
    n = len(item_counts)
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[np.argsort(-item_counts, kind="stable")[: -(-n // _HEAD)]] = True
    return chosen


def inverse_propensity(item_counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """1/p (n,) with the propensity p = max(√(g/max g), .01) of items with g training events; .01 if no item has any."""
    counts = item_counts.astype(np.float64)
    most = counts.max(initial=0)
    share = counts / most if most > 0 else counts
    inverse: NDArray[np.float64] = 1 / np.maximum(np.sqrt(share), _LEAST_PROPENSITY)
    return inverse


def _ratio(gained: NDArray[np.float64], most: NDArray[np.float64]) -> NDArray[np.float64]:
    """gained/most, NaN where there is nothing to gain."""
    ratio = np.full(len(most), np.nan)
    np.divide(gained, most, out=ratio, where=most > 0)
    return ratio

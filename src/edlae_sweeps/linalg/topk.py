"""Selection of the best items of each row of a score matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Columns of which one maximum is taken, at least; four for each item that is selected, if that is more.
_GROUPS = 512


def top_items(scores: NDArray[Any], depth: int) -> NDArray[np.int64]:
    """The `depth` best items of each row of (users, n), best first; ties go to the lower item index.

    `depth` of the maxima of disjoint groups of items bound the lowest score that counts from below. With four groups an
    item, only about a tenth more items than `depth` reach that bound: two passes over the scores, and a sort of those.
    """
    users, n = scores.shape
    depth = min(depth, n)
    groups = max(_GROUPS, 4 * depth)
    if n < 2 * groups:
        return _top_by_partition(scores, depth)
    chosen = scores >= _lower_bound(scores, depth, groups)
    # A row that is full of ties has many candidates.
    most = 2 * depth
    if np.count_nonzero(chosen) > users * most:
        return _top_by_partition(scores, depth)
    # Positions in the flattened matrix are found faster than pairs of row and column.
    places = np.flatnonzero(chosen)
    ends = np.searchsorted(places, n * np.arange(1, users + 1))
    counts = np.diff(ends, prepend=0)
    few = counts <= most
    if not few.all():
        items = np.empty((users, depth), dtype=np.int64)
        items[few], items[~few] = top_items(scores[few], depth), _top_by_partition(scores[~few], depth)
        return items
    row = np.repeat(np.arange(users), counts)
    column = np.arange(len(places)) - np.repeat(ends - counts, counts)
    candidates = np.zeros((users, counts.max(initial=depth)), dtype=np.int64)
    candidates[row, column] = places - n * row
    # Places without a candidate sort last.
    keys = np.full(candidates.shape, np.inf, dtype=scores.dtype)
    keys[row, column] = -scores.ravel()[places]
    return np.take_along_axis(candidates, _first(keys, depth), axis=1)


def _lower_bound(scores: NDArray[Any], depth: int, groups: int) -> NDArray[Any]:
    """The `depth`-th largest maximum (users, 1) of the columns that are equal modulo `groups`."""
    users, n = scores.shape
    whole = n // groups * groups
    best = scores[:, :whole].reshape(users, n // groups, groups).max(axis=1)
    rest = best[:, : n - whole]
    np.maximum(rest, scores[:, whole:], out=rest)
    return np.partition(best, groups - depth, axis=1)[:, groups - depth, None]


def _first(keys: NDArray[Any], depth: int) -> NDArray[np.int64]:
    """Positions (users, depth) of the lowest keys of each row, ascending; ties go to the lower position."""
    order = np.argsort(keys, axis=1)[:, : depth + 1]
    # A stable sort takes five times as long.
    ascending = np.take_along_axis(keys, order, axis=1)
    tied = (ascending[:, 1:] == ascending[:, :-1]).any(axis=1)
    order = order[:, :depth]
    order[tied] = np.argsort(keys[tied], axis=1, kind="stable")[:, :depth]
    return order


def _top_by_partition(scores: NDArray[Any], depth: int) -> NDArray[np.int64]:
    """`top_items` of few columns, or with many ties."""
    n = scores.shape[1]
    last = np.partition(scores, n - depth, axis=1)[:, n - depth, None]
    chosen = scores >= last
    if np.count_nonzero(chosen) > len(scores) * depth:
        surplus = np.count_nonzero(chosen, axis=1) - depth
        for row in np.flatnonzero(surplus):
            tied = np.flatnonzero(scores[row] == last[row])
            chosen[row, tied[-surplus[row] :]] = False
    items = np.flatnonzero(chosen).reshape(-1, depth) - n * np.arange(len(scores))[:, None]
    return np.take_along_axis(items, _first(-np.take_along_axis(scores, items, axis=1), depth), axis=1)

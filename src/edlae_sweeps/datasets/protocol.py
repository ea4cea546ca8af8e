"""Filtering and splitting for strong generalisation (Liang et al. 2018), equal to the published split to the row.

The published code draws from NumPy's legacy global stream. A RandomState with the same seed gives the same numbers.
"""

import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets.base import DatasetSettings, HeldOut, IntArray, Interactions, Prepared, part_digest
from edlae_sweeps.errors import DataError

# A held-out user with fewer items keeps them all as fold-in and draws no random numbers.
_MIN_ITEMS_TO_HOLD_OUT = 5
# Bounds of the tenth of the users that is held out if the settings name no number: as many as of ml-20m, and what
# measures anything.
_MOST_HELD_OUT, _LEAST_HELD_OUT = 10_000, 10
# Events that are sorted or counted at once: whole-length arrays of positions would take 8 bytes an event each.
_BLOCK = 2**22


def unique(events: Interactions) -> Interactions:
    """`events` without repeated pairs of user and item: the first of each is kept, in its place."""
    first = np.zeros(len(events.users), dtype=bool)
    ends = np.cumsum(_counts(events.users, len(events.user_names)))
    # Users in groups of about _BLOCK events.
    cuts = np.searchsorted(ends, np.arange(_BLOCK, len(first), _BLOCK))
    edges = np.unique([0, *cuts.tolist(), len(events.user_names)]).tolist()
    for low, high in itertools.pairwise(edges):
        rows = np.flatnonzero((events.users >= low) & (events.users < high))
        pairs = events.users[rows].astype(np.int64) * len(events.item_names) + events.items[rows]
        first[rows[np.unique(pairs, return_index=True)[1]]] = True
    return Interactions(events.users[first], events.items[first], events.user_names, events.item_names)


def prepare(events: Interactions, settings: DatasetSettings) -> Prepared:
    """Filter `events`, split the users into training, validation and test, and hold out items of the latter two.

    Takes about 20 bytes for each event beside `events`. Users and items are numbered in 32 bits, below 2³¹ of each;
    the number of events has no such limit. Raises DataError if the thresholds or the number of held-out users leave no
    training users or no targets.
    """
    user_names, item_names = events.user_names, events.item_names
    users, items = _filter(events, settings)
    kept_users = np.flatnonzero(_counts(users, len(user_names)))
    held = _check_users(len(kept_users), events, settings)
    # Frees the events if the caller does not hold them.
    del events
    first_validation, first_test = len(kept_users) - 2 * held, len(kept_users) - held
    permuted = kept_users[np.random.RandomState(settings.split_seed).permutation(len(kept_users))]
    index_of_user = np.full(len(user_names), -1, dtype=np.int32)
    index_of_user[permuted] = np.arange(len(permuted), dtype=np.int32)
    index = index_of_user[users]

    training = index < first_validation
    index_of_item, item_codes = _first_appearance(items[training], len(item_names))
    n = len(item_codes)
    filtered_items = int(np.count_nonzero(_counts(items, len(item_names))))
    columns = index_of_item[items]
    del items
    validation = _held_out(users, index, columns, (first_validation, first_test), n, settings)
    test = _held_out(users, index, columns, (first_test, len(kept_users)), n, settings)
    n_events = len(users)
    del users
    index, columns = index[training], columns[training]
    prepared = Prepared(
        train=_matrix(index, columns, first_validation, n),
        validation=validation,
        test=test,
        user_names=user_names[permuted],
        item_names=item_names[item_codes],
        events=n_events,
        filtered_items=filtered_items,
        digest="",
    )
    return with_digest(prepared)


def with_digest(prepared: Prepared) -> Prepared:
    """A copy of `prepared` with the digest of its parts and item names."""
    names = "\n".join(map(str, prepared.item_names.tolist()))
    parts = [part_digest(matrix, first) for matrix, first in prepared.parts().values()]
    digest = hashlib.sha256("\n".join([*parts, names]).encode()).hexdigest()
    return Prepared(**{**vars(prepared), "digest": digest})


def _check_users(n_users: int, events: Interactions, settings: DatasetSettings) -> int:
    """The number of held-out users, for validation and again for test.

    Raise DataError unless `n_users`, the users left after filtering, are enough to train and evaluate on.
    """
    held = settings.heldout_users
    if not n_users:
        raise DataError(
            f"dataset.min_item_events={settings.min_item_events}, dataset.min_user_events={settings.min_user_events}: "
            f"no interactions of {len(events.user_names)} users and {len(events.item_names)} items are left; lower them"
        )
    if held is None:
        held = min(n_users // 10, _MOST_HELD_OUT)
        if held < _LEAST_HELD_OUT:
            raise DataError(
                f"dataset.heldout_users=null: {n_users} users are left after filtering, and a tenth of them is too few "
                "to measure anything; name a number, such as dataset.heldout_users="
                f"{max(1, n_users // 4)}, or lower dataset.min_user_events={settings.min_user_events} or "
                f"dataset.min_item_events={settings.min_item_events}"
            )
    if 2 * held >= n_users:
        raise DataError(
            f"dataset.heldout_users={held}: {n_users} users are left after filtering, and validation and test "
            f"take {held} each; lower it, or dataset.min_user_events={settings.min_user_events} "
            f"or dataset.min_item_events={settings.min_item_events}"
        )
    return held


def _filter(events: Interactions, settings: DatasetSettings) -> tuple[IntArray, IntArray]:
    """Users and items of the events that remain: first drop rare items, then users with few items, in one pass each."""
    keep = (_counts(events.items, len(events.item_names)) >= settings.min_item_events)[events.items]
    keep &= (_counts(events.users[keep], len(events.user_names)) >= settings.min_user_events)[events.users]
    return events.users[keep], events.items[keep]


def _counts(codes: IntArray, n_codes: int) -> IntArray:
    """How often each code occurs."""
    counts = np.zeros(n_codes, dtype=np.int64)
    # bincount makes a copy in int64.
    for start in range(0, len(codes), _BLOCK):
        counts += np.bincount(codes[start : start + _BLOCK], minlength=n_codes)
    return counts


def _first_appearance(items: IntArray, n_codes: int) -> tuple[IntArray, IntArray]:
    """Each item code's position in order of first appearance (−1: absent), and the codes in that order."""
    first = np.full(n_codes, -1, dtype=np.int64)
    # Backwards: of equal indices the last is assigned, the first event.
    for end in range(len(items), 0, -_BLOCK):
        start = max(0, end - _BLOCK)
        first[items[start:end][::-1]] = np.arange(start, end)[::-1]
    codes = np.flatnonzero(first >= 0)
    ordered = codes[np.argsort(first[codes])]
    index = np.full(n_codes, -1, dtype=np.int32)
    index[ordered] = np.arange(len(ordered), dtype=np.int32)
    return index, ordered


def _held_out(
    users: IntArray,
    index: IntArray,
    columns: IntArray,
    ends: tuple[int, int],
    n_items: int,
    settings: DatasetSettings,
) -> HeldOut:
    """Fold-in and targets of the held-out users from the first of these numbers to before the second.

    Events are rows of `users` (codes), `index` (the user's number in the split) and `columns` (the item's column, −1
    for an item unknown in training, which is dropped).
    """
    first, held = ends[0], ends[1] - ends[0]
    chosen = np.flatnonzero((columns >= 0) & (index >= first) & (index < ends[1]))
    # Users draw in sorted order of their ids. The sort is stable: a user's events keep their original order.
    chosen = chosen[np.argsort(users[chosen], kind="stable")]
    target = _draw_targets(users[chosen], settings)
    if not target.any():
        raise DataError(
            f"dataset.holdout_fraction={settings.holdout_fraction}: none of {held} held-out users has a target "
            "item; raise it, or dataset.heldout_users"
        )
    rows, columns = index[chosen] - first, columns[chosen]
    return HeldOut(
        fold_in=_matrix(rows[~target], columns[~target], held, n_items),
        targets=_matrix(rows[target], columns[target], held, n_items),
        first_user=first,
    )


def _draw_targets(users: IntArray, settings: DatasetSettings) -> NDArray[np.bool_]:
    """Mask of the events that become targets. `users` is grouped by user, in the order in which users draw."""
    random = np.random.RandomState(settings.split_seed)
    target = np.zeros(len(users), dtype=bool)
    _, starts, counts = np.unique(users, return_index=True, return_counts=True)
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if count >= _MIN_ITEMS_TO_HOLD_OUT:
            drawn = random.choice(count, size=int(settings.holdout_fraction * count), replace=False)
            target[start + drawn] = True
    return target


def _matrix(rows: IntArray, columns: IntArray, n_rows: int, n_columns: int) -> csr_array:
    """A binary sparse matrix with sorted indices."""
    # Bytes while it is converted, floats afterwards.
    ones = np.ones(len(rows), dtype=np.int8)
    matrix = csr_array((ones, (rows, columns)), shape=(n_rows, n_columns))
    matrix.sort_indices()
    matrix.data = np.ones(matrix.nnz, dtype=np.float32)
    return matrix

"""Filter and split for strong generalisation (Liang et al. 2018), matched to the published split to the row.

The published code draws from NumPy's legacy global stream; a RandomState with the same seed gives the same numbers.
"""

import hashlib

import numpy as np
from scipy.sparse import csr_array

from edlae_sweeps.datasets.base import DatasetSettings, HeldOut, IntArray, Interactions, Prepared, part_digest
from edlae_sweeps.errors import DataError

# A held-out user with fewer items than this keeps them all as fold-in and draws no random numbers.
_MIN_ITEMS_TO_HOLD_OUT = 5


def prepare(events: Interactions, settings: DatasetSettings) -> Prepared:
    """Filter `events`, split their users into train, validation and test, and hold out a part of the latter two.

    Raises DataError where the thresholds or the number of held-out users leave nothing to train on or to find.
    """
    users, items = _filter(events, settings)
    kept_users = np.unique(users)
    held = settings.heldout_users
    if not len(kept_users):
        raise DataError(
            f"dataset.min_item_events={settings.min_item_events}, dataset.min_user_events={settings.min_user_events}: "
            f"no interactions of {len(events.user_names)} users and {len(events.item_names)} items are left; lower them"
        )
    if 2 * held >= len(kept_users):
        raise DataError(
            f"dataset.heldout_users={held}: {len(kept_users)} users are left after filtering, and validation and test "
            f"take {held} each; lower it, or dataset.min_user_events={settings.min_user_events} "
            f"or dataset.min_item_events={settings.min_item_events}"
        )
    first_validation, first_test = len(kept_users) - 2 * held, len(kept_users) - held
    permuted = kept_users[np.random.RandomState(settings.split_seed).permutation(len(kept_users))]
    index_of_user = np.full(len(events.user_names), -1, dtype=np.int32)
    index_of_user[permuted] = np.arange(len(permuted), dtype=np.int32)
    index = index_of_user[users]

    training = index < first_validation
    index_of_item, item_codes = _first_appearance(items[training], len(events.item_names))
    train = _matrix(index[training], index_of_item[items[training]], first_validation, len(item_codes))

    known = index_of_item[items] >= 0
    heldout = []
    for first in (first_validation, first_test):
        chosen = np.flatnonzero(known & (index >= first) & (index < first + held))
        # Stable: a user's rows keep their original order, the users come in sorted order of their ids.
        chosen = chosen[np.argsort(users[chosen], kind="stable")]
        target = _hold_out(users[chosen], settings)
        rows, columns = index[chosen] - first, index_of_item[items[chosen]]
        heldout.append(
            HeldOut(
                fold_in=_matrix(rows[~target], columns[~target], held, len(item_codes)),
                targets=_matrix(rows[target], columns[target], held, len(item_codes)),
                first_user=first,
            )
        )
        if not target.any():
            raise DataError(
                f"dataset.holdout_fraction={settings.holdout_fraction}: none of {held} held-out users has an item "
                "to find; raise it, or dataset.heldout_users"
            )
    validation, test = heldout
    prepared = Prepared(
        train=train,
        validation=validation,
        test=test,
        user_names=events.user_names[permuted],
        item_names=events.item_names[item_codes],
        events=len(users),
        filtered_items=len(np.unique(items)),
        digest="",
    )
    return with_digest(prepared)


def with_digest(prepared: Prepared) -> Prepared:
    """`prepared` with the digest of what it holds."""
    names = "\n".join(map(str, prepared.item_names.tolist()))
    parts = [part_digest(matrix, first) for matrix, first in prepared.parts().values()]
    digest = hashlib.sha256("\n".join([*parts, names]).encode()).hexdigest()
    return Prepared(**{**vars(prepared), "digest": digest})


def _filter(events: Interactions, settings: DatasetSettings) -> tuple[IntArray, IntArray]:
    """Events of items with enough users, then of users with enough of the remaining items: one pass each."""
    per_item = np.bincount(events.items, minlength=len(events.item_names))
    keep = per_item[events.items] >= settings.min_item_events
    users, items = events.users[keep], events.items[keep]
    per_user = np.bincount(users, minlength=len(events.user_names))
    keep = per_user[users] >= settings.min_user_events
    return users[keep], items[keep]


def _first_appearance(items: IntArray, n_codes: int) -> tuple[IntArray, IntArray]:
    """Item code → number in order of first appearance (−1: never), and the codes in that order."""
    codes, first = np.unique(items, return_index=True)
    ordered = codes[np.argsort(first)]
    index = np.full(n_codes, -1, dtype=np.int32)
    index[ordered] = np.arange(len(ordered), dtype=np.int32)
    return index, ordered


def _hold_out(users: IntArray, settings: DatasetSettings) -> np.ndarray:
    """Mask of the rows to be found; `users` is grouped by user, in the order in which they draw."""
    random = np.random.RandomState(settings.split_seed)
    target = np.zeros(len(users), dtype=bool)
    _, starts, counts = np.unique(users, return_index=True, return_counts=True)
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        if count >= _MIN_ITEMS_TO_HOLD_OUT:
            drawn = random.choice(count, size=int(settings.holdout_fraction * count), replace=False)
            target[start + drawn] = True
    return target


def _matrix(rows: IntArray, columns: IntArray, n_rows: int, n_columns: int) -> csr_array:
    """Binary sparse matrix with sorted indices."""
    ones = np.ones(len(rows), dtype=np.float32)
    matrix = csr_array((ones, (rows, columns)), shape=(n_rows, n_columns))
    matrix.sort_indices()
    return matrix

"""Rows of an interaction table as they come, checked against what ids may be and against the memory."""

from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from edlae_sweeps.datasets.base import Interactions
from edlae_sweeps.datasets.codes import Codes
from edlae_sweeps.datasets.limits import Place, check_room, room
from edlae_sweeps.datasets.tables import Columns
from edlae_sweeps.errors import DataError

# Models keep names in arrays whose rows all take the length of the longest.
LONGEST_ID = 512
# What makes ids unusable: a mask of such ids, and what a message says of one.
_PROBLEMS: tuple[tuple[Callable[[pa.Array], pa.Array], str], ...] = (
    (lambda ids: pc.equal(pc.binary_length(ids), 0), "is empty"),
    (
        lambda ids: pc.greater(pc.binary_length(ids), LONGEST_ID),
        f"has an id of more than {LONGEST_ID} bytes: shorten such ids, or number them",
    ),
    # NumPy drops them at the end of a string, where two ids may differ by them alone.
    (lambda ids: pc.match_substring(ids, "\0"), "has an id with a NUL character: remove it"),
)


def collect(batches: Iterable[pa.RecordBatch], columns: Columns, place: Place, memory: int | None) -> Interactions:
    """Codes and sorted names of users and items, for the rows whose rating is high enough.

    Raises DataError for a row that can't be used, or as soon as the rows need more than `memory` bytes.
    """
    ids = {columns.user: Codes(), columns.item: Codes()}
    kept: list[NDArray[np.bool_]] = []
    largest, rows, free = -np.inf, 0, room(memory)
    for batch in batches:
        check_room(rows + batch.num_rows, sum(codes.names_bytes for codes in ids.values()), free, place)
        for column in ids:
            ids[column].add(_usable(batch[column], column, rows, place))
        if columns.rating is not None and columns.min_rating is not None:
            ratings = _ratings(batch[columns.rating], columns.rating, rows, place)
            kept.append(ratings >= columns.min_rating)
            largest = np.fmax(largest, np.fmax.reduce(ratings, initial=-np.inf))
        rows += batch.num_rows
    if not rows:
        raise DataError(f"{place.name} has no rows: name a file with one row for each event")
    if kept and not any(part.any() for part in kept):
        raise DataError(
            f"dataset.min_rating={columns.min_rating:g}: no row of {place.name} has such a rating; the largest in "
            f"column {columns.rating} is {largest:g}: lower it"
        )
    check_room(rows, sum(codes.names_bytes for codes in ids.values()), free, place)
    # Popped, so that what a column collected is freed before the next one is finished.
    users, user_names = ids.pop(columns.user).finish()
    items, item_names = ids.pop(columns.item).finish()
    if kept:
        high = np.concatenate(kept)
        users, items = users[high], items[high]
    return Interactions(users, items, user_names, item_names)


def _usable(ids: pa.Array, column: str, row: int, place: Place) -> pa.DictionaryArray:
    """`ids` as a dictionary; DataError for the first that can't be used. `row` is the number of the first of them."""
    if ids.null_count:
        raise place.error(row + pc.index(pc.is_null(ids), True).as_py(), f"column {column} has no value")
    encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
    if pa.types.is_integer(encoded.dictionary.type):
        return encoded
    for problem, what in _PROBLEMS:
        bad = np.flatnonzero(np.asarray(problem(encoded.dictionary)))
        # A dictionary may hold ids that no row has.
        if len(bad) and len(rows := np.flatnonzero(np.isin(np.asarray(encoded.indices), bad))):
            raise place.error(row + int(rows[0]), f"column {column} {what}")
    return encoded


def _ratings(values: pa.Array, column: str, row: int, place: Place) -> NDArray[np.float64]:
    if values.null_count:
        raise place.error(row + pc.index(pc.is_null(values), True).as_py(), f"column {column} has no value")
    try:
        return np.asarray(values.cast(pa.float64()))
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{place.name}: column {column} does not hold numbers: {reason}") from error

"""Ids as codes: the sorted distinct ids of a column, and each row's index into them, from batches of rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edlae_sweeps.datasets.base import IntArray
from edlae_sweeps.errors import DataError

_WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
# Batches keep dictionaries of their own up to so many rows or bytes. A merge hashes all distinct ids so far.
_ROWS_TO_MERGE, _BYTES_TO_MERGE = 2**23, 2**28
# Offsets of 32 bits reach so far, with room for the dictionaries of the next merge.
_MOST_BYTES = 2**31 - 2**29
# An object of Python for each distinct id, and three copies of its text: of Arrow, sorted by Arrow, and Python's.
_OBJECT_BYTES, _COPIES = 80, 3


class Codes:
    """The codes of one column, collected batch by batch. Holds 4 bytes for each row, and each distinct id once.

    There may be any number of rows, and fewer than 2³¹ distinct ids, whose text takes less than 1.5 GiB.
    """

    def __init__(self) -> None:
        self._waiting: list[pa.DictionaryArray] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._distinct: pa.Array | None = None
        self._codes: list[IntArray] = []
        self._rows = 0

    def add(self, ids: pa.Array) -> None:
        """Append rows without nulls: strings, whole numbers, or a dictionary of these.

        Raises DataError if all distinct ids so far take too much text.
        """
        encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
        self._waiting.append(pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), encoded.dictionary))
        self._rows += len(ids)
        self._waiting_rows += len(ids)
        self._waiting_bytes += encoded.dictionary.nbytes
        if self._waiting_rows >= _ROWS_TO_MERGE or self._waiting_bytes >= _BYTES_TO_MERGE:
            self._merge()

    @property
    def names_bytes(self) -> int:
        """Bytes that the distinct ids take until `finish` returns them, about; without the codes of the rows."""
        distinct = (0, 0) if self._distinct is None else (len(self._distinct), self._distinct.nbytes)
        return _OBJECT_BYTES * distinct[0] + _COPIES * distinct[1] + self._waiting_bytes

    def finish(self) -> tuple[IntArray, np.ndarray[Any, Any]]:
        """Each row's code (int32) and the sorted distinct ids. Sorts the distinct ids, never the rows. Call it once.

        Whole numbers are integers, and sort by value, if all of the ids are plain ones. Otherwise ids are objects of
        Python in code-point order: arrays of NumPy's own strings would take the length of the longest for each.
        """
        self._merge()
        if self._distinct is None:
            return np.empty(0, np.int32), np.empty(0, object)
        order, names = _sorted(self._distinct)
        self._distinct = None
        rank = np.empty(len(names), dtype=np.int32)
        rank[order] = np.arange(len(names), dtype=np.int32)
        codes = np.empty(self._rows, dtype=np.int32)
        end = self._rows
        while self._codes:
            part = self._codes.pop()
            np.take(rank, part, out=codes[end - len(part) : end])
            end -= len(part)
        # Arrow keeps what it frees for its own use.
        pa.default_memory_pool().release_unused()
        return codes, names

    def _merge(self) -> None:
        """Replace the dictionaries of the waiting batches by one. Codes of earlier batches keep their meaning."""
        if not self._waiting:
            return
        if self._distinct is not None:
            # A first chunk without rows: its ids come first in the common dictionary, in their order.
            self._waiting.insert(0, pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._distinct))
        merged = pa.chunked_array(self._waiting).unify_dictionaries()
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0
        distinct: pa.Array = merged.chunk(0).dictionary
        if distinct.nbytes > _MOST_BYTES:
            raise DataError(f"{len(distinct):,} distinct ids take more than 1.5 GiB: use shorter ids, or whole numbers")
        self._distinct = distinct
        self._codes += [chunk.indices.to_numpy() for chunk in merged.chunks]


def _sorted(distinct: pa.Array) -> tuple[IntArray, np.ndarray[Any, Any]]:
    """The order of the distinct ids, and the ids in it: integers, or strings as objects."""
    # The pattern excludes 007 and 1e3: as strings they differ from 7 and 1000.
    if pa.types.is_integer(distinct.type) or pc.all(pc.match_substring_regex(distinct, _WHOLE_NUMBER)).as_py():
        try:
            numbers: np.ndarray[Any, Any] = distinct.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise DataError("ids of 2**63 and above are too large for whole numbers: store them as strings") from error
        order = np.argsort(numbers, kind="stable")
        return order, numbers[order]
    # Arrow sorts by the bytes of UTF-8, whose order is that of the code points.
    places = pc.sort_indices(distinct)
    return places.to_numpy(), distinct.take(places).to_numpy(zero_copy_only=False)

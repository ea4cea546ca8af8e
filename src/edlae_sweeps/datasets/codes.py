"""Ids as codes: the sorted distinct ids of a column, and each row's index into them, from batches of rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from edlae_sweeps.datasets.base import IntArray
from edlae_sweeps.errors import DataError

_WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
# Rows whose batches keep dictionaries of their own. A merge hashes all distinct ids so far.
_ROWS_TO_MERGE = 2**23


class Codes:
    """The codes of one column, collected batch by batch. Holds 4 bytes for each row, and each distinct id once.

    There may be any number of rows, and fewer than 2³¹ distinct ids, whose text takes less than 2 GiB.
    """

    def __init__(self) -> None:
        self._waiting: list[pa.DictionaryArray] = []
        self._distinct: pa.Array | None = None
        self._codes: list[IntArray] = []
        self._rows = 0

    def add(self, ids: pa.Array) -> None:
        """Append rows without nulls: strings, whole numbers, or a dictionary of these."""
        encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
        self._waiting.append(pa.DictionaryArray.from_arrays(encoded.indices.cast(pa.int32()), encoded.dictionary))
        self._rows += len(ids)
        if sum(map(len, self._waiting)) >= _ROWS_TO_MERGE:
            self._merge()

    def finish(self) -> tuple[IntArray, np.ndarray[Any, Any]]:
        """Each row's code (int32) and the sorted distinct ids. Sorts the distinct ids, never the rows. Call it once.

        Ids sort as numbers if all of them are plain whole numbers, otherwise by code point.
        """
        self._merge()
        if self._distinct is None:
            return np.empty(0, np.int32), np.empty(0, np.str_)
        names = _names(self._distinct)
        self._distinct = None
        order = np.argsort(names, kind="stable")
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
        return codes, names[order]

    def _merge(self) -> None:
        """Replace the dictionaries of the waiting batches by one. Codes of earlier batches keep their meaning."""
        if not self._waiting:
            return
        if self._distinct is not None:
            # A first chunk without rows: its ids come first in the common dictionary, in their order.
            self._waiting.insert(0, pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._distinct))
        merged = pa.chunked_array(self._waiting).unify_dictionaries()
        self._waiting = []
        self._distinct = merged.chunk(0).dictionary
        self._codes += [chunk.indices.to_numpy() for chunk in merged.chunks]


def _names(distinct: pa.Array) -> np.ndarray[Any, Any]:
    """The distinct ids as an array of integers or strings."""
    # The pattern excludes 007 and 1e3: as strings they differ from 7 and 1000.
    if pa.types.is_integer(distinct.type) or pc.all(pc.match_substring_regex(distinct, _WHOLE_NUMBER)).as_py():
        try:
            numbers: np.ndarray[Any, Any] = distinct.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise DataError("ids of 2**63 and above are too large for whole numbers: store them as strings") from error
        return numbers
    return np.array(distinct.to_pylist(), dtype=np.str_)

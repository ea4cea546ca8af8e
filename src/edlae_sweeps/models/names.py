"""Names in an array, found by binary search."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray


class NameIndex:
    """Where each name is in an array of distinct names (n,), strings or numbers.

    It adds 8 bytes a name to the array; a dictionary of Python objects would take 150, and longer to make.
    """

    def __init__(self, names: NDArray[Any]) -> None:
        self._names = names
        self._order = np.argsort(names, kind="stable")

    def find(self, items: Sequence[Any]) -> NDArray[np.int64]:
        """The place of each item among the names; −1 for one that equals no name, such as '7' among numbers."""
        given = [item.item() if isinstance(item, np.generic) else item for item in items]
        values = np.zeros(len(given), self._names.dtype)
        for number, item in enumerate(given):
            # What has no place in the type of the names equals none of them.
            with suppress(TypeError, ValueError, OverflowError), np.errstate(over="ignore"):
                values[number] = item
        if not len(self._names):
            return np.full(len(items), -1)
        places = self._order[np.searchsorted(self._names, values, side="right", sorter=self._order) - 1]
        # NumPy has cut, rounded or parsed items of other types: compare what was given.
        known = [bool(name == item) for name, item in zip(self._names[places].tolist(), given, strict=True)]
        return np.where(known, places, -1)

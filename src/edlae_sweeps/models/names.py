"""Names in an array, found by binary search."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What NumPy raises for an item that has no value in the type of the names.
_NO_VALUE = (TypeError, ValueError, OverflowError)


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
        values = self._cast(given)
        if not len(self._names):
            return np.full(len(items), -1)
        places = self._order[np.searchsorted(self._names, values, side="right", sorter=self._order) - 1]
        # Compare what was given, since items of other types have changed.
        known = [bool(name == item) for name, item in zip(self._names[places].tolist(), given, strict=True)]
        return np.where(known, places, -1)

    def _cast(self, items: Sequence[Any]) -> NDArray[Any]:
        """The items in the type of the names: cut, rounded or parsed, and 0 or empty if there is no such value."""
        dtype = self._names.dtype
        with np.errstate(over="ignore"):
            with suppress(*_NO_VALUE):
                values = np.array(items, dtype)
                if values.ndim == 1:
                    return values
            values = np.zeros(len(items), dtype)
            for number, item in enumerate(items):
                with suppress(*_NO_VALUE):
                    values[number] = item
        return values

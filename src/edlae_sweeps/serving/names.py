"""Names of items and users as requests give them: JSON, CSV and pandas change the type of what they carry."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import DataError

# Names that a note lists.
_SHOWN = 5


def as_name(value: Any, names: NDArray[Any] | None) -> Any:
    """`value` in the type of `names` (None: indices).

    Among integers, '12' and 12.0 stand for 12; among strings, 12 and 12.0 for '12'. Anything else becomes text, which
    is then an unknown name.
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if names is not None and names.dtype.kind == "f":
        return value if isinstance(value, int | float) else str(value)
    if names is not None and names.dtype.kind not in "iu":
        return str(value)
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        return int(value)
    return value if isinstance(value, int) else str(value)


def as_names(values: Iterable[Any], names: NDArray[Any] | None) -> list[Any]:
    """`as_name` of each value. Raises DataError for a single text."""
    if isinstance(values, str):
        raise DataError(f"items={values!r}: pass a list of items, such as [{values!r}]")
    return [as_name(value, names) for value in values]


def listed(names: Sequence[Any]) -> str:
    """The first of these names, for a message."""
    return ", ".join(map(str, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")

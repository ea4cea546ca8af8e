"""Arrays cached on disk: npz files without pickle, written atomically, with damage detected.

Each array in an npz file has a CRC-32, which is verified on reading. The key is part of the file's name. Strings that
are objects are one text in the file, so that none takes the length of the longest.
"""

import errno
from collections.abc import Callable, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.disk import whole
from edlae_sweeps.errors import DataError

Arrays = dict[str, NDArray[Any]]

# What the name of an array has at its end if its strings are a text in UTF-8, with a NUL between any two.
_TEXT = "_utf8"
_log = getLogger(__name__)


def load_or_build(path: Path, names: frozenset[str], build: Callable[[], Arrays]) -> Arrays:
    """The arrays `names` in `path`. If the file is missing, damaged or has other arrays, build and write it."""
    if path.exists():
        try:
            arrays = read_arrays(path)
            if arrays.keys() == names:
                return arrays
            problem = f"it has {sorted(arrays)}"
        # On damaged bytes, zipfile and NumPy raise nearly anything, from BadZipFile to TokenError and MemoryError.
        except Exception as error:  # noqa: BLE001
            problem = (str(error) or type(error).__name__).split("\n", 1)[0]
        _log.warning("rebuilding the cache file %s: it is damaged (%s)", path, problem)
    arrays = build()
    write_arrays(path, arrays, "data_dir (or EDLAE_SWEEPS_DATA)")
    return arrays


def read_arrays(path: Path) -> Arrays:
    """All arrays of an npz file, by name."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name.removesuffix(_TEXT): _unpacked(name, archive[name]) for name in archive.files}


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], setting: str, compressed: bool = False) -> None:
    """Write an npz file atomically: it is complete or absent, even if the process or the machine stops.

    Raises DataError if the folder is not writable or the disk is full; the message names the `setting` of the folder.
    """
    save = np.savez_compressed if compressed else np.savez
    packed = dict(_packed(name, array) for name, array in arrays.items())
    try:
        with whole(path) as written, written.open("xb") as file:
            save(file, allow_pickle=False, **packed)
    except OSError as error:
        remedy = "free some space" if error.errno == errno.ENOSPC else "make it writable"
        raise DataError(
            f"can't write {path}: {error.strerror or error}; {remedy} or choose another folder with {setting}"
        ) from error


def _packed(name: str, array: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """The name and the array in a file."""
    if array.dtype != object:
        return name, array
    return name + _TEXT, np.frombuffer("\0".join(array.tolist()).encode(), dtype=np.uint8)


def _unpacked(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array that `_packed` was given."""
    return np.array(array.tobytes().decode().split("\0"), dtype=object) if name.endswith(_TEXT) else array

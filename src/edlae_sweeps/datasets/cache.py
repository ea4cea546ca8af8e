"""Arrays cached on disk: npz files without pickle, written atomically, with damage detected.

Each array in an npz file has a CRC-32, which is verified on reading. The key is part of the file's name.
"""

import errno
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import DataError

Arrays = dict[str, NDArray[Any]]

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
        return {name: archive[name] for name in archive.files}


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], setting: str, compressed: bool = False) -> None:
    """Write an npz file atomically: it is complete or absent, even if the process or the machine stops.

    Raises DataError if the folder is not writable or the disk is full; the message names the `setting` of the folder.
    """
    save = np.savez_compressed if compressed else np.savez
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            save(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        remedy = "free some space" if error.errno == errno.ENOSPC else "make it writable"
        raise DataError(
            f"can't write {path}: {error.strerror or error}; {remedy} or choose another folder with {setting}"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)

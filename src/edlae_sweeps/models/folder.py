"""Arrays in a folder: one .npy file an array, and a JSON file that describes them. Reading maps them into memory."""

import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edlae_sweeps.disk import commit, flush, temporary
from edlae_sweeps.errors import DataError

HEADER = "model.json"
_FORMAT = 1
# Bytes that are written at once: an array in another order is copied block by block.
_BLOCK_BYTES = 16 * 1024**2


def write_folder(folder: Path, kind: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write `arrays` to a new folder, whole or not at all; single values go to its model.json.

    An empty folder, or one that holds such a model, is replaced. Raises DataError for another, or if writing fails.
    """
    if folder.exists() and not _replaceable(folder):
        raise DataError(f"can't write the model to {folder}: something else is there; choose another path")
    written, old = temporary(folder), temporary(folder)
    values = {name: array.item() for name, array in arrays.items() if not array.ndim}
    stored = {name: array for name, array in arrays.items() if array.ndim}
    header = {
        "format": _FORMAT,
        "model": kind,
        "values": values,
        "arrays": {name: [array.dtype.str, list(array.shape)] for name, array in stored.items()},
    }
    try:
        written.mkdir(parents=True)
        for name, array in stored.items():
            write_array(written / f"{name}.npy", array)
        (written / HEADER).write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")
        # It takes seconds, in which a kill must not leave the old model without its name.
        flush(written)
        # A model in use keeps the files that it has mapped.
        if folder.exists():
            folder.replace(old)
        commit(written, folder)
    except OSError as error:
        remedy = "free some space" if error.errno == errno.ENOSPC else "make it writable"
        raise DataError(
            f"can't write {folder}: {error.strerror or error}; {remedy} or choose another folder with the path"
        ) from error
    finally:
        if old.exists() and not folder.exists():
            old.replace(folder)
        for leftover in (written, old):
            shutil.rmtree(leftover, ignore_errors=True)


def read_folder(folder: Path, mmap: bool) -> dict[str, NDArray[Any]]:
    """The arrays of a folder, by name: views of the files if `mmap`, else in memory.

    Raises OSError, ValueError or KeyError for damaged files.
    """
    header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
    if header["format"] > _FORMAT:
        raise ValueError(f"its format {header['format']} is newer than this version reads: upgrade edlae_sweeps")
    arrays = {name: np.array(value) for name, value in header["values"].items()}
    for name, (dtype, shape) in header["arrays"].items():
        if not name.isidentifier():
            raise ValueError(f"{HEADER} has an array named {name!r}")
        arrays[name] = read_array(folder / f"{name}.npy", mmap)
        if arrays[name].dtype != np.dtype(dtype) or list(arrays[name].shape) != shape:
            raise ValueError(f"{name}.npy and {HEADER} disagree")
    return arrays


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file in C order: a row of a mapped matrix is then contiguous."""
    rows = max(1, _BLOCK_BYTES * len(array) // max(1, array.nbytes))
    with path.open("xb") as file:
        npy.write_array_header_1_0(
            file, {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
        )
        for start in range(0, len(array), rows):
            file.write(array[start : start + rows].tobytes())


def read_array(path: Path, mmap: bool) -> NDArray[Any]:
    """The array of a .npy file: a read-only view of the file if `mmap`. Raises OSError or ValueError if damaged."""
    array = np.load(path, mmap_mode="r" if mmap and not _is_empty(path) else None, allow_pickle=False)
    return np.asarray(array)


def _is_empty(path: Path) -> bool:
    """Whether the array has no elements: nothing can be mapped then."""
    with path.open("rb") as file:
        npy.read_magic(file)
        shape, _, _ = npy.read_array_header_1_0(file)
    return 0 in shape


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / HEADER).is_file() or not any(folder.iterdir()))

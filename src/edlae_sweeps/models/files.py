"""Models on disk: one npz file, without pickle."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.models.base import FILE_NAME, Model
from edlae_sweeps.models.full_rank import FullRank
from edlae_sweeps.models.low_rank import LowRank
from edlae_sweeps.models.network import Activation, Encoder, Layer, Network


def load_model(path: str | Path) -> Model:
    """The model in a file that `Model.save` wrote, or in a folder's model.npz. Raises DataError if it can't be read."""
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise DataError(f"{file}: there is no such file; name a model.npz or the folder that holds it")
    try:
        arrays = read_arrays(file)
        return _model(arrays, arrays.get("items"))
    except KeyError as error:
        raise DataError(f"can't read a model from {file}: it has no array {error}") from error
    # Damaged bytes make zipfile and NumPy raise nearly anything, from BadZipFile to MemoryError.
    except Exception as error:
        reason = (str(error) or type(error).__name__).split("\n", 1)[0]
        raise DataError(f"can't read a model from {file}: {reason}") from error


def _model(arrays: Mapping[str, NDArray[Any]], names: NDArray[Any] | None) -> Model:
    """The model that consists of these arrays. Raises KeyError for a missing one, ValueError if they don't match."""
    if "U" in arrays:
        U, V = arrays["U"], arrays["V"]
        _check(U.ndim == 2 and U.shape == V.shape and _names_fit(names, len(U)), arrays)
        return LowRank(U, V, item_names=names)
    if "B" in arrays:
        B = arrays["B"]
        d = arrays["d"] if "d" in arrays else np.full(len(B), np.nan)
        _check(B.shape == (len(B), len(B)) and d.shape == (len(B),) and _names_fit(names, len(B)), arrays)
        return FullRank(B, d, item_names=names)
    return _network(arrays, names)


def _network(arrays: Mapping[str, NDArray[Any]], names: NDArray[Any] | None) -> Network:
    V, activation = arrays["V"], str(arrays["activation"])
    depth = max(1, sum(name.startswith("W") for name in arrays))
    layers = [Layer(arrays[f"W{number}"], arrays[f"b{number}"]) for number in range(1, depth + 1)]
    # Each layer takes what the one before it gives: n inputs at first, k outputs at last.
    widths = [len(V), *(len(layer.b) for layer in layers)]
    chained = all(layer.W.shape == shape for layer, shape in zip(layers, itertools.pairwise(widths), strict=True))
    _check(chained and V.shape[1:] == (widths[-1],) and _names_fit(names, len(V)), arrays)
    if activation not in get_args(Activation):
        raise ValueError(f"activation {activation!r} is none of {', '.join(get_args(Activation))}")
    encoder = Encoder(layers, cast(Activation, activation), bool(arrays["last_linear"]))
    return Network(encoder, V, item_names=names)


def _names_fit(names: NDArray[Any] | None, n: int) -> bool:
    return names is None or names.shape == (n,)


def _check(match: bool, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError unless the shapes match."""
    if not match:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"its arrays don't match: {shapes}")

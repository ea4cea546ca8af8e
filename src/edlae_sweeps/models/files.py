"""Models on disk, without pickle: a folder of .npy files, an npz file, or an MLflow model that holds such a folder."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.cosine import Cosine
from edlae_sweeps.models.factorisation import Factorisation
from edlae_sweeps.models.folder import HEADER, read_folder
from edlae_sweeps.models.full_rank import FullRank
from edlae_sweeps.models.low_rank import LowRank
from edlae_sweeps.models.network import Activation, Encoder, Layer, Network

FILE_NAME = "model.npz"
# An MLflow model: a folder with this file, and the model's own folder below it.
MLFLOW_FILE, DATA = "MLmodel", "data"


def load_model(path: str | Path, mmap: bool = True) -> Model:
    """The model that `Model.save` wrote to `path`, an npz file or a folder, or that an MLflow model folder holds.

    Arrays of a folder are mapped read-only into memory, so that a large model opens at once, unless `mmap` is false.
    Raises DataError if there is no model or it can't be read.
    """
    place = model_place(Path(path))
    try:
        arrays = read_folder(place, mmap) if place.is_dir() else read_arrays(place)
        return _model(arrays)
    except KeyError as error:
        raise DataError(f"can't read a model from {place}: it has no array {error}") from error
    # Damaged bytes make zipfile and NumPy raise nearly anything, from BadZipFile to MemoryError.
    except Exception as error:
        reason = (str(error) or type(error).__name__).split("\n", 1)[0]
        raise DataError(f"can't read a model from {place}: {reason}") from error


def model_place(path: Path) -> Path:
    """The npz file or the folder with model.json that `path` stands for. Raises DataError if there is none.

    A folder stands for the model in it: model.json, model.npz, an MLflow model, or one in its folder `model`.
    """
    if path.is_file():
        return path
    for folder in (path, path / DATA, path / "model" / DATA):
        if (folder / HEADER).is_file():
            return folder
    if (path / FILE_NAME).is_file():
        return path / FILE_NAME
    shown = path / FILE_NAME if path.is_dir() else path
    raise DataError(f"{shown}: there is no such file; name a model.npz or the folder that holds a model")


def _model(arrays: Mapping[str, NDArray[Any]]) -> Model:
    """The model that consists of these arrays. Raises KeyError for a missing one, ValueError if they don't match."""
    names, counts = arrays.get("items"), arrays.get("item_counts")
    model = _weights(arrays)
    _check(_fits(names, model.n_items) and _fits(counts, model.n_items), arrays)
    return model.described(names, counts)


def _weights(arrays: Mapping[str, NDArray[Any]]) -> Model:
    if "U" in arrays:
        U, V = arrays["U"], arrays["V"]
        _check(U.ndim == 2 and U.shape == V.shape, arrays)
        return LowRank(U, V)
    if "B" in arrays:
        B = arrays["B"]
        d = arrays["d"] if "d" in arrays else np.full(len(B), np.nan)
        _check(B.shape == (len(B), len(B)) and d.shape == (len(B),), arrays)
        return FullRank(B, d)
    if "A" in arrays:
        _check(arrays["A"].ndim == 2, arrays)
        return Cosine(arrays["A"])
    if "alpha" in arrays:
        V, alpha = arrays["V"], arrays["alpha"]
        _check(V.ndim == 2 and alpha.ndim == 0, arrays)
        return Factorisation(V, float(alpha))
    return _network(arrays)


def _network(arrays: Mapping[str, NDArray[Any]]) -> Network:
    V, activation = arrays["V"], str(arrays["activation"])
    depth = max(1, sum(name.startswith("W") for name in arrays))
    layers = [Layer(arrays[f"W{number}"], arrays[f"b{number}"]) for number in range(1, depth + 1)]
    # Each layer takes what the one before it gives: n inputs at first, k outputs at last.
    widths = [len(V), *(len(layer.b) for layer in layers)]
    chained = all(layer.W.shape == shape for layer, shape in zip(layers, itertools.pairwise(widths), strict=True))
    _check(chained and V.shape[1:] == (widths[-1],), arrays)
    if activation not in get_args(Activation):
        raise ValueError(f"activation {activation!r} is none of {', '.join(get_args(Activation))}")
    encoder = Encoder(layers, cast(Activation, activation), bool(arrays["last_linear"]))
    return Network(encoder, V)


def _fits(values: NDArray[Any] | None, n: int) -> bool:
    return values is None or values.shape == (n,)


def _check(match: bool, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError unless the shapes match."""
    if not match:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"its arrays don't match: {shapes}")

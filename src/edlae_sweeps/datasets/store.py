"""Prepared data and Gram matrices, loaded from the cache or built and cached.

A file's name includes a hash of the source, the settings and the format version. Changed data or settings therefore
use a new file, and old files can be deleted at any time.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets.base import Advance, DatasetSettings, HeldOut, Prepared
from edlae_sweeps.datasets.cache import Arrays, load_or_build
from edlae_sweeps.datasets.gram import dense_gram, sparse_gram
from edlae_sweeps.datasets.protocol import prepare
from edlae_sweeps.disk import remove_leftovers
from edlae_sweeps.errors import DataError
from edlae_sweeps.resources import memory_errors

_FORMAT = 1
_PARTS = ("train", "validation_tr", "validation_te", "test_tr", "test_te")
_FIELDS = ("indptr", "indices")
_NAMES = frozenset(
    [f"{part}_{name}" for part in _PARTS for name in _FIELDS] + ["user_names", "item_names", "scalars", "digest"]
)
_GRAM_NAMES = frozenset({"data", "indices", "indptr"})


def load(
    settings: DatasetSettings, data_dir: Path, advance: Advance | None = None, memory: int | None = None
) -> Prepared:
    """The prepared split of a data set, read from its source the first time and from `data_dir` afterwards.

    `advance` reports the progress of a download. `memory` is what the process may take in bytes; None: what is free.
    Raises DataError if the counts of a published split are wrong, or where reading the source does; HostMemoryError if
    there is too little memory.
    """

    def build() -> Arrays:
        prepared = prepare(settings.read(data_dir, advance, memory), settings)
        check_published(settings, prepared)
        return _pack(prepared)

    split = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in ("start", "search")
    }
    key = json.dumps([_FORMAT, settings.label, settings.content_digest(data_dir), split], sort_keys=True, default=str)
    folder = data_dir / "prepared"
    for place in (data_dir, folder):
        remove_leftovers(place)
    path = folder / f"{settings.label}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    remedy = "choose a machine with more, or give fewer rows"
    with memory_errors(f"dataset={settings.label}: can't prepare the data", remedy):
        return _unpack(load_or_build(path, _NAMES, build))


def check_published(settings: DatasetSettings, prepared: Prepared) -> None:
    """Raise DataError if `settings` are those of the published split but the counts of `prepared` differ from its."""
    published = settings.published
    if published is None or any(getattr(settings, name) != value for name, value in published.settings.items()):
        return
    counts = prepared.counts()
    for name, expected in published.counts.items():
        if counts[name] != expected:
            raise DataError(
                f"{settings.label} has {counts[name]:,} {name}, but the published split has {expected:,}: "
                "replace the source, which is not the published one"
            )


def load_gram(data: Prepared, dtype: DTypeLike, data_dir: Path, advance: Advance | None = None) -> NDArray[Any]:
    """G = XᵀX (n, n) of the training data. The cache stores its upper triangle as sparse, exact counts."""

    def build() -> Arrays:
        upper = sparse_gram(data.train, advance)
        return {name: getattr(upper, name) for name in sorted(_GRAM_NAMES)}

    folder = data_dir / "gram"
    remove_leftovers(folder)
    remedy = "choose a higher dataset.min_item_events, or gram=products"
    with memory_errors(f"can't make the Gram matrix of {data.n_items:,} items", remedy):
        arrays = load_or_build(folder / f"{_FORMAT}-{data.digest[:32]}.npz", _GRAM_NAMES, build)
        upper = csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(data.n_items, data.n_items))
        return dense_gram(upper, dtype)


def _pack(data: Prepared) -> Arrays:
    arrays: Arrays = {
        f"{part}_{name}": getattr(matrix, name) for part, (matrix, _) in data.parts().items() for name in _FIELDS
    }
    arrays["user_names"], arrays["item_names"] = data.user_names, data.item_names
    arrays["scalars"] = np.array([data.validation.first_user, data.test.first_user, data.events, data.filtered_items])
    arrays["digest"] = np.array(data.digest)
    return arrays


def _unpack(arrays: Arrays) -> Prepared:
    n_items = len(arrays["item_names"])

    def matrix(part: str) -> csr_array:
        indptr, indices = (arrays[f"{part}_{name}"] for name in _FIELDS)
        ones = np.ones(len(indices), dtype=np.float32)
        return csr_array((ones, indices, indptr), shape=(len(indptr) - 1, n_items))

    first_validation, first_test, events, filtered_items = arrays["scalars"].tolist()
    return Prepared(
        train=matrix("train"),
        validation=HeldOut(matrix("validation_tr"), matrix("validation_te"), first_validation),
        test=HeldOut(matrix("test_tr"), matrix("test_te"), first_test),
        user_names=arrays["user_names"],
        item_names=arrays["item_names"],
        events=events,
        filtered_items=filtered_items,
        digest=str(arrays["digest"]),
    )

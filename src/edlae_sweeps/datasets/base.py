"""Data set settings, which know how to read interactions, and the prepared split."""

import hashlib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.options import Options

IntArray = NDArray[np.integer[Any]]
# advance(done, total): called as a long step progresses.
Advance = Callable[[int, int], None]
# Characters and bytes of a name: it is part of the names of files, which have at most 255 bytes.
_LONGEST_NAME, _LONGEST_NAME_BYTES = 100, 200
# Rows of a matrix that are hashed at once.
_ROWS_TO_HASH = 2**14


@dataclass(frozen=True)
class Interactions:
    """Events in their original order: in event e, user `user_names[users[e]]` interacts with `item_names[items[e]]`.

    `user_names` and `item_names` are sorted (strings by code point, integers by value) and unique. Strings are objects,
    each as long as it is. No pair of user and item occurs twice.
    """

    users: IntArray
    items: IntArray
    user_names: NDArray[Any]
    item_names: NDArray[Any]

    def __repr__(self) -> str:
        """Counts, without the arrays."""
        users, items = len(self.user_names), len(self.item_names)
        return f"Interactions({users} users, {items} items, {len(self.users)} events)"


@dataclass(frozen=True)
class HeldOut:
    """The held-out users of validation or test: the fold-in items that a model sees, and the targets it must rank.

    Both matrices are (users, items), binary and disjoint. Row r is user `first_user + r` of the split.
    """

    fold_in: csr_array
    targets: csr_array
    first_user: int

    def __repr__(self) -> str:
        """Counts, without the arrays."""
        users, items = self.fold_in.shape
        return f"HeldOut({users} users, {items} items, {self.fold_in.nnz} fold-in, {self.targets.nnz} targets)"


@dataclass(frozen=True)
class Prepared:
    """A data set after filtering and splitting (strong generalisation, Liang et al. 2018).

    train            (m, n) binary, training users × items
    validation, test the held-out users
    user_names       in the order of the split: train, validation, test
    item_names       (n,), in order of first appearance in training; strings are objects here too
    digest           SHA-256 of the five matrices and the item names: equal digests mean equal splits of equal data
    events, filtered_items  counts after filtering, before items without training users are dropped
    """

    train: csr_array
    validation: HeldOut
    test: HeldOut
    user_names: NDArray[Any]
    item_names: NDArray[Any]
    events: int
    filtered_items: int
    digest: str

    @property
    def n_items(self) -> int:
        """n, the number of items that a model knows."""
        return int(self.train.shape[1])

    def counts(self) -> dict[str, int]:
        """The counts that identify a published split."""
        return {
            "events": self.events,
            "users": len(self.user_names),
            "filtered items": self.filtered_items,
            "items in training": self.n_items,
            "held-out events of validation": int(self.validation.targets.nnz),
            "held-out events of test": int(self.test.targets.nnz),
        }

    def parts(self) -> dict[str, tuple[csr_array, int]]:
        """Each of the five parts by name: its matrix, and the number in the split of its first row."""
        return {
            "train": (self.train, 0),
            "validation_tr": (self.validation.fold_in, self.validation.first_user),
            "validation_te": (self.validation.targets, self.validation.first_user),
            "test_tr": (self.test.fold_in, self.test.first_user),
            "test_te": (self.test.targets, self.test.first_user),
        }

    def __repr__(self) -> str:
        """Counts and the start of the digest, without the arrays."""
        users, heldout = self.train.shape[0], self.test.fold_in.shape[0]
        return (
            f"Prepared({users} training users, 2 × {heldout} held-out users, {self.n_items} items, "
            f"{self.events} events, digest {self.digest[:12]})"
        )


def part_digest(matrix: csr_array, first_user: int) -> str:
    """SHA-256 of the (user, item) pairs of one part, sorted by user then item, as little-endian int32.

    `matrix` is canonical and without stored zeros.
    """
    digest = hashlib.sha256()
    for start in range(0, matrix.shape[0], _ROWS_TO_HASH):
        ends = matrix.indptr[start : start + _ROWS_TO_HASH + 1]
        pairs = np.empty((ends[-1] - ends[0], 2), dtype="<i4")
        pairs[:, 0] = np.repeat(np.arange(first_user + start, first_user + start + len(ends) - 1), np.diff(ends))
        pairs[:, 1] = matrix.indices[ends[0] : ends[-1]]
        digest.update(pairs.tobytes())
    return digest.hexdigest()


def fixed_width(names: NDArray[Any]) -> NDArray[Any]:
    """Names as models keep them, which can be mapped from a file: strings in NumPy's own type, numbers as they are.

    Each string takes 4 bytes for each character of the longest one.
    """
    return np.array(names.tolist()) if names.dtype == object else names


def is_plain(name: str) -> bool:
    """True if `name` is safe as the name of a folder on every platform, and short enough to be part of a file's."""
    return re.fullmatch(r"[^/\\:\x00-\x1f]+", name) is not None and name.strip(". ") != "" and is_short(name)


def is_short(name: str) -> bool:
    """True if `name` can be part of a file's name."""
    return len(name) <= _LONGEST_NAME and len(name.encode()) <= _LONGEST_NAME_BYTES


@dataclass(frozen=True)
class Published:
    """Known counts of a published split (see `Prepared.counts`), and the settings for which they hold."""

    settings: Mapping[str, object]
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, repr=False)
class DatasetSettings(Options, ABC):
    """The filter and split settings that every data set has. A subclass adds the source of the interactions.

    heldout_users     users set aside for validation, and as many again for test (≥ 1); None: a tenth of those that the
                      filter leaves, at most 10,000
    min_user_events   users with fewer items are dropped, after the items
    min_item_events   items with fewer users are dropped first
    holdout_fraction  share of a held-out user's items that become targets (0 to 1); the rest is the fold-in
    split_seed        seed of the split; 98765 is the published one
    start             default hyper-parameters at this data set's scale: method → key → value
    search            search ranges at this data set's scale: parameter → [low, high]

    Raises ConfigError for a value outside its range when it is made.
    """

    prefix: ClassVar[str] = "dataset."
    published: ClassVar[Published | None] = None

    heldout_users: int | None = 1000
    min_user_events: int = 5
    min_item_events: int = 0
    holdout_fraction: float = 0.2
    split_seed: int = 98765
    start: dict[str, dict[str, Any]] = field(default_factory=dict, metadata={"open": True})
    search: dict[str, Any] = field(default_factory=dict, metadata={"open": True})

    @property
    @abstractmethod
    def label(self) -> str:
        """The data set's name in results; also the name of its MLflow experiment."""

    @abstractmethod
    def source(self, data_dir: Path) -> str:
        """URL or path of the interactions; empty if a program makes them."""

    @abstractmethod
    def content_digest(self, data_dir: Path) -> str:
        """A digest of the source: if it changes, the data set is prepared again."""

    @abstractmethod
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        """The interactions, with rating thresholds applied. `advance` reports the progress of a download or a parse.

        Raises DataError for malformed data, and where data need more than the `memory` in bytes that the process may
        take in all (None: what is free).
        """

    @override
    def check(self) -> None:
        for key, least in (("heldout_users", 1), ("min_user_events", 0), ("min_item_events", 0), ("split_seed", 0)):
            value = getattr(self, key)
            if value is not None and value < least:
                raise ConfigError(f"dataset.{key}={value}: choose {least} or more")
        self._check_label()
        if self.split_seed >= 2**32:
            raise ConfigError(f"dataset.split_seed={self.split_seed}: choose less than 2**32")
        if not (math.isfinite(self.holdout_fraction) and 0 < self.holdout_fraction < 1):
            raise ConfigError(f"dataset.holdout_fraction={self.holdout_fraction}: choose a number between 0 and 1")

    def _check_label(self) -> None:
        """Raise ConfigError unless the label can name files and an MLflow experiment."""
        remedy = "it names files and an experiment; choose dataset.name"
        if not is_short(self.label):
            raise ConfigError(
                f"dataset.name={self.label[:40]}… has {len(self.label)} characters: {remedy} of at most "
                f"{_LONGEST_NAME} characters and {_LONGEST_NAME_BYTES} bytes"
            )
        if not is_plain(self.label):
            raise ConfigError(f"dataset.name={self.label}: {remedy} without / \\ : and control characters")
        if self.label == "Default":
            raise ConfigError(
                "dataset.name=Default: MLflow has an experiment of this name; choose another dataset.name"
            )

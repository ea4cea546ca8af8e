"""What a data set is: settings that can read interactions, and the prepared split that comes of them."""

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

IntArray = NDArray[np.integer[Any]]
# advance(done, total), called as a long step goes on.
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Interactions:
    """Events in their original order: event e says that user `user_names[users[e]]` met item `item_names[items[e]]`.

    `user_names` and `item_names` are sorted (strings by code point, integers by value) and unique; events are unique
    pairs.
    """

    users: IntArray
    items: IntArray
    user_names: NDArray[Any]
    item_names: NDArray[Any]


@dataclass(frozen=True)
class HeldOut:
    """The held-out users of validation or test, one row a user: what the model is shown and what it has to find.

    Both matrices are (users, items), binary and disjoint; row r is user `first_user + r` of the split's numbering.
    """

    fold_in: csr_array
    targets: csr_array
    first_user: int


@dataclass(frozen=True)
class Prepared:
    """A data set after filter and split (strong generalisation, Liang et al. 2018).

    train            (m, n) binary, training users × items
    validation, test the held-out users
    user_names       in order of the split's numbering: train, validation, test
    item_names       (n,), in order of first appearance in training
    digest           SHA-256 of the five parts and the item names: equal digests are equal splits of equal data
    events, filtered_items  what was left after filtering, before items without training users were dropped
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
        """n, the number of items a model knows."""
        return int(self.train.shape[1])

    def counts(self) -> dict[str, int]:
        """What a published split is known by."""
        return {
            "events": self.events,
            "users": len(self.user_names),
            "filtered items": self.filtered_items,
            "items in training": self.n_items,
            "held-out events of validation": int(self.validation.targets.nnz),
            "held-out events of test": int(self.test.targets.nnz),
        }

    def parts(self) -> dict[str, tuple[csr_array, int]]:
        """Name of each of the five parts → its matrix and the split's number of its first row."""
        return {
            "train": (self.train, 0),
            "validation_tr": (self.validation.fold_in, self.validation.first_user),
            "validation_te": (self.validation.targets, self.validation.first_user),
            "test_tr": (self.test.fold_in, self.test.first_user),
            "test_te": (self.test.targets, self.test.first_user),
        }


def part_digest(matrix: csr_array, first_user: int) -> str:
    """SHA-256 of the (user, item) pairs of one part, sorted by user then item, as little-endian int32."""
    rows, columns = matrix.nonzero()
    pairs = np.column_stack([rows + first_user, columns]).astype("<i4")
    return hashlib.sha256(pairs.tobytes()).hexdigest()


def is_plain(name: str) -> bool:
    """Whether a name can be that of one folder, wherever it is joined to a path."""
    return re.fullmatch(r"[^/\\:\x00-\x1f]{1,100}", name) is not None and name.strip(". ") != ""


@dataclass(frozen=True)
class Published:
    """What is known of the published split: counts of a prepared data set (see `Prepared.counts`), and the settings
    they hold for.
    """

    settings: Mapping[str, object]
    counts: Mapping[str, int]


@dataclass
class DatasetSettings(ABC):
    """Filter and split settings that every data set has; a subclass adds where its interactions come from."""

    heldout_users: int
    min_user_events: int
    min_item_events: int
    holdout_fraction: float
    split_seed: int
    # Start values of the methods at this data set's scale: method → key → value.
    start: dict[str, dict[str, Any]] = field(default_factory=dict, kw_only=True)
    # Parameter → [low, high] to search between, at this data set's scale.
    search: dict[str, Any] = field(default_factory=dict, kw_only=True)

    published: ClassVar[Published | None] = None

    @property
    @abstractmethod
    def label(self) -> str:
        """The name that results carry; it names the MLflow experiment."""

    @abstractmethod
    def content_digest(self, data_dir: Path) -> str:
        """SHA-256 of the source, so that a changed file is prepared anew."""

    @abstractmethod
    def read(self, data_dir: Path, advance: Advance | None = None) -> Interactions:
        """The interactions, thresholds on ratings already applied; `advance` follows what takes long."""

    def check(self) -> None:
        """Raise ConfigError for a setting outside its range."""
        for key, least in (("heldout_users", 1), ("min_user_events", 0), ("min_item_events", 0), ("split_seed", 0)):
            if getattr(self, key) < least:
                raise ConfigError(f"dataset.{key}={getattr(self, key)}: choose {least} or more")
        # It names an MLflow experiment and folders.
        if not is_plain(self.label):
            raise ConfigError(
                f"dataset.name={self.label}: it names a folder and an experiment; choose one without / \\ :"
            )
        if self.split_seed >= 2**32:
            raise ConfigError(f"dataset.split_seed={self.split_seed}: choose less than 2**32")
        if not (math.isfinite(self.holdout_fraction) and 0 < self.holdout_fraction < 1):
            raise ConfigError(f"dataset.holdout_fraction={self.holdout_fraction}: choose a number between 0 and 1")

"""Synthetic interactions of any size, for measuring cost without a download. They say nothing about accuracy."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edlae_sweeps.datasets.base import Advance, DatasetSettings, IntArray, Interactions
from edlae_sweeps.datasets.limits import room
from edlae_sweeps.datasets.protocol import unique
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.resources import GIB

# Standard deviations of the logarithms of user activity, and of an item's weight across topics.
_ACTIVITY_SPREAD = 1.0
_TOPIC_SPREAD = 2.5
# Share of the draws that is uniform over all items, so that every item occurs.
_FLOOR = 0.05
_TOPICS_OF_A_USER = 3
# Users, items and topics have numbers of 32 bits.
_MOST_CODES = 2**31
# Bytes that the draws take, measured: for each user, item, event and topic.
_USER_BYTES, _ITEM_BYTES, _EVENT_BYTES, _TOPIC_BYTES = 80, 24, 32, 16


@dataclass(frozen=True, kw_only=True, repr=False)
class Synthetic(DatasetSettings):
    """Each user draws items from three of `topics` latent topics.

    The number of draws of a user is log-normal with mean `mean_events`. Draws are with replacement and repeated items
    count once, so that the mean number of events is somewhat lower.

    name         the data set's name
    n_users, n_items  sizes before filtering (1 to 2**31 − 1); held-out users are included
    mean_events  mean number of draws per user (1 to n_items)
    topics       latent topics (1 to 2**31 − 1)
    exponent     popularity falls as rank^-exponent (0 to 5; 0: uniform)
    seed         seed of the generator
    """

    name: str = "synthetic"
    n_users: int = 10_000
    n_items: int = 2000
    mean_events: float = 40.0
    topics: int = 50
    exponent: float = 1.0
    seed: int = 0

    @property
    @override
    def label(self) -> str:
        return self.name

    @override
    def check(self) -> None:
        super().check()
        for key in ("n_users", "n_items", "topics"):
            if not 1 <= getattr(self, key) < _MOST_CODES:
                raise ConfigError(f"dataset.{key}={getattr(self, key)}: choose a whole number from 1 to 2**31 - 1")
        if not (math.isfinite(self.mean_events) and 1 <= self.mean_events <= self.n_items):
            raise ConfigError(f"dataset.mean_events={self.mean_events}: choose a number from 1 to dataset.n_items")
        if not (math.isfinite(self.exponent) and 0 <= self.exponent <= 5):
            raise ConfigError(f"dataset.exponent={self.exponent}: choose a number from 0 to 5")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"dataset.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")

    @override
    def source(self, data_dir: Path) -> str:
        return ""

    @override
    def content_digest(self, data_dir: Path) -> str:
        return "made by version 1 of the generator"

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        self._check_memory(room(memory))
        random = np.random.default_rng(self.seed)
        activity = random.lognormal(-0.5 * _ACTIVITY_SPREAD**2, _ACTIVITY_SPREAD, self.n_users) * self.mean_events
        draws = np.clip(np.rint(activity), 1, self.n_items).astype(np.int64)
        users = np.repeat(np.arange(self.n_users, dtype=np.int32), draws)
        items = self._draw_items(random, users, advance)
        # Keep each user's first draw of an item, in the order of the draws.
        return unique(Interactions(users, items, np.arange(self.n_users), np.arange(self.n_items)))

    def _check_memory(self, free: int) -> None:
        """Raise ConfigError for sizes whose arrays would not fit into `free` bytes."""
        events = self.n_users * self.mean_events
        needed = self.n_users * _USER_BYTES + self.n_items * _ITEM_BYTES + events * _EVENT_BYTES
        needed += self.topics * _TOPIC_BYTES
        if needed > free:
            raise ConfigError(
                f"dataset.n_users={self.n_users}, dataset.n_items={self.n_items}, dataset.topics={self.topics}, "
                f"dataset.mean_events={self.mean_events:g}: these data need about {needed / GIB:,.1f} GiB, and "
                f"{max(0, free) / GIB:,.1f} GiB are free; choose smaller ones"
            )

    def _draw_items(self, random: np.random.Generator, users: IntArray, advance: Advance | None) -> IntArray:
        """An item for each event: drawn from one of the user's topics by the popularity of items in it."""
        favourites = random.integers(0, self.topics, (self.n_users, _TOPICS_OF_A_USER), dtype=np.int32)
        topic = favourites[users, random.integers(0, _TOPICS_OF_A_USER, len(users))]
        popularity = (np.arange(self.n_items) + 1.0) ** -self.exponent
        by_topic = np.argsort(topic, kind="stable")
        ends = np.cumsum(np.bincount(topic, minlength=self.topics))
        items = np.empty(len(users), dtype=np.int32)
        for number in range(self.topics):
            weights = popularity * random.lognormal(0, _TOPIC_SPREAD, self.n_items)
            weights = (1 - _FLOOR) * weights / weights.sum() + _FLOOR / self.n_items
            events = by_topic[(ends[number - 1] if number else 0) : ends[number]]
            drawn = np.searchsorted(np.cumsum(weights), random.random(len(events)), side="right")
            items[events] = np.minimum(drawn, self.n_items - 1)
            if advance is not None:
                advance(number + 1, self.topics)
        return items

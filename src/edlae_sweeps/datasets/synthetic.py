"""Made-up interactions, for measuring what a scale costs without a download. They say nothing about accuracy."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edlae_sweeps.datasets.base import Advance, DatasetSettings, IntArray, Interactions
from edlae_sweeps.errors import ConfigError

# Spread of the users' activity, and of an item's weight between topics, as standard deviations of logarithms.
_ACTIVITY_SPREAD = 1.0
_TOPIC_SPREAD = 2.5
# Part of the draws that come from all items alike: every item is met by somebody.
_FLOOR = 0.05
_TOPICS_OF_A_USER = 3


@dataclass
class Synthetic(DatasetSettings):
    """Users draw items from a few of `topics` latent topics; popularity falls with rank as a power `exponent`.

    A user draws a number of items that is log-normal with mean `mean_events`, with replacement: what is drawn twice
    counts once, so that there are somewhat fewer events.
    """

    name: str
    n_users: int
    n_items: int
    mean_events: float
    topics: int
    exponent: float
    seed: int

    @property
    def label(self) -> str:
        return self.name

    def check(self) -> None:
        super().check()
        for key in ("n_users", "n_items", "topics"):
            if getattr(self, key) < 1:
                raise ConfigError(f"dataset.{key}={getattr(self, key)}: choose 1 or more")
        if not (math.isfinite(self.mean_events) and 1 <= self.mean_events <= self.n_items):
            raise ConfigError(f"dataset.mean_events={self.mean_events}: choose a number from 1 to dataset.n_items")
        if not (math.isfinite(self.exponent) and 0 <= self.exponent <= 5):
            raise ConfigError(f"dataset.exponent={self.exponent}: choose a number from 0 to 5")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"dataset.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")

    def content_digest(self, data_dir: Path) -> str:  # noqa: ARG002 - it is made from the settings alone
        return "made by version 1 of the generator"

    def read(self, data_dir: Path, advance: Advance | None = None) -> Interactions:  # noqa: ARG002 - it is made here
        random = np.random.default_rng(self.seed)
        activity = random.lognormal(-0.5 * _ACTIVITY_SPREAD**2, _ACTIVITY_SPREAD, self.n_users) * self.mean_events
        draws = np.clip(np.rint(activity), 1, self.n_items).astype(np.int64)
        users = np.repeat(np.arange(self.n_users, dtype=np.int32), draws)
        items = self._draw_items(random, users, advance)
        # A user's rows in the order of the draws, each item once.
        pairs = users.astype(np.int64) * self.n_items + items
        first = np.sort(np.unique(pairs, return_index=True)[1])
        return Interactions(users[first], items[first], np.arange(self.n_users), np.arange(self.n_items))

    def _draw_items(self, random: np.random.Generator, users: IntArray, advance: Advance | None) -> IntArray:
        """An item for each event: from one of its user's topics, by the topic's own popularity."""
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

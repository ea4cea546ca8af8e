"""Whether and how parameters are searched for."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from edlae_sweeps.errors import ConfigError


class Sampler(StrEnum):
    """How the points of a search are chosen."""

    tpe = "tpe"
    random = "random"
    grid = "grid"


class Objective(StrEnum):
    """The validation metric that is maximised."""

    ndcg_100 = "ndcg_100"
    recall_20 = "recall_20"
    recall_50 = "recall_50"


@dataclass
class Tune:
    """Whether parameters are searched for."""

    name: ClassVar[str]

    def check(self) -> None:
        """Raise ConfigError for a setting outside its range."""


@dataclass
class Off(Tune):
    """The parameters are those that are set."""

    name: ClassVar[str] = "off"


@dataclass
class Optuna(Tune):
    """For each rank the best of `n_trials` points, by a validation metric."""

    name: ClassVar[str] = "optuna"

    n_trials: int
    sampler: Sampler
    grid_points: int
    timeout: float | None
    metric: Objective
    seed: int
    start: str | None

    def check(self) -> None:
        for key in ("n_trials", "grid_points"):
            if getattr(self, key) < 1:
                raise ConfigError(f"tune.{key}={getattr(self, key)}: choose 1 or more")
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise ConfigError(f"tune.timeout={self.timeout}: choose a number of seconds above 0, or null")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"tune.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")


# The registry: the name in `tune=NAME` → its settings.
TUNES: dict[str, type[Tune]] = {kind.name: kind for kind in (Off, Optuna)}


@dataclass(frozen=True)
class Range:
    """Where one parameter is searched: evenly between `low` and `high`, or between their logarithms."""

    low: float
    high: float
    log: bool

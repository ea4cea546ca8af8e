"""Whether and how parameters are tuned."""

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args, get_type_hints

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.evaluation import COMMON, Metric
from edlae_sweeps.imports import override
from edlae_sweeps.methods import Method
from edlae_sweeps.options import Options

# How points are sampled.
Sampler = Literal["tpe", "random", "grid"]
# The name of a validation metric; the command line completes those that are common.
Objective = Annotated[str, COMMON]
# Largest values: each point is a run of the store, and of a finer grid a search would only see a corner.
_MOST = {"n_trials": 100_000, "batch": 100_000, "grid_points": 1000}
# Parameter → [low, high] to search between, or None to keep the method's value.
Ranges = Mapping[str, Sequence[float] | None]


@dataclass(frozen=True, kw_only=True, repr=False)
class Tune(Options):
    """Base of the choices of `tune=NAME`.

    search  search range of each parameter: [low, high], or None to keep the method's value
    """

    prefix: ClassVar[str] = "tune."
    name: ClassVar[str]

    search: Ranges = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, repr=False)
class Off(Tune):
    """Fit the parameters as given."""

    name: ClassVar[str] = "off"


@dataclass(frozen=True, kw_only=True, repr=False)
class Optuna(Tune):
    """For each rank, search the point with the best validation metric.

    n_trials     maximum number of points: of the job where ranks share a factorisation, else of each rank (1 to 100000)
    batch        points asked for at once, from the evaluations of complete batches before them (≥ 1)
    sampler      how points are sampled
    grid_points  values of each parameter on the grid (1 to 1000)
    timeout      seconds after which no new point starts (> 0); None: no limit
    metric       validation metric to improve: any that `Evaluation` takes, or one of those that are always measured
    seed         random seed of the sampler (0 to 2**32 - 1)
    start        ID of the MLflow run whose parameters are the first point; None: the parameters of the method
    """

    name: ClassVar[str] = "optuna"

    n_trials: int = 20
    batch: int = 1
    sampler: Sampler = "tpe"
    grid_points: int = 5
    timeout: float | None = None
    metric: Objective = "ndcg_100"
    seed: int = 0
    start: str | None = None

    @override
    def check(self) -> None:
        Metric.parse(self.metric, "tune.metric")
        for key, most in _MOST.items():
            if not 1 <= getattr(self, key) <= most:
                raise ConfigError(f"tune.{key}={getattr(self, key)}: choose a whole number from 1 to {most}")
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise ConfigError(f"tune.timeout={self.timeout}: choose a number of seconds above 0, or null")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"tune.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")


# The registry: the name in `tune=NAME` → its settings.
TUNES: dict[str, type[Tune]] = {kind.name: kind for kind in (Off, Optuna)}


@dataclass(frozen=True)
class Range:
    """Search range of one parameter: uniform from `low` to `high`, or log-uniform if `log`."""

    low: float
    high: float
    log: bool


def search_space(search: Ranges, method: Method[Any]) -> dict[str, Range]:
    """The range of each parameter to search; parameters without a range are left out.

    Raises ConfigError for a parameter that the method does not have, and for a range that the parameter can't take.
    """
    space = {}
    for name, ends in search.items():
        if not _is_number(method, str(name)):
            raise ConfigError(f"tune.search.{name}: {method.name} has no such parameter to search")
        if ends is not None:
            space[name] = _range(name, ends, name in method.log_scale)
            for end in (space[name].low, space[name].high):
                # Options check their values when they are made.
                dataclasses.replace(method, **dict[str, Any]({name: end}))
    return space


def _is_number(method: Method[Any], name: str) -> bool:
    """Whether a method has an option of this name that is a number; λ may still be None, taken from the data."""
    hint = get_type_hints(type(method)).get(name)
    return float in (hint, *get_args(hint))


def _range(name: str, ends: object, log: bool) -> Range:
    pair = list(ends) if isinstance(ends, Sequence) and not isinstance(ends, str) else []
    # Infinity is no end, and a whole number may be beyond it.
    numbers = [
        float(end)
        for end in pair
        if isinstance(end, int | float) and not isinstance(end, bool) and abs(end) <= sys.float_info.max
    ]
    if len(pair) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1] or (log and numbers[0] <= 0):
        least = "above 0 and " if log else ""
        raise ConfigError(f"tune.search.{name}={ends}: choose [low,high], low {least}below high, or null")
    return Range(numbers[0], numbers[1], log)

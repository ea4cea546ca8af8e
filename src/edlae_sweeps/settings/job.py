"""The settings of one job: a method on a data set, at one rank or several."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import platformdirs

from edlae_sweeps.datasets import DatasetSettings, Debian, Prepared
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.evaluation import METRICS
from edlae_sweeps.imports import override
from edlae_sweeps.methods import Closed, Method, Rank
from edlae_sweeps.options import Options
from edlae_sweeps.resources import cores
from edlae_sweeps.settings.metrics import Evaluation
from edlae_sweeps.settings.parallel import Alone, Parallel
from edlae_sweeps.settings.store import Tracking
from edlae_sweeps.settings.tune import Off, Optuna, Range, Tune, search_space

# Floating-point type of the Gram matrix and of everything computed from it.
DType = Literal["float32", "float64"]
# How the Gram matrix is given: as an array, as products with X, or as what fits and is quick.
GramKind = Literal["auto", "dense", "products"]
# Where dense arrays are computed with: the CPU, a GPU, or a GPU if there is one with enough memory.
DeviceKey = Literal["cpu", "cuda", "auto"]
# What happens to the later jobs of a multirun when one fails.
OnError = Literal["continue", "stop"]
# More memory than any machine has.
_MOST_GIB = 1_000_000


def cache_dir() -> str:
    """Folder of prepared data: the environment variable EDLAE_SWEEPS_DATA, else the user's cache folder."""
    return os.environ.get("EDLAE_SWEEPS_DATA") or platformdirs.user_cache_dir("edlae_sweeps")


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(Options):
    """One job. conf/config.yaml documents every key, and has the same defaults.

    Raises ConfigError when it is made, for every error that can be seen without the data.
    """

    dataset: DatasetSettings = field(default_factory=Debian)
    method: Method[Any] = field(default_factory=Closed)
    tune: Tune = field(default_factory=Off)
    parallel: Parallel = field(default_factory=Alone)
    # One rank or a list of ranks; `ranks` has them in order.
    rank: Any = 500
    dtype: DType = "float32"
    gram: GramKind = "auto"
    device: DeviceKey = "cpu"
    seed: int = 0
    save_model: bool = False
    register: bool = False
    certificate: bool = False
    epoch_metrics: bool = False
    threads: int | None = None
    memory: float | None = None
    repeat: int | None = None
    skip_finished: bool | None = None
    dry_run: bool = False
    on_error: OnError = "continue"
    data_dir: str = field(default_factory=cache_dir)
    evaluation: Evaluation = field(default_factory=Evaluation)
    tracking: Tracking = field(default_factory=Tracking)

    @override
    def check(self) -> None:
        for rank in self.ranks():
            self.method.check_rank(rank)
        if self.by_products:
            self.method.check_products(self.ranks())
        if self.certificate and not self.method.minimises_eq7:
            raise ConfigError(
                f"certificate=true: method={self.method.name} does not minimise Eq. 7; choose closed, admm or zero_diag"
            )
        if self.certificate and self.by_products:
            raise ConfigError("certificate=true: it needs G as a dense array; choose gram=dense, or certificate=false")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed={self.seed}: choose a whole number from 0 to 2**32 - 1")
        if not self.data_dir:
            raise ConfigError("data_dir is empty: name a folder, or leave it out for your cache folder")
        if self.threads is not None and not 1 <= self.threads <= cores():
            raise ConfigError(f"threads={self.threads}: choose 1 to {cores()}, or null for all of these")
        if self.memory is not None and not 0 < self.memory <= _MOST_GIB:
            raise ConfigError(
                f"memory={self.memory}: choose a number of GiB above 0, at most {_MOST_GIB}, or null for what is free"
            )
        if self.repeat is not None and self.repeat < 1:
            raise ConfigError(f"repeat={self.repeat}: choose 1 or more, or null")
        if isinstance(self.tune, Optuna) and not self.space():
            remedy = "give a range, such as 'tune.search.l2=[1,100]', or " if self.tune.search else ""
            raise ConfigError(f"tune=optuna: method={self.method.name} has nothing to search; {remedy}choose tune=off")

    @property
    def by_products(self) -> bool:
        """Whether G is given as products."""
        return self.gram == "products"

    def further_metrics(self) -> tuple[str, ...]:
        """Names of what is measured of each cell beside the metrics that always are: what is asked for or searched."""
        searched = [self.tune.metric] if isinstance(self.tune, Optuna) else []
        return tuple(name for name in dict.fromkeys([*self.evaluation.metrics, *searched]) if name not in METRICS)

    def space(self) -> dict[str, Range]:
        """The range of each parameter in `tune.search` that has one; ConfigError for an invalid range."""
        return search_space(self.tune.search, self.method)

    def ranks(self) -> tuple[Rank, ...]:
        """The distinct ranks of `rank`, ascending, with `full` last."""
        values = self.rank if isinstance(self.rank, Sequence) and not isinstance(self.rank, str) else [self.rank]
        if not values:
            raise _rank_error(self.rank)
        distinct = set()
        for value in values:
            # bool is an int in Python, but rank=true is a mistake.
            if value != "full" and (type(value) is not int or value < 1):
                raise _rank_error(value)
            distinct.add(value)
        integers: list[Rank] = sorted(value for value in distinct if value != "full")
        return (*integers, "full") if "full" in distinct else tuple(integers)


def _rank_error(value: object) -> ConfigError:
    shown = "null" if value is None else f"{value!r}" if isinstance(value, str) else str(value).lower()
    return ConfigError(
        f"rank={shown}: choose a whole number from 1 to the number of items, full, or a list of these, "
        "such as 'rank=[10,100,full]'"
    )


def check_against_data(ranks: Sequence[Rank], data: Prepared) -> None:
    """Raise ConfigError for a rank above the number of items."""
    for rank in ranks:
        if rank != "full" and rank > data.n_items:
            raise ConfigError(f"rank={rank}: the data have {data.n_items} items; choose at most that, or rank=full")

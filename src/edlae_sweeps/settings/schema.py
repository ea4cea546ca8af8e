"""The whole specification of a run as plain dataclasses: the schema that the configuration is composed into."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from edlae_sweeps import machine
from edlae_sweeps.datasets import DatasetSettings, Prepared
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.settings.tune import Optuna, Range, Tune

# URI schemes of MLflow's tracking stores, without the driver that may follow a +.
_STORES = frozenset({"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"})


class DType(Enum):
    """Floating-point type of the Gram matrix and of all that is computed from it."""

    float32 = "float32"
    float64 = "float64"


@dataclass
class Tracking:
    """Where results go: an MLflow tracking URI (None: a database in `dir`), and the folder of all else."""

    uri: str | None
    dir: str

    def check(self) -> None:
        """Raise ConfigError for what MLflow can't use."""
        if not self.dir:
            raise ConfigError("tracking.dir is empty: name a folder, such as mlruns")
        if self.uri is not None and self.uri.partition(":")[0].partition("+")[0] not in _STORES:
            raise ConfigError(
                f"tracking.uri={self.uri}: MLflow keeps runs on a server or in a database; choose http://HOST:PORT, "
                "sqlite:///PATH/mlflow.db or another database, or null for mlflow.db in tracking.dir"
            )


# What a failing job of a multirun does to those after it. One of its names is a keyword.
OnError = StrEnum("OnError", ["continue", "stop"])


@dataclass
class ReportSettings:
    """What to report on: names of data sets, or None for all that the store has."""

    datasets: list[str] | None
    tracking: Tracking

    def check(self) -> None:
        """Raise ConfigError for a setting outside its range."""
        self.tracking.check()


@dataclass
class Settings:
    """One job: a method on a data set, at one rank or several. conf/ sets and documents every key."""

    dataset: DatasetSettings
    method: Method
    tune: Tune
    rank: Any
    dtype: DType
    seed: int
    save_model: bool
    epoch_metrics: bool
    threads: int | None
    memory: float | None
    repeat: int | None
    skip_finished: bool | None
    dry_run: bool
    on_error: OnError
    data_dir: str
    tracking: Tracking

    def check(self) -> None:
        """Raise ConfigError for whatever is wrong without looking at the data."""
        self.method.check()
        for rank in self.ranks():
            self.method.check_rank(rank)
        self.dataset.check()
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed={self.seed}: choose a whole number from 0 to 2**32 - 1")
        if not self.data_dir:
            raise ConfigError("data_dir is empty: name a folder, or leave it out for your cache folder")
        self.tracking.check()
        self.tune.check()
        if self.threads is not None and not 1 <= self.threads <= machine.cores():
            raise ConfigError(f"threads={self.threads}: choose 1 to {machine.cores()}, or null for all of these")
        if self.memory is not None and not self.memory > 0:
            raise ConfigError(f"memory={self.memory}: choose a number of GiB above 0, or null for what is free")
        if self.repeat is not None and self.repeat < 1:
            raise ConfigError(f"repeat={self.repeat}: choose 1 or more, or null")
        if isinstance(self.tune, Optuna) and not self.space():
            remedy = "give a range, such as 'method.search.l2=[1,100]', or " if self.method.search else ""
            raise ConfigError(f"tune=optuna: method={self.method.name} has nothing to search; {remedy}choose tune=off")

    def space(self) -> dict[str, Range]:
        """The ranges of `method.search`, ConfigError where they make no sense; nulls are left as they are set."""
        found = {}
        for name, ends in self.method.search.items():
            if not isinstance(getattr(self.method, name, None), float):
                raise ConfigError(f"method.search.{name}: {self.method.name} has no such parameter to search")
            if ends is None:
                continue
            pair = list(ends) if isinstance(ends, Sequence) and not isinstance(ends, str) else []
            numbers = [float(end) for end in pair if isinstance(end, int | float) and not isinstance(end, bool)]
            log = name in self.method.log_scale
            if len(pair) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1] or (log and numbers[0] <= 0):
                least = "above 0 and " if log else ""
                raise ConfigError(f"method.search.{name}={ends}: choose [low,high], low {least}below high, or null")
            for number in numbers:
                dataclasses.replace(self.method, **dict[str, Any]({name: number})).check()
            found[name] = Range(numbers[0], numbers[1], log)
        return found

    def ranks(self) -> tuple[Rank, ...]:
        """The ranks of `rank`, each once, ascending, `full` last."""
        values = self.rank if isinstance(self.rank, Sequence) and not isinstance(self.rank, str) else [self.rank]
        if not values:
            raise _rank_error(self.rank)
        numbers = set()
        for value in values:
            # bool is an int in Python, but rank=true is a slip.
            if value != "full" and (type(value) is not int or value < 1):
                raise _rank_error(value)
            numbers.add(value)
        integers: list[Rank] = sorted(value for value in numbers if value != "full")
        return (*integers, "full") if "full" in numbers else tuple(integers)


def _rank_error(value: object) -> ConfigError:
    shown = "null" if value is None else f"{value!r}" if isinstance(value, str) else str(value).lower()
    return ConfigError(
        f"rank={shown}: choose a whole number from 1 to the number of items, full, or a list of these, "
        "such as 'rank=[10,100,full]'"
    )


def check_against_data(ranks: Sequence[Rank], data: Prepared) -> None:
    """Raise ConfigError for a rank that the data can't have."""
    for rank in ranks:
        if rank != "full" and rank > data.n_items:
            raise ConfigError(f"rank={rank}: the data have {data.n_items} items; choose at most that, or rank=full")

"""The whole specification of a run as plain dataclasses: the schema that the configuration is composed into."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from edlae_sweeps.datasets import DatasetSettings, Prepared
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Method, Rank

# Part of every run key. Raise it when, and only when, the same settings on the same data give other results.
RESULTS_VERSION = 1

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


@dataclass
class Settings:
    """One job: a method on a data set, at one rank or several. conf/ sets and documents every key."""

    dataset: DatasetSettings
    method: Method
    rank: Any
    dtype: DType
    seed: int
    save_model: bool
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


def run_key(settings: Settings, data: Prepared, rank: Rank) -> str:
    """Hash of all that determines the result of one cell, and of nothing else: equal keys, equal results."""
    determinants = {
        "results_version": RESULTS_VERSION,
        "data": data.digest,
        "method": settings.method.name,
        "method_settings": asdict(settings.method),
        "rank": rank,
        "dtype": settings.dtype.value,
        "seed": settings.seed,
    }
    return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]

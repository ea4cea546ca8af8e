"""Interactions of your own: a table of users and items in a file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions
from edlae_sweeps.datasets.tables import Columns, Text, file_source, read_parquet, read_text
from edlae_sweeps.errors import ConfigError, DataError

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass
class InteractionsFile(DatasetSettings):
    """A csv, tsv (each also .gz) or Parquet file with a row for each event; of equal pairs the first counts."""

    path: str
    name: str | None
    user_column: str
    item_column: str
    rating_column: str | None
    min_rating: float | None

    @property
    def label(self) -> str:
        return self.name or Path(self.path).name.split(".", 1)[0]

    def check(self) -> None:
        if not self.path:
            raise ConfigError("dataset.path is not set: name a csv, tsv (each also .gz) or parquet file")
        if self._format() not in (*_DELIMITERS, ".parquet"):
            raise ConfigError(
                f"dataset.path={self.path}: its name must end in .csv, .tsv, .csv.gz, .tsv.gz or .parquet"
            )
        if not Path(self.path).expanduser().is_file():
            raise ConfigError(f"dataset.path={self.path}: there is no such file")
        super().check()
        columns = [self.user_column, self.item_column, *([self.rating_column] if self.rating_column else [])]
        if len(set(columns)) < len(columns):
            raise ConfigError(f"dataset: the columns {', '.join(columns)} have to be different ones")
        if self.min_rating is not None and self.rating_column is None:
            raise ConfigError(f"dataset.min_rating={self.min_rating} needs dataset.rating_column")
        if self.min_rating is not None and not np.isfinite(self.min_rating):
            raise ConfigError(f"dataset.min_rating={self.min_rating}: choose a number, or null")

    def content_digest(self, data_dir: Path) -> str:  # noqa: ARG002 - the file lies where it lies
        try:
            with Path(self.path).expanduser().open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"can't read dataset.path={self.path}: {error.strerror}") from error

    def read(self, data_dir: Path, advance: Advance | None = None) -> Interactions:  # noqa: ARG002 - nothing to wait for
        path = Path(self.path).expanduser()
        columns = Columns(self.user_column, self.item_column, self.rating_column, self.min_rating)
        kind = self._format()
        if kind == ".parquet":
            return unique(read_parquet(path, columns))
        return unique(read_text(file_source(path), Text(_DELIMITERS[kind]), columns))

    def _format(self) -> str:
        name = Path(self.path).name.lower()
        return Path(name.removesuffix(".gz")).suffix if not name.endswith(".parquet.gz") else ".parquet.gz"


def unique(events: Interactions) -> Interactions:
    """The first of every pair of user and item, in their order."""
    pairs = events.users.astype(np.int64) * max(1, len(events.item_names)) + events.items
    first = np.sort(np.unique(pairs, return_index=True)[1])
    return Interactions(events.users[first], events.items[first], events.user_names, events.item_names)

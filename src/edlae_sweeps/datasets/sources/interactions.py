"""Your own interactions: a table of users and items in a file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions
from edlae_sweeps.datasets.protocol import unique
from edlae_sweeps.datasets.tables import Columns, Text, file_source, read_parquet, read_text
from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.imports import override

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, kw_only=True, repr=False)
class InteractionsFile(DatasetSettings):
    """A csv, tsv (each also .gz) or Parquet file with one row per event. Repeated pairs count once.

    path           the file
    name           the data set's name; None: the file's name up to its first dot
    user_column, item_column  columns of the ids, strings or whole numbers
    rating_column  column of the ratings, used with min_rating only
    min_rating     rows with a lower rating are ignored; None: every row is an event
    """

    heldout_users: int | None = None

    path: str = ""
    name: str | None = None
    user_column: str = "user"
    item_column: str = "item"
    rating_column: str | None = None
    min_rating: float | None = None

    @property
    @override
    def label(self) -> str:
        return self.name or Path(self.path).name.split(".", 1)[0]

    @override
    def check(self) -> None:
        if not self.path:
            raise ConfigError("dataset.path is not set: name a csv, tsv (each also .gz) or parquet file")
        if self._format() not in (*_DELIMITERS, ".parquet"):
            raise ConfigError(
                f"dataset.path={self.path}: its name must end in .csv, .tsv, .csv.gz, .tsv.gz or .parquet"
            )
        self._check_file()
        super().check()
        columns = [self.user_column, self.item_column, *([self.rating_column] if self.rating_column else [])]
        if len(set(columns)) < len(columns):
            raise ConfigError(f"dataset: the columns {', '.join(columns)} must be different")
        if self.min_rating is not None and self.rating_column is None:
            raise ConfigError(f"dataset.min_rating={self.min_rating} needs dataset.rating_column")
        if self.min_rating is not None and not np.isfinite(self.min_rating):
            raise ConfigError(f"dataset.min_rating={self.min_rating}: choose a number, or null")

    @override
    def source(self, data_dir: Path) -> str:
        return str(Path(self.path).expanduser().absolute())

    @override
    def content_digest(self, data_dir: Path) -> str:
        try:
            with Path(self.path).expanduser().open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"can't read dataset.path={self.path}: {error.strerror}") from error

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        path = Path(self.path).expanduser()
        columns = Columns(self.user_column, self.item_column, self.rating_column, self.min_rating)
        kind = self._format()
        if kind == ".parquet":
            return unique(read_parquet(path, columns, memory))
        return unique(read_text(file_source(path), Text(_DELIMITERS[kind]), columns, memory))

    def _check_file(self) -> None:
        """Raise ConfigError unless there is a file at `path`."""
        shown = f"dataset.path={self.path[:200]}"
        try:
            file = Path(self.path).expanduser()
            found = file.is_file()
        except RuntimeError as error:
            raise ConfigError(f"{shown}: there is no such user; write the path in full") from error
        except OSError as error:
            raise ConfigError(f"{shown}: {error.strerror}; name a file that you can read") from error
        if not found:
            what = "it is a folder" if file.is_dir() else "there is no such file"
            raise ConfigError(f"{shown}: {what}; name a csv, tsv (each also .gz) or parquet file")

    def _format(self) -> str:
        name = Path(self.path).name.lower()
        return Path(name.removesuffix(".gz")).suffix if not name.endswith(".parquet.gz") else ".parquet.gz"

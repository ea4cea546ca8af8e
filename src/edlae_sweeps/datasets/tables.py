"""Readers of interaction tables: delimited text, plain or inside an archive, and Parquet."""

import gzip
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from edlae_sweeps.datasets.base import Interactions


@dataclass(frozen=True)
class Source:
    """A file to read: its name for messages, and a function that opens it from the start."""

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Columns:
    """The columns to use. Rows with a rating below `min_rating` are ignored."""

    user: str
    item: str
    rating: str | None = None
    min_rating: float | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns to read."""
        return [self.user, self.item] + ([self.rating] if self.rating and self.min_rating is not None else [])


@dataclass(frozen=True)
class Text:
    """The format of a delimited text. `header` names the columns if the text has no header line."""

    delimiter: str
    header: tuple[str, ...] | None = None
    quoted: bool = True


def file_source(path: Path) -> Source:
    """A file on disk, decompressed on the fly if its name ends in .gz."""

    def opened() -> AbstractContextManager[BinaryIO]:
        return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")

    return Source(str(path), opened)


def read_text(source: Source, text: Text, columns: Columns) -> Interactions:
    """Interactions of a delimited text, in its order. Raises DataError with the line number, if known."""
    # It imports Arrow, which prepared data do without.
    from edlae_sweeps.datasets.arrow import parse_text

    return parse_text(source, text, columns)


def read_parquet(path: Path, columns: Columns) -> Interactions:
    """Interactions of a Parquet file, in its order. Raises DataError if ids are neither strings nor whole numbers."""
    from edlae_sweeps.datasets.arrow import parse_parquet

    return parse_parquet(path, columns)

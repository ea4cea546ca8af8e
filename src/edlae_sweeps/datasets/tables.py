"""Readers of interaction tables: delimited text, plain or inside an archive, and Parquet."""

import gzip
import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from edlae_sweeps.datasets.base import Interactions
from edlae_sweeps.errors import DataError
from edlae_sweeps.imports import needed, override
from edlae_sweeps.resources import GIB

# Tables of ratings expand tenfold; what expands more than this was made to fill a disk or the memory.
_MOST_EXPANSION = 200
_ALWAYS_BYTES = GIB


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
        if path.suffix.lower() != ".gz":
            return path.open("rb")
        return bounded(cast(IO[bytes], gzip.open(path)), str(path), most_bytes(path))

    return Source(str(path), opened)


def most_bytes(packed: Path) -> int:
    """The bytes that anything packed in a file may expand to."""
    return max(_ALWAYS_BYTES, _MOST_EXPANSION * packed.stat().st_size)


def bounded(stream: IO[bytes], name: str, most: int) -> BinaryIO:
    """The same stream, which raises DataError once it has given more than `most` bytes."""
    return cast(BinaryIO, io.BufferedReader(_Counted(stream, name, most)))


def expansion_error(name: str, most: int) -> DataError:
    """The error of what expands to more than `most` bytes."""
    return DataError(
        f"{name} expands to more than {most / GIB:.0f} GiB, {_MOST_EXPANSION} times the size of its file: it is not a "
        "table of events; unpack it yourself if it is"
    )


class _Counted(io.RawIOBase):
    """What `bounded` reads from."""

    def __init__(self, stream: IO[bytes], name: str, most: int) -> None:
        self._stream, self._name, self._most = stream, name, most
        self._given = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any, /) -> int:
        content = self._stream.read(len(buffer))
        self._given += len(content)
        if self._given > self._most:
            raise expansion_error(self._name, self._most)
        buffer[: len(content)] = content
        return len(content)

    @override
    def close(self) -> None:
        self._stream.close()
        super().close()


def read_text(source: Source, text: Text, columns: Columns, memory: int | None = None) -> Interactions:
    """Interactions of a delimited text, in its order. `memory` is as in `DatasetSettings.read`.

    Raises DataError with the line number, if known.
    """
    # Prepared data do without it.
    needed("pyarrow", "reading a table")
    from edlae_sweeps.datasets.arrow import parse_text

    return parse_text(source, text, columns, memory)


def read_parquet(path: Path, columns: Columns, memory: int | None = None) -> Interactions:
    """Interactions of a Parquet file, in its order. `memory` is as in `DatasetSettings.read`.

    Raises DataError if ids are neither strings nor whole numbers.
    """
    needed("pyarrow", "reading a table")
    from edlae_sweeps.datasets.arrow import parse_parquet

    return parse_parquet(path, columns, memory)

"""Readers of interaction tables: delimited text, plain or inside an archive, and Parquet."""

import gzip
import re
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from edlae_sweeps.datasets.base import IntArray, Interactions
from edlae_sweeps.errors import DataError

_BLOCK_BYTES = 16 * 1024**2
_WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
_IDS = pa.dictionary(pa.int32(), pa.string())
# Errors that the readers raise on a damaged file.
READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException)


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
    try:
        table = _parse(source, text, columns, threads=True)
    except READ_ERRORS as error:
        raise _text_error(source, text, columns, error) from error
    lines_above = 1 if text.header is None else 0
    return _interactions(table, columns, source.name, "line", lines_above + 1)


def read_parquet(path: Path, columns: Columns) -> Interactions:
    """Interactions of a Parquet file, in its order. Raises DataError if ids are neither strings nor whole numbers."""
    try:
        known = pq.read_schema(path).names
        if missing := [name for name in columns.names if name not in known]:
            raise DataError(_missing(str(path), missing[0], known))
        table = pq.read_table(path, columns=columns.names)
    except READ_ERRORS as error:
        raise DataError(f"can't read {path}: {_one_line(error)}") from error
    for name in (columns.user, columns.item):
        kind = table[name].type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise DataError(f"{path}: column {name} holds {kind}; convert the ids to strings or whole numbers")
    if len(columns.names) == 3:
        try:
            table = table.set_column(2, columns.names[2], table[2].cast(pa.float64()))
        except pa.ArrowException as error:
            raise DataError(f"{path}: column {columns.rating} does not hold numbers: {_one_line(error)}") from error
    return _interactions(table, columns, str(path), "row", 1)


def _parse(source: Source, text: Text, columns: Columns, threads: bool) -> pa.Table:
    types = {columns.user: _IDS, columns.item: _IDS, columns.rating: pa.float64()}
    with source.open() as stream:
        # Arrow may hang on an empty file when it reads in parallel.
        if not stream.read(1):
            raise DataError(f"{source.name} is empty")
    with source.open() as stream:
        return pacsv.read_csv(
            stream,
            read_options=pacsv.ReadOptions(use_threads=threads, block_size=_BLOCK_BYTES, column_names=text.header),
            parse_options=pacsv.ParseOptions(delimiter=text.delimiter, quote_char='"' if text.quoted else False),
            convert_options=pacsv.ConvertOptions(
                column_types={name: types[name] for name in columns.names}, include_columns=columns.names
            ),
        )


def _text_error(source: Source, text: Text, columns: Columns, error: BaseException) -> DataError:
    """The error in one line. Only the serial reader knows line numbers, so it parses the text again."""
    if isinstance(error, pa.ArrowKeyError):
        return DataError(_missing(source.name, *_missing_column(source, text, columns)))
    if isinstance(error, pa.ArrowInvalid):
        try:
            _parse(source, text, columns, threads=False)
        except READ_ERRORS as again:
            error = again
    reason = re.sub(r"^(?:CSV parse error|In CSV column #\d+): Row #(\d+): ", r"line \1: ", _one_line(error))
    return DataError(f"can't read {source.name}: {reason[:300]}")


def _missing_column(source: Source, text: Text, columns: Columns) -> tuple[str, list[str]]:
    with source.open() as stream:
        known = stream.readline().decode("utf-8", "replace").rstrip("\r\n").split(text.delimiter)
    return next((name for name in columns.names if name not in known), columns.names[0]), known


def _missing(name: str, column: str, known: list[str]) -> str:
    return f"{name} has no column {column}: choose from {', '.join(known)[:300]}"


def _interactions(table: pa.Table, columns: Columns, name: str, unit: str, first: int) -> Interactions:
    """Codes and sorted names of users and items, for the rows whose rating is high enough."""
    for column in columns.names:
        if table[column].null_count:
            row = pc.index(pc.is_null(table[column]), True).as_py() + first
            raise DataError(f"can't read {name}: {unit} {row}: column {column} has no value")
    users, user_names = _sorted_codes(table[columns.user])
    items, item_names = _sorted_codes(table[columns.item])
    for column, codes, names in ((columns.user, users, user_names), (columns.item, items, item_names)):
        if len(names) and names[0] == "":
            row = int(np.argmax(codes == 0)) + first
            raise DataError(f"can't read {name}: {unit} {row}: column {column} is empty")
    if len(columns.names) == 3:
        ratings = table[columns.names[2]].to_numpy()
        kept = ratings >= columns.min_rating
        users, items = users[kept], items[kept]
    return Interactions(users, items, user_names, item_names)


def _sorted_codes(column: pa.ChunkedArray) -> tuple[IntArray, np.ndarray[Any, Any]]:
    """The sorted names of a column, and each row's index into them. Sorts the distinct values, never the rows.

    Ids sort as numbers if all of them are plain whole numbers, otherwise by code point.
    """
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    encoded = column.unify_dictionaries()
    if not encoded.num_chunks:
        return np.empty(0, np.int32), np.empty(0, np.str_)
    names = _names(encoded.chunk(0).dictionary)
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(names), dtype=np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    return np.concatenate([rank[chunk.indices.to_numpy()] for chunk in encoded.chunks]), names[order]


def _names(distinct: pa.Array) -> np.ndarray[Any, Any]:
    """The distinct ids as an array of integers or strings."""
    # The pattern excludes 007 and 1e3: as strings they differ from 7 and 1000.
    if pa.types.is_integer(distinct.type) or pc.all(pc.match_substring_regex(distinct, _WHOLE_NUMBER)).as_py():
        try:
            numbers: np.ndarray[Any, Any] = distinct.cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise DataError("ids of 2**63 and above are too large for whole numbers: store them as strings") from error
        return numbers
    return np.array(distinct.to_pylist(), dtype=np.str_)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

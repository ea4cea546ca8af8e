"""Parsing of interaction tables by Arrow, which `tables` imports when a table is read."""

import csv
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from edlae_sweeps.datasets.base import Interactions
from edlae_sweeps.datasets.limits import Place, check_room, room
from edlae_sweeps.datasets.rows import collect
from edlae_sweeps.datasets.tables import Columns, Source, Text
from edlae_sweeps.errors import DataError

# A row is never longer.
_BLOCK_BYTES = 16 * 1024**2
_BATCH_ROWS = 2**19
# Above a header.
_EMPTY_LINES = 1000
_IDS = pa.dictionary(pa.int32(), pa.string())
# Errors that the readers raise on a damaged file.
READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException)


def parse_text(source: Source, text: Text, columns: Columns, memory: int | None) -> Interactions:
    """Interactions of a delimited text, in its order. Raises DataError with the line number, if known."""
    place = Place(source.name, "line", 1 if text.header else 2)
    try:
        _check_header(source, text, columns)
        return collect(_parse(source, text, columns, threads=True), columns, place, memory)
    except MemoryError:
        # Arrow's is one of its errors too.
        raise
    except READ_ERRORS as error:
        raise _text_error(source, text, columns, error) from error


def parse_parquet(path: Path, columns: Columns, memory: int | None) -> Interactions:
    """Interactions of a Parquet file, in its order. Raises DataError if ids are neither strings nor whole numbers."""
    place = Place(str(path), "row", 1)
    try:
        _check_schema(pq.read_schema(path), columns, path)
        # Repeated ids stay numbers, so that a batch takes no more than its distinct ids and its rows.
        with pq.ParquetFile(path, read_dictionary=[columns.user, columns.item]) as file:
            check_room(file.metadata.num_rows, _largest_chunk(file.metadata, columns), room(memory), place)
            return collect(file.iter_batches(_BATCH_ROWS, columns=columns.names), columns, place, memory)
    except MemoryError:
        raise
    except READ_ERRORS as error:
        raise DataError(f"can't read {path}: {_one_line(error)}") from error


def _check_schema(schema: pa.Schema, columns: Columns, path: Path) -> None:
    """Raise DataError if a column is missing or its type can't be used."""
    for name in columns.names:
        if name not in schema.names:
            raise DataError(_missing(str(path), columns, name, schema.names))
        if schema.names.count(name) > 1:
            raise DataError(_repeated(str(path), name))
    for name in (columns.user, columns.item):
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise DataError(f"{path}: column {name} holds {kind}; convert the ids to strings or whole numbers")


def _largest_chunk(metadata: pq.FileMetaData, columns: Columns) -> int:
    """Bytes of the largest column of a row group that is read: a file of a few bytes may hold a page of gigabytes."""
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    return max((chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in columns.names), default=0)


def _parse(source: Source, text: Text, columns: Columns, threads: bool) -> Iterator[pa.RecordBatch]:
    """The columns of a text, a block at a time."""
    types = {columns.user: _IDS, columns.item: _IDS, columns.rating: pa.float64()}
    with source.open() as stream:
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(use_threads=threads, block_size=_BLOCK_BYTES, column_names=text.header),
            parse_options=pacsv.ParseOptions(delimiter=text.delimiter, quote_char='"' if text.quoted else False),
            convert_options=pacsv.ConvertOptions(
                column_types={name: types[name] for name in columns.names}, include_columns=columns.names
            ),
        )
        with reader:
            yield from reader


def _text_error(source: Source, text: Text, columns: Columns, error: BaseException) -> DataError:
    """The error in one line. Only the serial reader knows line numbers, so it parses the text again."""
    if isinstance(error, pa.ArrowKeyError):
        header = _header(source, text)
        name = next((name for name in columns.names if name not in header), columns.names[0])
        return DataError(_missing(source.name, columns, name, header))
    rows = 0
    if isinstance(error, pa.ArrowInvalid):
        try:
            for batch in _parse(source, text, columns, threads=False):
                rows += batch.num_rows
        except READ_ERRORS as again:
            error = again
    reason = re.sub(r"^(?:CSV parse error|In CSV column #\d+): Row #(\d+): ", r"line \1: ", _one_line(error))
    if "straddling object" in reason or "out of sync" in reason:
        reason = (
            f"line {rows + (1 if text.header else 2)} or a later one has more than {_BLOCK_BYTES // 2**20} MiB, or a "
            "quote that is not closed on it: close it, or double it in a value"
        )
    return DataError(f"can't read {source.name}: {reason[:300]}")


def _check_header(source: Source, text: Text, columns: Columns) -> None:
    """Raise DataError for a text without anything, or a header that names a column twice."""
    names = _header(source, text)
    for name in columns.names:
        if names.count(name) > 1:
            raise DataError(_repeated(source.name, name))


def _header(source: Source, text: Text) -> list[str]:
    """The names in the first line, or those that are given for a text without a header. DataError if it is empty."""
    with source.open() as stream:
        # Arrow may hang on an empty file when it reads in parallel.
        start = stream.readline(_BLOCK_BYTES)
        if not start:
            raise DataError(f"{source.name} is empty")
        if len(start) == _BLOCK_BYTES:
            raise DataError(
                f"can't read {source.name}: line 1 has more than {_BLOCK_BYTES // 2**20} MiB: name a table of events"
            )
        # Arrow skips empty lines.
        for _ in range(_EMPTY_LINES):
            if start.strip():
                break
            start = stream.readline(_BLOCK_BYTES)
    if text.header is not None:
        return list(text.header)
    line = (start.decode("utf-8-sig", "replace").splitlines() or [""])[0]
    if text.quoted:
        with suppress(csv.Error):
            return next(csv.reader([line], delimiter=text.delimiter), [])
    return line.split(text.delimiter)


def _missing(name: str, columns: Columns, column: str, known: list[str]) -> str:
    role = next(role for role in ("user", "item", "rating") if getattr(columns, role) == column)
    return f"{name} has no column {column}: set dataset.{role}_column to one of {', '.join(known)[:300]}"


def _repeated(name: str, column: str) -> str:
    return f"{name} has more than one column {column}: rename all but one of them"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

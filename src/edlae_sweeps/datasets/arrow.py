"""Parsing of interaction tables by Arrow, which `tables` imports when a table is read."""

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edlae_sweeps.datasets.base import Interactions
from edlae_sweeps.datasets.codes import Codes
from edlae_sweeps.datasets.tables import Columns, Source, Text
from edlae_sweeps.errors import DataError

_BLOCK_BYTES = 16 * 1024**2
_BATCH_ROWS = 2**19
_IDS = pa.dictionary(pa.int32(), pa.string())
# Errors that the readers raise on a damaged file.
READ_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException)


def parse_text(source: Source, text: Text, columns: Columns) -> Interactions:
    """Interactions of a delimited text, in its order. Raises DataError with the line number, if known."""
    lines_above = 1 if text.header is None else 0
    try:
        return _interactions(_parse(source, text, columns, threads=True), columns, source.name, "line", lines_above + 1)
    except READ_ERRORS as error:
        raise _text_error(source, text, columns, error) from error


def parse_parquet(path: Path, columns: Columns) -> Interactions:
    """Interactions of a Parquet file, in its order. Raises DataError if ids are neither strings nor whole numbers."""
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(file.schema_arrow, columns, path)
            batches = file.iter_batches(_BATCH_ROWS, columns=columns.names)
            return _interactions(batches, columns, str(path), "row", 1)
    except READ_ERRORS as error:
        raise DataError(f"can't read {path}: {_one_line(error)}") from error


def _check_schema(schema: pa.Schema, columns: Columns, path: Path) -> None:
    """Raise DataError if a column is missing or its type can't be used."""
    if missing := [name for name in columns.names if name not in schema.names]:
        raise DataError(_missing(str(path), missing[0], schema.names))
    for name in (columns.user, columns.item):
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise DataError(f"{path}: column {name} holds {kind}; convert the ids to strings or whole numbers")


def _parse(source: Source, text: Text, columns: Columns, threads: bool) -> Iterator[pa.RecordBatch]:
    """The columns of a text, a block at a time."""
    types = {columns.user: _IDS, columns.item: _IDS, columns.rating: pa.float64()}
    with source.open() as stream:
        # Arrow may hang on an empty file when it reads in parallel.
        if not stream.read(1):
            raise DataError(f"{source.name} is empty")
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
        return DataError(_missing(source.name, *_missing_column(source, text, columns)))
    if isinstance(error, pa.ArrowInvalid):
        try:
            for _ in _parse(source, text, columns, threads=False):
                pass
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


def _interactions(
    batches: Iterable[pa.RecordBatch], columns: Columns, name: str, unit: str, first: int
) -> Interactions:
    """Codes and sorted names of users and items, for the rows whose rating is high enough.

    Errors give the number of a row as that of the `unit`, of which the table's first is number `first`.
    """
    ids = {columns.user: Codes(), columns.item: Codes()}
    kept: list[NDArray[np.bool_]] = []
    row = first
    for batch in batches:
        for column in columns.names:
            if batch[column].null_count:
                row += pc.index(pc.is_null(batch[column]), True).as_py()
                raise DataError(f"can't read {name}: {unit} {row}: column {column} has no value")
        for column in ids:
            ids[column].add(batch[column])
        if len(columns.names) == 3:
            kept.append(_high_enough(batch[columns.names[2]], columns, name))
        row += batch.num_rows
    # Popped, so that what a column collected is freed before the next one is finished.
    users, user_names = ids.pop(columns.user).finish()
    items, item_names = ids.pop(columns.item).finish()
    for column, codes, names in ((columns.user, users, user_names), (columns.item, items, item_names)):
        if len(names) and names[0] == "":
            row = int(np.argmax(codes == 0)) + first
            raise DataError(f"can't read {name}: {unit} {row}: column {column} is empty")
    if kept:
        high = np.concatenate(kept)
        users, items = users[high], items[high]
    return Interactions(users, items, user_names, item_names)


def _high_enough(ratings: pa.Array, columns: Columns, name: str) -> NDArray[np.bool_]:
    try:
        return np.asarray(np.asarray(ratings.cast(pa.float64())) >= columns.min_rating)
    except pa.ArrowException as error:
        raise DataError(f"{name}: column {columns.rating} does not hold numbers: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

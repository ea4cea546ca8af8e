"""Tables of recommendations: csv, tsv, Parquet and JSON lines, written in batches, whole or not at all."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from edlae_sweeps.disk import commit, temporary
from edlae_sweeps.errors import DataError
from edlae_sweeps.serving.baskets import DELIMITERS, join_items

# A table as columns of equal length.
Table = Mapping[str, list[Any]]
Write = Callable[[Table], None]
_REASONS = pa.list_(pa.struct([("item", pa.string()), ("contribution", pa.float64())]))
_TYPES = {"row": pa.int64(), "rank": pa.int64(), "score": pa.float64(), "note": pa.string()}


@contextmanager
def table_writer(path: Path, kind: str, columns: Mapping[str, bool], separator: str) -> Iterator[Write]:
    """Yield a function that appends to the table at `path`, which appears when the block ends without an error.

    `kind` is csv, tsv, parquet or jsonl. `columns` says of each column, in order, whether its names are whole numbers.
    because, a list of (item, contribution), becomes a list in Parquet and JSON; in csv and tsv, two columns with
    `separator` between the values. Raises DataError if the file can't be written.
    """
    written = temporary(path)
    try:
        with _opened(written, kind, columns, separator) as write:
            yield write
        commit(written, path)
    except OSError as error:
        raise DataError(f"can't write {path}: {error.strerror or error}; choose another output") from error
    finally:
        with suppress(OSError):
            written.unlink(missing_ok=True)


def _opened(path: Path, kind: str, columns: Mapping[str, bool], separator: str) -> AbstractContextManager[Write]:
    if kind == "jsonl":
        return _json_lines(path, columns)
    if kind == "parquet":
        return _parquet(path, columns)
    return _text(path, DELIMITERS[kind], columns, separator)


@contextmanager
def _json_lines(path: Path, columns: Mapping[str, bool]) -> Iterator[Write]:
    with path.open("x", encoding="utf-8") as stream:

        def write(table: Table) -> None:
            for values in zip(*(_reasons(table, name) for name in columns), strict=True):
                stream.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")

        yield write


@contextmanager
def _parquet(path: Path, columns: Mapping[str, bool]) -> Iterator[Write]:
    schema = pa.schema([(name, _type(name, integers)) for name, integers in columns.items()])
    with pq.ParquetWriter(path, schema) as writer:

        def write(table: Table) -> None:
            values = {name: _texts(table[name]) if name == "user" else _reasons(table, name) for name in columns}
            writer.write_table(pa.table(values, schema))

        yield write


@contextmanager
def _text(path: Path, delimiter: str, columns: Mapping[str, bool], separator: str) -> Iterator[Write]:
    kinds: dict[str, pa.DataType] = {}
    for name, integers in columns.items():
        reasons = {"because": pa.string(), "contributions": pa.string()}
        kinds |= reasons if name == "because" else {name: _type(name, integers)}
    schema = pa.schema(list(kinds.items()))
    with path.open("xb") as stream:
        options = pacsv.WriteOptions(delimiter=delimiter, quoting_style="needed")
        with pacsv.CSVWriter(stream, schema, write_options=options) as writer:

            def write(table: Table) -> None:
                writer.write_table(pa.table({name: _cells(table, name, separator) for name in kinds}, schema))

            yield write


def _cells(table: Table, name: str, separator: str) -> list[Any]:
    """A column of a text: the items that explain a recommendation, and their contributions, in a cell each."""
    if name == "because":
        return [join_items([item for item, _ in reasons], separator) for reasons in table["because"]]
    if name == "contributions":
        return [separator.join(f"{value:.6g}" for _, value in reasons) for reasons in table["because"]]
    return _texts(table[name]) if name == "user" else table[name]


def _texts(values: list[Any]) -> list[str | None]:
    """Names of users as texts: a table may have any type of them, and no user in some rows."""
    return [None if value is None else str(value) for value in values]


def _reasons(table: Table, name: str) -> list[Any]:
    """A column, whose reasons become objects of item and contribution."""
    if name != "because":
        return table[name]
    return [[{"item": str(item), "contribution": value} for item, value in reasons] for reasons in table[name]]


def _type(name: str, integers: bool) -> pa.DataType:
    if name == "because":
        return _REASONS
    return _TYPES.get(name, pa.int64() if integers else pa.string())

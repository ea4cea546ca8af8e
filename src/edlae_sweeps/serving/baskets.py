"""Tables of baskets and users: csv, tsv, Parquet and JSON lines, read in batches so that memory stays flat."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from edlae_sweeps.errors import DataError
from edlae_sweeps.serving.recommender import Basket

DELIMITERS = {"csv": ",", "tsv": "\t"}
_COLUMNS = ("items", "user")
_BLOCK_BYTES = 1024**2
_READ_ERRORS = (OSError, ValueError, pa.ArrowException)


@dataclass(frozen=True)
class Batch:
    """Some rows of a table, and how far the reader is: `done` of `total` bytes or rows."""

    rows: list[Basket]
    done: int
    total: int


@dataclass(frozen=True)
class BasketFile:
    """A table with a column items, a column user, or both; other columns are ignored.

    `kind` is csv, tsv, parquet or jsonl. In csv and tsv, `separator` separates the items of a basket. Raises DataError
    if the file can't be read or has neither column.
    """

    path: Path
    kind: str
    separator: str = "|"

    def columns(self) -> list[str]:
        """Which of items and user the table has; both for JSON lines, where each line has its own."""
        if self.kind == "jsonl":
            return list(_COLUMNS)
        try:
            names = pq.read_schema(self.path).names if self.kind == "parquet" else self._header()
        except _READ_ERRORS as error:
            raise self._error(error) from error
        if not set(names) & set(_COLUMNS):
            raise DataError(f"{self.path}: it has columns {', '.join(names)[:300]}; name one of them items or user")
        return [name for name in _COLUMNS if name in names]

    def batches(self, size: int) -> Iterator[Batch]:
        """The rows in order, at most `size` at once."""
        readers = {"parquet": self._parquet, "jsonl": self._json_lines}
        try:
            yield from readers.get(self.kind, self._text)(size)
        except _READ_ERRORS as error:
            raise self._error(error) from error

    def _text(self, size: int) -> Iterator[Batch]:
        columns, total = self.columns(), self.path.stat().st_size
        with pa.OSFile(str(self.path)) as stream:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES),
                parse_options=pacsv.ParseOptions(delimiter=DELIMITERS[self.kind], newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
                ),
            )
            for block in reader:
                for start in range(0, len(block), size):
                    rows = self._rows(block.slice(start, size), columns)
                    yield Batch(rows, min(stream.tell(), total), total)

    def _rows(self, block: pa.RecordBatch, columns: list[str]) -> list[Basket]:
        """The rows of a csv or tsv block: an empty cell is no user, or no items."""
        values = {name: block.column(name).to_pylist() if name in columns else [""] * len(block) for name in _COLUMNS}
        return [
            _basket(split_items(items, self.separator) if items else None, user or None)
            for items, user in zip(values["items"], values["user"], strict=True)
        ]

    def _parquet(self, size: int) -> Iterator[Batch]:
        columns, done = self.columns(), 0
        with pq.ParquetFile(self.path) as file:
            if "items" in columns and not _is_list(kind := file.schema_arrow.field("items").type):
                raise DataError(f"{self.path}: column items holds {kind}; make each value a list of names")
            for block in file.iter_batches(size, columns=columns):
                values = {name: block.column(name).to_pylist() if name in columns else None for name in _COLUMNS}
                missing = [None] * len(block)
                pairs = zip(values["items"] or missing, values["user"] or missing, strict=True)
                done += len(block)
                yield Batch([_basket(items, user) for items, user in pairs], done, file.metadata.num_rows)

    def _json_lines(self, size: int) -> Iterator[Batch]:
        rows: list[Basket] = []
        total = self.path.stat().st_size
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    rows.append(self._json_row(line, number))
                if len(rows) == size:
                    yield Batch(rows, stream.tell(), total)
                    rows = []
        yield Batch(rows, total, total)

    def _json_row(self, line: bytes, number: int) -> Basket:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{self.path}: line {number} is no JSON: {error}") from error
        if not isinstance(row, dict) or not row.keys() & set(_COLUMNS):
            raise DataError(
                f'{self.path}: line {number} is no basket; write {{"items": [NAME, ...]}} or {{"user": NAME}}'
            )
        items, user = (row.get(name) for name in _COLUMNS)
        names = [user] if items is None else [user, *items] if isinstance(items, list) else [items, {}]
        if not all(name is None or isinstance(name, str | int | float) for name in names):
            raise DataError(f"{self.path}: line {number}: items must be a list of names, and user a name")
        return _basket(items, user)

    def _header(self) -> list[str]:
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream, delimiter=DELIMITERS[self.kind]), [])

    def _error(self, error: BaseException) -> DataError:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        return DataError(f"can't read {self.path}: {reason[:300]}")


def split_items(cell: str, separator: str) -> list[str]:
    """The names in a cell such as `a|b`. A name in double quotes may contain the separator, and "" is a double quote.

    Nothing between two separators is no name.
    """
    mark = re.escape(separator)
    pattern = re.compile(rf'"((?:[^"]|"")*)"(?={mark}|\Z)|[^{mark}]*')
    names, place = [], 0
    while place <= len(cell):
        match = pattern.match(cell, place)
        end = match.end() if match else len(cell)
        quoted = match[1] if match else None
        if quoted is not None:
            names.append(quoted.replace('""', '"'))
        elif end > place:
            names.append(cell[place:end])
        # Past the separator.
        place = end + 1
    return names


def join_items(names: list[Any], separator: str) -> str:
    """Names in a cell, so that `split_items` gives them back."""
    texts = [str(name) for name in names]
    return separator.join(
        '"' + text.replace('"', '""') + '"' if separator in text or text.startswith('"') or not text else text
        for text in texts
    )


def _basket(items: list[Any] | None, user: Any) -> Basket:
    """A row; one without items and user is an empty basket."""
    if items is None and user is None:
        return Basket([])
    return Basket(None if items is None else [item for item in items if item is not None], user)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))

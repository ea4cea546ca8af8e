"""Reading tables of interactions."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from edlae_sweeps.datasets.base import IntArray, Interactions
from edlae_sweeps.errors import DataError


def read_string_table(path: Path, user_column: str, item_column: str) -> Interactions:
    """Interactions of a tab-separated table with a header line (plain or .gz); ids are strings."""
    ids = pa.dictionary(pa.int32(), pa.string())
    try:
        table = pacsv.read_csv(
            path,
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types={user_column: ids, item_column: ids},
                include_columns=[user_column, item_column],
            ),
        )
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"can't read {path}: {' '.join(str(error).split())}") from error
    users, user_names = _sorted_codes(table[user_column])
    items, item_names = _sorted_codes(table[item_column])
    return Interactions(users, items, user_names, item_names)


def _sorted_codes(column: pa.ChunkedArray) -> tuple[IntArray, np.ndarray]:
    """Codes of a dictionary column into its sorted names; only the dictionary is sorted, never the rows."""
    encoded = column.unify_dictionaries()
    names = np.array(encoded.chunk(0).dictionary.to_pylist(), dtype=np.str_)
    order = np.argsort(names)
    rank = np.empty(len(names), dtype=np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    return rank[codes], names[order]

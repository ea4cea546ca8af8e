"""Time and peak memory of preparing large files, with random contents.

    python tests/benchmarks/prepare.py FOLDER [ml-20m] [msd] [interactions-csv] [interactions-parquet] [--fraction 1.0]

ml-20m: 20 M ratings in ratings.csv inside a zip. msd: 48 M triplets, 40-character users and 18-character songs, as
plain text (3 GB). interactions-csv: 100 M rows of 5 M users and 1 M items in no order, with ids of 10 to 20 characters
(3 GB). interactions-parquet: as many rows with whole numbers as ids. --fraction makes smaller files, to try the script.
The files stay in FOLDER. Targets on two cores: 90 s and 4 GiB, 300 s and 10 GiB, and 300 s and 8 GiB for each of the
last two. A second start, from the cache, takes 3 s, and 10 s for 100 M rows.
"""

import argparse
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

ROWS = {"ml-20m": 20_000_000, "msd": 48_000_000, "interactions-csv": 10**8, "interactions-parquet": 10**8}
_USERS_ITEMS = {"ml-20m": (138_493, 26_744), "msd": (1_019_318, 384_546)}
_MANY_USERS_ITEMS = (5_000_000, 1_000_000)
_FILES = {
    "ml-20m": "ml-20m.zip",
    "msd": "train_triplets.txt",
    "interactions-csv": "x.csv",
    "interactions-parquet": "x.parquet",
}
_CHUNK = 2_000_000
# Runs in its own process, so that the peak is that of the preparation alone.
_MEASURE = """
import json, sys, time
from pathlib import Path
from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import DATASETS, load
from edlae_sweeps.datasets.archives import Archive
kind, path, rows, fraction = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
dataset = DATASETS[kind.partition("-")[0] if kind.startswith("interactions") else kind]
dataset.published = None
dataset.triplets = rows
dataset.archive = Archive("ml-20m.zip", "", None)
options = {"path": str(path), "heldout_users": 10_000} if kind.startswith("interactions") else {
    name: int(getattr(dataset(), name) * fraction) for name in ("heldout_users", "min_item_events")
}
start = time.perf_counter()
data = load(dataset(**options), path.parent)
seconds, peak = time.perf_counter() - start, machine.peak_memory() / machine.GIB
print(json.dumps({"seconds": seconds, "peak_gib": peak, **data.counts(), "digest": data.digest}))
"""


def batches(kind: str, rows: int) -> Iterator[pa.Table]:
    """Rows of one file: grouped by user as in the published files, in no order for `interactions`."""
    random = np.random.default_rng(0)
    if kind.startswith("interactions"):
        yield from _unordered(kind, rows, random)
        return
    users, items = _USERS_ITEMS[kind]
    users = users * rows // ROWS[kind]
    songs = np.array([f"SO{code:016X}" for code in random.permutation(items)]) if kind == "msd" else np.arange(items)
    for start in range(0, rows, _CHUNK):
        size = min(_CHUNK, rows - start)
        user = (np.arange(start, start + size) * users) // rows
        item = songs[np.minimum(random.zipf(1.3, size) - 1, random.integers(0, items, size))]
        if kind == "msd":
            # Spread over the range of hashes, like real ids.
            names = [f"{_hash(int(u)):040x}" for u in np.unique(user)]
            name = pa.array(names).take(pa.array(user - user[0]))
            yield pa.table({"user": name, "song": item, "plays": random.integers(1, 9, size)})
        else:
            rating = random.integers(1, 11, size) / 2
            yield pa.table({"userId": user + 1, "movieId": item + 1, "rating": rating, "timestamp": user + 10**9})


def _unordered(kind: str, rows: int, random: np.random.Generator) -> Iterator[pa.Table]:
    """Pairs with popularity ~ rank^-2/3, about 1 % of them repeated. Both files hold the same pairs."""
    users, items = (number * rows // ROWS[kind] for number in _MANY_USERS_ITEMS)
    text = kind == "interactions-csv"
    user_ids, item_ids = _ids(users, text), _ids(items, text)
    for start in range(0, rows, _CHUNK):
        size = min(_CHUNK, rows - start)
        user = random.integers(0, users, size)
        item = (items * random.random(size) ** 3).astype(np.int64)
        yield pa.table({"user": user_ids.take(pa.array(user)), "item": item_ids.take(pa.array(item))})


def _ids(number: int, text: bool) -> pa.Array:
    """Distinct ids that look random: whole numbers, or strings of 10 to 20 characters."""
    if not text:
        return pa.array(np.arange(number, dtype=np.uint64) * np.uint64(0x9E3779B1) % np.uint64(2**32)).cast(pa.int64())
    return pa.array([f"{_hash(code):016x}"[: 3 + code % 11] + f"{code:07d}" for code in range(number)])


def _hash(code: int) -> int:
    return (code * 0x9E3779B97F4A7C15) % 2**64


def make(kind: str, folder: Path, rows: int) -> None:
    """Write the file of one data set."""
    path = folder / ("ratings.csv" if kind == "ml-20m" else _FILES[kind])
    first = next(batches(kind, rows)).schema
    if kind == "interactions-parquet":
        with pq.ParquetWriter(path, first) as writer:
            for table in batches(kind, rows):
                writer.write_table(table)
        return
    msd = kind == "msd"
    options = pacsv.WriteOptions(include_header=not msd, delimiter="\t" if msd else ",", quoting_style="none")
    with pacsv.CSVWriter(path, first, write_options=options) as writer:
        for table in batches(kind, rows):
            writer.write_table(table)
    if kind == "ml-20m":
        with zipfile.ZipFile(folder / _FILES[kind], "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "ml-20m/ratings.csv")
        path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*", default=list(ROWS))
    parser.add_argument("--fraction", type=float, default=1.0, help="of the rows of the full files")
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        folder, rows = arguments.folder / kind, int(ROWS[kind] * arguments.fraction)
        path = folder / _FILES[kind]
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            start = time.perf_counter()
            make(kind, folder, rows)
            print(f"{kind}: made in {time.perf_counter() - start:.0f} s", flush=True)
        for cached in folder.glob("prepared/*"):
            cached.unlink()
        for what in ("first start", "second start"):
            done = subprocess.run(
                [sys.executable, "-c", _MEASURE, kind, str(path), str(rows), str(arguments.fraction)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            print(kind, what, json.loads(done.stdout), flush=True)


if __name__ == "__main__":
    main()

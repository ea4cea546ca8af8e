"""Time and peak memory of preparing large files in the published formats, with random contents.

    python tests/benchmarks/prepare.py FOLDER [ml-20m] [msd] [--fraction 1.0]

ml-20m: 20 M ratings in ratings.csv inside a zip. msd: 48 M triplets, 40-character users and 18-character songs, as
plain text (3 GB). --fraction makes smaller files, to try the script. The files stay in FOLDER. Targets on two cores:
90 s and 4 GiB, 300 s and 10 GiB, and 3 s for the second start, from the cache.
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

ROWS = {"ml-20m": 20_000_000, "msd": 48_000_000}
_CHUNK = 2_000_000
# Runs in its own process, so that the peak is that of the preparation alone.
_MEASURE = """
import json, sys, time
from pathlib import Path
from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import DATASETS, load
from edlae_sweeps.datasets.archives import Archive
kind, folder, rows, fraction = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
dataset = DATASETS[kind]
dataset.published = None
dataset.triplets = rows
dataset.archive = Archive("ml-20m.zip", "", None)
start = time.perf_counter()
options = {name: int(getattr(dataset(), name) * fraction) for name in ("heldout_users", "min_item_events")}
data = load(dataset(**options), folder)
seconds, peak = time.perf_counter() - start, machine.peak_memory() / machine.GIB
print(json.dumps({"seconds": seconds, "peak_gib": peak, **data.counts()}))
"""


def batches(kind: str, rows: int) -> Iterator[pa.Table]:
    """Rows grouped by user, as in both files."""
    random = np.random.default_rng(0)
    users, items = {"ml-20m": (138_493, 26_744), "msd": (1_019_318, 384_546)}[kind]
    users = users * rows // ROWS[kind]
    songs = np.array([f"SO{code:016X}" for code in random.permutation(items)]) if kind == "msd" else np.arange(items)
    for start in range(0, rows, _CHUNK):
        size = min(_CHUNK, rows - start)
        user = (np.arange(start, start + size) * users) // rows
        item = songs[np.minimum(random.zipf(1.3, size) - 1, random.integers(0, items, size))]
        if kind == "msd":
            # Spread over the range of hashes, like real ids.
            names = [f"{(int(u) * 0x9E3779B97F4A7C15) % 2**64:040x}" for u in np.unique(user)]
            name = pa.array(names).take(pa.array(user - user[0]))
            yield pa.table({"user": name, "song": item, "plays": random.integers(1, 9, size)})
        else:
            rating = random.integers(1, 11, size) / 2
            yield pa.table({"userId": user + 1, "movieId": item + 1, "rating": rating, "timestamp": user + 10**9})


def make(kind: str, folder: Path, rows: int) -> None:
    """Write the file of one data set."""
    text = folder / {"ml-20m": "ratings.csv", "msd": "train_triplets.txt"}[kind]
    first = next(batches(kind, rows)).schema
    options = pacsv.WriteOptions(
        include_header=kind == "ml-20m", delimiter="," if kind == "ml-20m" else "\t", quoting_style="none"
    )
    with pacsv.CSVWriter(text, first, write_options=options) as writer:
        for table in batches(kind, rows):
            writer.write_table(table)
    if kind == "ml-20m":
        with zipfile.ZipFile(folder / "ml-20m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(text, "ml-20m/ratings.csv")
        text.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kinds", nargs="*", default=list(ROWS))
    parser.add_argument("--fraction", type=float, default=1.0, help="of the rows of the published files")
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        folder, rows = arguments.folder / kind, int(ROWS[kind] * arguments.fraction)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "ml-20m.zip").exists() and not (folder / "train_triplets.txt").exists():
            start = time.perf_counter()
            make(kind, folder, rows)
            print(f"{kind}: made in {time.perf_counter() - start:.0f} s", flush=True)
        for cached in folder.glob("prepared/*"):
            cached.unlink()
        for what in ("first start", "second start"):
            done = subprocess.run(
                [sys.executable, "-c", _MEASURE, kind, str(folder), str(rows), str(arguments.fraction)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            print(kind, what, json.loads(done.stdout), flush=True)


if __name__ == "__main__":
    main()

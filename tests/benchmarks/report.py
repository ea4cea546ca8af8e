"""Seconds and memory (Linux) of a report on a store of many made-up cells: splits × methods × ranks × repeats.

Example: python tests/benchmarks/report.py --repeats 5 --folder FOLDER    (2,000 cells; a second call fills no more)
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edlae_sweeps.reporting.looks import look

sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))
from made_up import Cell, experiment, log

METHODS = ("closed", "admm", "zero_diag", "unconstrained", "relaxed", "deql", "dan", "denoising")
RANKS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, "full")
SEEDS = (98765, 1, 2, 3, 4)
# A job logs about as many metrics as this, most of which the report does not read.
OTHER_METRICS = {f"other/{number}": float(number) for number in range(30)}
USERS = 2_000
# What `python -m edlae_sweeps.report` does after its settings: seconds with imports, and peak memory.
_COMMAND = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from edlae_sweeps.cli.report import write_reports
from edlae_sweeps.settings import ReportSettings, Tracking
write_reports(ReportSettings(tracking=Tracking(dir=sys.argv[1])))
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
print(f"{time.perf_counter() - start:.1f} s ({time.process_time():.1f} s of a processor), peak {peak:.0f} MiB")
"""


def fill(folder: Path, repeats: int) -> int:
    """Log the cells; return how many there are."""
    target = experiment(folder)
    if logged := len(target.find("tags.kind = 'cell'")):
        return logged
    random = np.random.default_rng(0)
    users = random.beta(2, 2, USERS)
    with tempfile.TemporaryDirectory() as temporary:
        for seed in SEEDS:
            for method in METHODS:
                for rank in RANKS:
                    for _ in range(repeats):
                        ndcg = np.clip(users + random.normal(0, 0.05, USERS), 0, 1)
                        config = {"split_seed": seed, "heldout_users": USERS // 10}
                        epochs = 10 if look(method).by_epoch else 0
                        cell = Cell(method, rank, ndcg, 20, config=config, epochs=epochs, metrics=OTHER_METRICS)
                        log(target, cell, Path(temporary))
    return len(SEEDS) * len(METHODS) * len(RANKS) * repeats


def main() -> None:
    """Fill a store, and report on it in a process of its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--folder", type=Path, help="keep the store here; by default it is deleted")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        start = time.perf_counter()
        cells = fill(folder, given.repeats)
        print(f"{cells} cells, ready in {time.perf_counter() - start:.0f} s", flush=True)
        subprocess.run([sys.executable, "-c", _COMMAND, str(folder)], check=True)


if __name__ == "__main__":
    main()

"""Time of the main job, end to end and by stage, cold (no cache, no database) and warm.

    python tests/benchmarks/main_job.py [--repeats 3] [key=value ...]

Wall time is that of the whole process, imports included. T is the time of one n×n×n product in float32, measured
between the runs; ratios to T compare across machines. Targets on two cores: 25 s cold, 12 s warm.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

COMMAND = [sys.executable, "-m", "edlae_sweeps", "method=closed", "rank=500"]
_STAGE = re.compile(r"- (.+?)\s+(\d+\.\d) s$", re.MULTILINE)


def timed(command: list[str], **options: object) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, **options)
    return time.perf_counter() - start


def gemm_seconds(n: int) -> float:
    """One n×n×n product in float32, after a small one to wake the threads."""
    a = np.random.default_rng(0).random((n, n), dtype=np.float32)
    a[:500, :500] @ a[:500, :500]
    start = time.perf_counter()
    a @ a
    return time.perf_counter() - start


def run(folder: Path, overrides: list[str]) -> dict[str, float]:
    """The wall time of one job in `folder`, and its stages from the log."""
    logs = folder / "mlruns" / "hydra"
    before = set(logs.rglob("edlae_sweeps.log"))
    environment = {**os.environ, "EDLAE_SWEEPS_DATA": str(folder / "data")}
    wall = timed([*COMMAND, *overrides], cwd=folder, env=environment)
    (log,) = set(logs.rglob("edlae_sweeps.log")) - before
    stages = {f"  {name}": float(seconds) for name, seconds in _STAGE.findall(log.read_text())}
    return {"wall": wall, **stages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind, of which the median is shown")
    arguments, overrides = parser.parse_known_args()
    figures: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    products = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as name:
            for kind in figures:
                figures[kind].append(run(Path(name), overrides))
                products.append(gemm_seconds(5418))
    unit = statistics.median(products)
    imports = statistics.median(
        timed([sys.executable, "-c", "import edlae_sweeps.cli.run"]) for _ in range(arguments.repeats)
    )
    rows = {"imports": dict.fromkeys(figures, imports)}
    for stage in figures["cold"][0]:
        rows[stage] = {
            kind: statistics.median(figures_of_run[stage] for figures_of_run in runs) for kind, runs in figures.items()
        }
    table = Table("stage", "cold s", "warm s", "warm / T", title=f"main job, T = {unit:.2f} s (n = 5,418, float32)")
    for stage, values in rows.items():
        table.add_row(stage, f"{values['cold']:.1f}", f"{values['warm']:.1f}", f"{values['warm'] / unit:.1f}")
    Console().print(table)
    print(json.dumps({"gemm_seconds": unit, **rows}))


if __name__ == "__main__":
    main()

"""Evaluations a minute with one worker and with two, one thread each: closed form on debian.

    python tests/benchmarks/parallel.py [--trials 16] [--workers 1 2] [key=value ...]

Each command runs in an empty store, with prepared data. `rounds` counts from the first evaluation of the second round,
when the workers have started and loaded the data; `search` is the whole search.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

_LINE = re.compile(r"^\[([\d-]+ [\d:]+,\d+)\].* - (\d+)/\d+ ", re.MULTILINE)
_SEARCH = re.compile(r"- tune closed\s+(\d+\.\d) s$", re.MULTILINE)


def run(folder: Path, data: Path, overrides: list[str]) -> str:
    """The log of a command."""
    command = [sys.executable, "-m", "edlae_sweeps", "tune=optuna", "threads=1", f"tracking.dir={folder}", *overrides]
    environment = {**os.environ, "EDLAE_SWEEPS_DATA": str(data)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    (log,) = folder.rglob("edlae_sweeps.log")
    return log.read_text()


def rates(log: str, batch: int) -> dict[str, float]:
    """Evaluations a minute."""
    times = [datetime.strptime(time, "%Y-%m-%d %H:%M:%S,%f") for time, _ in _LINE.findall(log)]
    steady = times[batch - 1 :]
    return {
        "search": 60 * len(times) / float(_SEARCH.findall(log)[0]),
        "rounds": 60 * (len(steady) - 1) / (steady[-1] - steady[0]).total_seconds(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments, overrides = parser.parse_known_args()
    batch = max(arguments.workers)
    search = ["rank=[10,100,500]", f"tune.n_trials={arguments.trials}", f"tune.batch={batch}", *overrides]
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        run(Path(name) / "warm", data, ["rank=10", "tune.n_trials=1"])
        rows = {}
        print(f"evaluations a minute, {' '.join(search)}, one thread each")
        for workers in arguments.workers:
            spread = ["parallel=processes", f"parallel.workers={workers}"]
            rows[workers] = rates(run(Path(name) / str(workers), data, [*search, *spread]), batch)
            whole, steady = rows[workers].values()
            print(f"{workers} worker(s): {whole:.1f} in all, {steady:.1f} once started", flush=True)
        print(json.dumps(rows))


if __name__ == "__main__":
    main()

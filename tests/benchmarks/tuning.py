"""Cost of tuning ten ranks against the largest rank alone, with equal evaluations: closed form on debian.

    python tests/benchmarks/tuning.py [--trials 20] [key=value ...]

Each command runs in an empty store, with prepared data. Target: at most 1.5 times.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RANKS = {"ten ranks": "rank=[10,20,50,100,150,200,250,300,400,500]", "the largest alone": "rank=500"}
_SEARCH = re.compile(r"- tune closed\s+(\d+\.\d) s$", re.MULTILINE)


def run(folder: Path, data: Path, overrides: list[str]) -> tuple[float, float]:
    """Seconds of the whole command and of its search."""
    command = [sys.executable, "-m", "edlae_sweeps", "method=closed", "tune=optuna", f"tracking.dir={folder}"]
    start = time.perf_counter()
    environment = {**os.environ, "EDLAE_SWEEPS_DATA": str(data)}
    subprocess.run([*command, *overrides], check=True, capture_output=True, env=environment)
    seconds = time.perf_counter() - start
    (log,) = folder.rglob("edlae_sweeps.log")
    return seconds, float(_SEARCH.findall(log.read_text())[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    arguments, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        run(Path(name) / "warm", data, ["rank=10", "tune.n_trials=1"])
        seconds = {}
        for what, ranks in RANKS.items():
            settings = [ranks, f"tune.n_trials={arguments.trials}", *overrides]
            whole, search = run(Path(name) / what.replace(" ", "-"), data, settings)
            seconds[what] = {"whole": whole, "search": search}
            print(
                f"{what}: {arguments.trials} evaluations in {search:.1f} s, the whole command {whole:.1f} s", flush=True
            )
        ratio = {key: seconds["ten ranks"][key] / seconds["the largest alone"][key] for key in ("whole", "search")}
        print(f"ratio: search {ratio['search']:.2f}, whole {ratio['whole']:.2f}")
        print(json.dumps({**seconds, "ratio": ratio}))


if __name__ == "__main__":
    main()

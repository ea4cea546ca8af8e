"""Many jobs in one store, several at a time: does a job take longer as the store grows, and is each result there once?

    python -m tests.benchmarks.soak [--jobs 500] [--writers 8] [--postgres]

Each job is a command of its own that fits two ranks: three runs in the store. A quarter of an hour on two cores. Fails
if a job fails, a result is missing or doubled, or a run is left RUNNING.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from statistics import mean, median

from tests.benchmarks.kills import SMALL
from tests.integration.cluster import mlflow_on_postgres
from tests.integration.conftest import COMMAND, everything

RANKS = (2, 5)
GROUPS = 10


def job(number: int, folder: Path, uri: str | None) -> float:
    """Seconds of one job, whose λ no other has; ends the benchmark if it fails."""
    where = [] if uri is None else [f"tracking.uri={uri}"]
    settings = [*SMALL, f"rank=[{','.join(map(str, RANKS))}]", f"method.l2={1 + number}", *where]
    output = f"hydra.run.dir=mlruns/hydra/{number}"
    begin = time.monotonic()
    done = subprocess.run(
        [*COMMAND, *settings, output, f"data_dir={folder / 'cache'}"], cwd=folder, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"job {number} failed:\n{done.stderr.decode()[-4000:]}")
    return time.monotonic() - begin


def jobs(folder: Path, uri: str | None, count: int, writers: int) -> Iterator[float]:
    """Seconds of each job in the order in which they start."""
    # The first makes the database and the cache.
    job(0, folder, uri)
    numbers = list(range(1, count + 1))
    random.Random(0).shuffle(numbers)
    with ThreadPoolExecutor(writers) as pool:
        yield from pool.map(lambda number: job(number, folder, uri), numbers)


def problems(uri: str, count: int) -> list[str]:
    """What is wrong with the store after `count` + 1 jobs; empty if it has each result once."""
    runs = everything(uri)
    statuses = Counter(run.info.status for run in runs)
    cells = Counter(run.data.tags["run_key"] for run in runs if run.data.tags["kind"] == "cell")
    wanted = len(RANKS) * (count + 1)
    found = []
    if set(statuses) != {"FINISHED"}:
        found.append(f"not all runs are FINISHED: {dict(statuses)}")
    if len(cells) != wanted:
        found.append(f"{len(cells)} different cells instead of {wanted}")
    if doubled := sum(number - 1 for number in cells.values()):
        found.append(f"{doubled} cells are there twice")
    print(f"{len(runs)} runs, {dict(statuses)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--postgres", action="store_true", help="on MLflow's server with PostgreSQL, not on SQLite")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    # PostgreSQL has a user of its own.
    folder.chmod(0o755)
    try:
        with mlflow_on_postgres(folder) if arguments.postgres else nullcontext() as uri:
            seconds: list[float] = []
            size = max(arguments.jobs // GROUPS, 1)
            print(f"{'jobs':>6}  seconds of a job: mean, median, most", flush=True)
            for taken in jobs(folder, uri, arguments.jobs, arguments.writers):
                seconds.append(taken)
                if len(seconds) % size == 0:
                    last = seconds[-size:]
                    print(f"{len(seconds):6}  {mean(last):6.2f} {median(last):6.2f} {max(last):6.2f}", flush=True)
            print(f"last {size} / first {size}: {mean(seconds[-size:]) / mean(seconds[:size]):.2f}")
            sys.exit("\n".join(problems(uri or f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}", arguments.jobs)) or 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""Kill commands at random moments, repeat each until it ends by itself, and count what was lost.

    python -m tests.benchmarks.kills [--kills 100] [--seed 0] [--postgres]

Each round starts one of the commands below on a new cache and, without --postgres, in a new store. SIGKILL, SIGTERM,
SIGHUP or SIGINT stops it at a random moment of the time that it takes alone; the same command continues. At the end
there must be what one uninterrupted command left:

lost      evaluations and cells that are missing, or that have other values
doubled   evaluations and cells that are there more than once
RUNNING   runs that still claim to be computed, at the end or after a stop other than SIGKILL
damaged   files under their final name that can't be read, or don't agree with the store
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from tests.integration.cluster import mlflow_on_postgres
from tests.integration.conftest import COMMAND, default_signals

SMALL = ("dataset=synthetic", "dataset.n_users=800", "dataset.n_items=150", "dataset.topics=5",
         "dataset.heldout_users=150", "threads=1")  # fmt: skip
COMMANDS = {
    "a search": ("rank=[2,5]", "tune=optuna", "tune.n_trials=12"),
    "an iterative search": ("method=admm", "rank=[2,5]", "tune=optuna", "tune.n_trials=4"),
    "a multirun": ("-m", "method=closed,unconstrained", "rank=2,5"),
    "a search in processes": ("rank=[2,5]", "tune=optuna", "tune.n_trials=8", "tune.batch=4", "parallel=processes",
                              "parallel.workers=2"),
    "a fit with its model": ("rank=full", "save_model=true", "skip_finished=true"),
}  # fmt: skip
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# Then the command may finish: a store that is killed and continued over and over is another thing than many stores.
KILLS_A_ROUND = 5


@dataclass
class Findings:
    """What the kills cost so far."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    lost: int = 0
    doubled: int = 0
    running: int = 0
    damaged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({kills}) in {self.rounds} rounds: {self.lost} lost, {self.doubled} doubled, "
            f"{self.running} RUNNING, {len(self.damaged)} damaged"
        )


def start(command: tuple[str, ...], name: str, folder: Path, uri: str | None) -> subprocess.Popen:
    """Start a command on the data set `name` in a folder with a cache of its own; its output goes to output.txt."""
    where = [] if uri is None else [f"tracking.uri={uri}"]
    with (folder / "output.txt").open("a") as output:
        return subprocess.Popen(
            [*COMMAND, *command, *SMALL, f"dataset.name={name}", *where],
            cwd=folder,
            env={**os.environ, "EDLAE_SWEEPS_DATA": str(folder / "cache")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=default_signals,
        )


def finish(process: subprocess.Popen, folder: Path) -> None:
    """Wait for the end; an error of the command ends the benchmark."""
    if process.wait() != 0:
        sys.exit(f"the command failed with status {process.returncode}:\n{(folder / 'output.txt').read_text()[-4000:]}")


def runs_of(uri: str, name: str) -> list:
    """The runs of a data set that were not withdrawn."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id], max_results=5000))


def finished(uri: str, name: str) -> dict[str, tuple[tuple[str, str], dict[str, float]]]:
    """Run → its kind and name, and its metrics but times, of the finished evaluations and cells of a data set."""
    runs = [run for run in runs_of(uri, name) if run.info.status == "FINISHED"]
    return {
        run.info.run_id: (
            (run.data.tags["kind"], run.info.run_name),
            {key: value for key, value in run.data.metrics.items() if key.startswith(("test/", "validation/"))},
        )
        for run in runs
        if run.data.tags["kind"] in ("cell", "evaluation")
    }


def left_running(uri: str, name: str, pid: int) -> int:
    """The number of RUNNING runs of a process that has ended."""
    return sum(run.info.status == "RUNNING" and run.data.tags.get("pid") == str(pid) for run in runs_of(uri, name))


def check(findings: Findings, expected: dict, seen: set[str], uri: str, name: str, folder: Path) -> None:
    """Compare what a round left with `expected`, of an uninterrupted command, and with the runs `seen` before kills."""
    there = finished(uri, name)
    counts = Counter(key for key, _ in there.values())
    wanted = dict(expected.values())
    findings.lost += len(wanted.keys() - counts.keys()) + len(seen - there.keys())
    findings.lost += sum(not agrees(metrics, wanted.get(key)) for key, metrics in there.values())
    findings.doubled += sum(count - 1 for count in counts.values())
    findings.running += sum(run.info.status == "RUNNING" for run in runs_of(uri, name))
    for run, ((kind, _), metrics) in there.items():
        if kind == "cell" and not per_user_agrees(uri, run, metrics):
            findings.damaged.append(f"{name}: per_user.npz of run {run}")
    findings.damaged += [f"{name}: {path.relative_to(folder)}" for path in folder.rglob("*") if damaged(path)]


def agrees(metrics: dict[str, float], wanted: dict[str, float] | None) -> bool:
    """True if the same metrics are there, with the same values up to what the README promises."""
    if wanted is None or metrics.keys() != wanted.keys():
        return False
    return all(abs(value - wanted[key]) < 1e-4 for key, value in metrics.items())


def per_user_agrees(uri: str, run: str, metrics: dict[str, float]) -> bool:
    """True if a cell's metrics of every user have the mean that it logged."""
    with tempfile.TemporaryDirectory() as downloads:
        try:
            path = download_artifacts(run_id=run, artifact_path="per_user.npz", dst_path=downloads, tracking_uri=uri)
            with np.load(path) as arrays:
                return bool(abs(np.nanmean(arrays["ndcg_100"]) - metrics["test/ndcg_100"]) < 1e-6)
        except (MlflowException, OSError, KeyError, ValueError, zipfile.BadZipFile):
            return False


def damaged(path: Path) -> bool:
    """True for a file under its final name that can't be read."""
    if not path.is_file() or path.name.startswith("."):
        return False
    try:
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is not None
        elif path.suffix == ".db":
            with closing(sqlite3.connect(path)) as database:
                return database.execute("PRAGMA integrity_check").fetchone() != ("ok",)
    except (ValueError, OSError, zipfile.BadZipFile, sqlite3.DatabaseError):
        return True
    return False


class Storm:
    """Rounds of kills on one kind of store.

    root    folder of all rounds
    server  URI of a server that all rounds log to; None: a database for each round
    """

    def __init__(self, root: Path, server: str | None, moments: random.Random) -> None:
        self.root, self.server, self.moments = root, server, moments
        self.findings = Findings()
        self.alone: dict[str, tuple[float, dict]] = {}

    def uri(self, folder: Path) -> str:
        return self.server or f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"

    def measure_alone(self, what: str) -> None:
        """Run a command uninterrupted: its time and its results are those that the rounds are compared with."""
        name = f"alone-{len(self.alone)}"
        folder = self.root / name
        folder.mkdir()
        begin = time.monotonic()
        finish(start(COMMANDS[what], name, folder, self.server), folder)
        seconds = time.monotonic() - begin
        self.alone[what] = (seconds, finished(self.uri(folder), name))
        print(f"{what}: {seconds:.1f} s alone, {len(self.alone[what][1])} evaluations and cells", flush=True)

    def round(self, what: str, most: int) -> None:
        """Kill a command, at most `most` times, until it ends by itself; then check what is there."""
        seconds, expected = self.alone[what]
        name = f"round-{self.findings.rounds}"
        folder = self.root / name
        folder.mkdir()
        seen: set[str] = set()
        for _ in range(most):
            process = start(COMMANDS[what], name, folder, self.server)
            how = self.moments.choice(SIGNALS)
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.moments.uniform(0.1, seconds))
            if process.poll() is not None:
                break
            process.send_signal(how)
            process.wait()
            self.findings.kills[how.name] += 1
            if self.server or (folder / "mlruns" / "mlflow.db").exists():
                seen |= finished(self.uri(folder), name).keys()
                if how != signal.SIGKILL:
                    self.findings.running += left_running(self.uri(folder), name, process.pid)
        finish(start(COMMANDS[what], name, folder, self.server), folder)
        self.findings.rounds += 1
        check(self.findings, expected, seen, self.uri(folder), name, folder)
        print(f"{what}: {self.findings}", flush=True)
        shutil.rmtree(folder)

    def run(self, kills: int) -> None:
        for what in COMMANDS:
            self.measure_alone(what)
        while (left := kills - self.findings.kills.total()) > 0:
            self.round(list(COMMANDS)[self.findings.rounds % len(COMMANDS)], min(left, KILLS_A_ROUND))
        for path in self.findings.damaged:
            print("damaged:", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the signals")
    parser.add_argument("--postgres", action="store_true", help="on MLflow's server with PostgreSQL, not on SQLite")
    arguments = parser.parse_args()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    root = Path(tempfile.mkdtemp(prefix="kills-"))
    # PostgreSQL has a user of its own.
    root.chmod(0o755)
    try:
        with mlflow_on_postgres(root) if arguments.postgres else nullcontext() as uri:
            storm = Storm(root, uri, random.Random(arguments.seed))
            storm.run(arguments.kills)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    findings = storm.findings
    sys.exit(bool(findings.lost or findings.doubled or findings.running or findings.damaged))


if __name__ == "__main__":
    main()

"""The four methods tuned on Slurm through MLflow's server on PostgreSQL, with everything that ends a job early."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from .cluster import Cluster, cluster, missing
from .conftest import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

METHODS = ("closed", "admm", "zero_diag", "unconstrained")
RANKS = ("5", "20")
SWEEP = (
    "-m", f"method={','.join(METHODS)}", f"rank=[{','.join(RANKS)}]", "tune=optuna", "tune.n_trials=20",
    "dataset=synthetic", "dataset.n_users=6000", "dataset.n_items=1200", "dataset.mean_events=25",
    "dataset.heldout_users=500",
)  # fmt: skip
ON_SLURM = (
    "hydra/launcher=submitit_slurm", "hydra.launcher.partition=bench", "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=2", "hydra.launcher.timeout_min=60", "hydra.launcher.max_num_timeout=3",
)  # fmt: skip
MINUTES = 60


@pytest.fixture(scope="module")
def bench() -> Iterator[Cluster]:
    # So many that jobs of two commands run at once.
    with cluster(cores=4, kill_wait=20) as up:
        yield up


class Runs:
    """What a store holds of a data set."""

    def __init__(self, uri: str, dataset: str = "synthetic") -> None:
        store = MlflowClient(uri)
        experiments = [each.experiment_id for each in store.search_experiments() if each.name == dataset]
        self.all = []
        page = None
        while experiments and page != "":
            found = store.search_runs(experiments, max_results=1000, page_token=page or None)
            self.all += found
            page = found.token or ""

    def finished(self, kind: str) -> list:
        return [run for run in self.all if run.data.tags.get("kind") == kind and run.info.status == "FINISHED"]

    def cells(self) -> list[tuple[str, str]]:
        return sorted((run.data.params["method"], run.data.params["rank"]) for run in self.finished("cell"))

    def evaluations(self) -> list[tuple[str, int]]:
        """(method, number) of every evaluation."""
        return sorted((run.data.params["method"], number(run)) for run in self.finished("evaluation"))

    def metrics(self) -> dict[str, float]:
        """All that does not measure time or memory."""
        return {
            f"{run.data.params['method']} {run.data.params['rank']} {name}": value
            for run in self.finished("cell")
            for name, value in run.data.metrics.items()
            if name.split("/")[0] in ("test", "validation", "train")
        }


def number(run) -> int:
    tags = run.data.tags
    return json.loads("".join(tags[f"record.{part}"] for part in range(int(tags["record.parts"]))))["number"]


def job_file(folder: Path, job: int) -> dict:
    """The state of a job of the newest multirun; empty before it starts."""
    newest = max(folder.glob("mlruns/hydra/*/*"))
    path = newest / str(job) / "job.json"
    return json.loads(path.read_text()) if path.exists() else {}


def array_id(folder: Path) -> str:
    """Slurm's id of the newest multirun."""
    newest = max(folder.glob("mlruns/hydra/*/*"))
    return min(path.name for path in newest.glob(".submitit/[0-9]*_*")).partition("_")[0]


def shown(bench: Cluster, job_id: str, field: str) -> int:
    """A number that Slurm shows of a job; times in seconds."""
    text = re.search(rf"\b{field}=(\S+)", bench.slurm("scontrol", "show", "job", job_id))[1]
    parts = [int(part) for part in text.split(":")]
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))


def test_a_sweep_loses_and_doubles_nothing(start, tmp_path: Path, bench: Cluster):
    alone, folder = tmp_path / "alone", tmp_path / "slurm"
    alone.mkdir()
    folder.mkdir()

    def started():
        return start(*SWEEP, *ON_SLURM, folder=folder, **bench.environment)

    def evaluated(method: str) -> int:
        return sum(name == method for name, _ in Runs(bench.uri).evaluations())

    undisturbed = start(*SWEEP, folder=alone)
    first = started()
    wait_until(lambda: evaluated("closed") >= 2 and evaluated("admm") >= 2, 2 * MINUTES)
    array = array_id(folder)
    # The kernel kills a worker, as for want of memory.
    os.kill(int(job_file(folder, 0)["process"]["pid"]), signal.SIGKILL)
    # Its user cancels a job.
    bench.slurm("scancel", f"{array}_1")
    wait_until(lambda: job_file(folder, 1)["state"] == "stopped", MINUTES)
    # A job is stopped by its time limit and put back into the queue.
    wait_until(lambda: evaluated("zero_diag") >= 2, 2 * MINUTES)
    minutes = (shown(bench, f"{array}_2", "RunTime") + 45) // 60 + 1
    bench.slurm("scontrol", "update", f"JobId={array}_2", f"TimeLimit={minutes}")
    wait_until(lambda: shown(bench, f"{array}_2", "Restarts") == 1, 3 * MINUTES)
    bench.slurm("scontrol", "update", f"JobId={array}_2", "TimeLimit=60")
    _, errors = first.communicate(timeout=20 * MINUTES)
    assert first.returncode == 2, errors
    (summary,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert re.findall(r"\d \(method=\w+\)", summary) == ["1 (method=admm)", "0 (method=closed)"]
    assert Runs(bench.uri).cells() == [(method, rank) for method in sorted(METHODS[2:]) for rank in sorted(RANKS)]

    # Two identical commands at once; both coordinators are killed while their jobs run, and a third one takes over.
    before = evaluated("closed")
    twins = [started(), started()]
    wait_until(lambda: evaluated("closed") >= before + 2, 3 * MINUTES)
    for twin in twins:
        twin.kill()
        twin.communicate()
    assert bench.queue()
    last = started()
    output, errors = last.communicate(timeout=20 * MINUTES)
    assert last.returncode == 0, errors
    assert all(re.search(rf"\b{method} +{rank} ", output) for method in METHODS for rank in RANKS), output
    wait_until(lambda: not bench.queue(), 2 * MINUTES)

    _, errors = undisturbed.communicate(timeout=20 * MINUTES)
    assert undisturbed.returncode == 0, errors
    expected, runs = Runs(f"sqlite:///{alone / 'mlruns' / 'mlflow.db'}"), Runs(bench.uri)
    assert not [run for run in runs.all if run.info.status == "RUNNING"]
    assert runs.cells() == expected.cells() == sorted((method, rank) for method in METHODS for rank in RANKS)
    assert runs.evaluations() == expected.evaluations()
    assert runs.metrics() == pytest.approx(expected.metrics(), rel=1e-4, abs=1e-4)


def test_a_stopped_parent_cancels_its_jobs(start, bench: Cluster):
    parent = start(*SWEEP, "dataset.name=stopped", *ON_SLURM, **bench.environment)
    wait_until(lambda: len(Runs(bench.uri, "stopped").evaluations()) >= 2, 2 * MINUTES)
    parent.terminate()
    _, errors = parent.communicate(timeout=2 * MINUTES)
    assert parent.returncode == 128 + signal.SIGTERM, errors
    assert "stopped by SIGTERM" in errors
    assert not bench.queue()
    runs = Runs(bench.uri, "stopped")
    assert {run.info.status for run in runs.all if run.data.tags["kind"] == "job"} == {"KILLED"}
    assert not [run for run in runs.all if run.info.status == "RUNNING"]

"""Commands that start at the same moment: none fails, none does the work of another, and a dead one is replaced."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import missing, mlflow_on_postgres
from .conftest import everything, wait_until

SMALL = ("dataset=synthetic", "dataset.n_users=800", "dataset.n_items=150", "dataset.topics=5",
         "dataset.heldout_users=150", "threads=1")  # fmt: skip
SEARCH = ("rank=[2,5]", "tune=optuna", "tune.n_trials=4")
# Four times the same search, twice the same fit, two other fits.
EIGHT = [SEARCH] * 4 + [("rank=3",)] * 2 + [("rank=4",), ("rank=6",)]
ROUNDS = 5


def eight_at_once(start, folder: Path, uri: str | None) -> None:
    """Run eight commands at the same time on a new store and a new cache; check that all is there, once."""
    folder.mkdir()
    where = [] if uri is None else [f"tracking.uri={uri}"]
    jobs = [
        start(*SMALL, *command, *where, f"hydra.run.dir=mlruns/hydra/{number}", folder=folder,
              EDLAE_SWEEPS_DATA=str(folder / "cache"))
        for number, command in enumerate(EIGHT)
    ]  # fmt: skip
    for job, command in zip(jobs, EIGHT, strict=True):
        out, err = job.communicate(timeout=600)
        assert job.returncode == 0, err
        assert "error" not in err.lower(), err
        # Whoever computed it, each command shows its results.
        assert out.count("closed") >= len(command[0].split(",")), out
    runs = everything(uri or f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    finished = [run for run in runs if run.info.status == "FINISHED"]
    assert all(run.info.lifecycle_stage == "active" for run in finished)
    # Those that were withdrawn are deleted.
    assert all(run.info.lifecycle_stage == "deleted" for run in runs if run not in finished)
    kinds = Counter(run.data.tags["kind"] for run in finished)
    assert kinds == {"cell": 5, "evaluation": 4, "job": 1}
    assert all(run.inputs.dataset_inputs for run in finished if run.data.tags["kind"] != "evaluation")
    keys = Counter(run.data.tags["run_key"] for run in finished if run.data.tags["kind"] == "cell")
    assert set(keys.values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, ROUNDS))])
def test_eight_commands_at_once_on_a_new_database(start, tmp_path, number):
    eight_at_once(start, tmp_path / f"round{number}", None)


@pytest.fixture
def server_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's server on a new PostgreSQL database."""
    folder = tmp_path_factory.mktemp("postgres")
    # PostgreSQL has a user of its own.
    for path in (folder, *folder.parents[:3]):
        if path.name.startswith(("postgres", "pytest-")):
            path.chmod(0o755)
    with mlflow_on_postgres(folder) as uri:
        yield uri


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.skipif(bool(missing()), reason=missing())
@pytest.mark.parametrize("number", range(ROUNDS))
def test_eight_commands_at_once_on_a_new_postgres(start, tmp_path, server_on_postgres, number):
    eight_at_once(start, tmp_path / f"round{number}", server_on_postgres)


@pytest.mark.slow
def test_a_command_that_waits_takes_over_from_one_that_is_killed(start, tmp_path, new_store):
    """It continues the search where the other one stopped."""
    new_store(tmp_path / "mlruns")
    uri = f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"
    # Large enough that the second command starts while the first is at it.
    command = (*SMALL, "dataset.n_users=4000", "dataset.n_items=2000", "rank=[50,200]", "tune=optuna",
               "tune.n_trials=20")  # fmt: skip

    def evaluations() -> int:
        runs = everything(uri)
        return sum(run.data.tags["kind"] == "evaluation" and run.info.status == "FINISHED" for run in runs)

    first = start(*command)
    wait_until(lambda: evaluations() >= 2)
    second = start(*command)
    line = ""
    while "waiting for run" not in line:
        line = second.stderr.readline()
        assert line, "the second command did not wait"
    assert f"process {first.pid}" in line
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = evaluations()
    _, err = second.communicate(timeout=600)
    assert second.returncode == 0, err
    assert "as KILLED" in err
    runs = everything(uri)
    assert "RUNNING" not in {run.info.status for run in runs}
    finished = [run for run in runs if run.info.status == "FINISHED"]
    assert Counter(run.data.tags["kind"] for run in finished) == {"cell": 2, "evaluation": 20, "job": 1}
    assert len({run.info.run_name for run in finished if run.data.tags["kind"] == "evaluation"}) == 20
    assert 2 <= done < 20

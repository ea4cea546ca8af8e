"""Whole jobs: the same records and results whoever does the work, in whatever order it finishes."""

import itertools
import random
from contextlib import nullcontext

import pytest
from mlflow import MlflowClient

from edlae_sweeps.errors import SolverError
from edlae_sweeps.jobs import compute
from edlae_sweeps.methods import Closed
from edlae_sweeps.workers import Died, Pool

SEARCH = ("tune=optuna", "tune.n_trials=7", "tune.batch=3")
TWO = ("parallel=processes", "parallel.workers=2")

pytestmark = pytest.mark.usefixtures("no_pictures")


class Shuffled(Pool):
    """Workers that finish in a random order, stop the job after `most` tasks, and die at the tasks `deadly`."""

    workers = 3

    def __init__(self, bench, seed: int = 0, most: int = 1000, deadly: tuple[int, ...] = ()):
        self._bench, self._order, self._most, self._deadly = bench, random.Random(seed), most, deadly
        self._tasks = itertools.count()

    def run(self, function, tasks, _at_once):
        order = list(range(len(tasks)))
        self._order.shuffle(order)
        for index in order:
            if self._most == 0:
                raise KeyboardInterrupt
            self._most -= 1
            dead = next(self._tasks) in self._deadly
            yield index, Died("its worker died twice") if dead else function(self._bench, tasks[index])


@pytest.fixture
def shuffled(monkeypatch):
    """Let the workers of the next jobs be `Shuffled` ones."""

    def call(**options):
        monkeypatch.setattr(compute, "open_pool", lambda _, bench, *__: nullcontext(Shuffled(bench, **options)))

    return call


@pytest.mark.parametrize("method", [("rank=[2,5,full]",), ("method=admm", "rank=[2,5]", "method.epochs=3")])
def test_the_records_are_those_of_one_process(job, records, cells, method):
    alone = job(*method, *SEARCH, store="alone")
    spread = job(*method, *SEARCH, *TWO, store="spread")
    assert len(records("alone")) == 7 * (2 if "method=admm" in method else 1)
    assert records("spread") == records("alone")
    assert cells("spread") == cells("alone")
    assert [result.name for result in spread] == [result.name for result in alone]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_finishing_does_not_matter(job, records, cells, shuffled, seed):
    job("rank=[2,5]", *SEARCH, store="alone")
    shuffled(seed=seed)
    job("rank=[2,5]", *SEARCH, store="spread")
    assert records("spread") == records("alone")
    assert cells("spread") == cells("alone")


@pytest.mark.slow
@pytest.mark.soak
def test_a_search_that_is_stopped_again_and_again(job, records, cells, shuffled):
    job("rank=[2,5]", *SEARCH, store="alone")
    for seed, most in enumerate((2, 2, 1)):
        shuffled(seed=seed, most=most)
        with pytest.raises(KeyboardInterrupt):
            job("rank=[2,5]", *SEARCH, store="stormy")
    assert len(records("stormy")) == 5
    shuffled(seed=9)
    job("rank=[2,5]", *SEARCH, store="stormy")
    assert records("stormy") == records("alone")
    assert cells("stormy") == cells("alone")
    # A larger search goes on, in another engine.
    job("rank=[2,5]", *SEARCH, "tune.n_trials=8", store="alone")
    shuffled(seed=3)
    job("rank=[2,5]", *SEARCH, "tune.n_trials=8", store="stormy")
    assert records("stormy") == records("alone")
    assert len(records("alone")) == 8


def test_records_that_were_lost_are_made_again(job, records, tmp_path, stored):
    job("rank=[2,5]", *SEARCH, "tune.n_trials=6")
    whole = records()
    client = MlflowClient(f"sqlite:///{tmp_path / 'a' / 'mlflow.db'}")
    for run in stored("evaluation"):
        if run.info.run_name in ("closed-3", "closed-4"):
            client.delete_run(run.info.run_id)
    assert len(records()) == 4
    job("rank=[2,5]", *SEARCH, "tune.n_trials=6", "skip_finished=false")
    assert records() == whole


def test_another_batch_is_another_search(job, stored):
    job("rank=2", *SEARCH)
    job("rank=2", *SEARCH, "tune.batch=1")
    studies = [run.data.tags["study"] for run in stored("evaluation")]
    assert sorted(studies.count(study) for study in set(studies)) == [7, 7]


def test_a_worker_that_dies_twice_is_a_failed_evaluation(job, records, shuffled):
    shuffled(deadly=(4,))
    job("rank=[2,5]", *SEARCH)
    failed = [record for record in records() if not record["ranks"]]
    assert [record["error"] for record in failed] == ["its worker died twice"]
    assert failed[0]["tags"]["error"] == "its worker died twice"


def test_a_fit_whose_worker_dies_leaves_the_others_their_results(job, cells, shuffled):
    shuffled(deadly=(1,))
    with pytest.raises(SolverError, match=r"^admm-k\d: its worker died twice$"):
        job("method=admm", "rank=[2,3,5]", "method.epochs=2")
    assert len(cells()) == 2


def test_a_solver_that_fails_in_a_worker_is_a_failed_evaluation(job, records, shuffled, monkeypatch):
    original = Closed._prepare

    def fragile(self, *args):
        if self.dropout > 0.3:
            raise SolverError("not this one")
        return original(self, *args)

    monkeypatch.setattr(Closed, "_prepare", fragile)
    shuffled()
    job("rank=[2,5]", *SEARCH)
    assert {record["error"] for record in records()} == {"", "not this one"}


def test_fits_beside_others_have_shared_times(job, stored, tmp_path):
    results = job("method=admm", "rank=[2,5]", "method.epochs=3", "epoch_metrics=true", "save_model=true", *TWO)
    assert [result.tags["shared"] for result in results] == ["true", "true"]
    assert {run.data.tags["shared"] for run in stored("cell")} == {"true"}
    assert all(run.data.tags["model"] == "kept" for run in stored("cell"))
    client = MlflowClient(f"sqlite:///{tmp_path / 'a' / 'mlflow.db'}")
    for result, run in zip(sorted(results, key=lambda r: r.name), sorted(stored("cell"), key=lambda r: r.info.run_name),
                           strict=True):  # fmt: skip
        assert len(result.history["validation/ndcg_100"]) == 3
        assert len(client.get_metric_history(run.info.run_id, "validation/ndcg_100")) == 4
        assert result.metrics["time/gram_seconds"] > 0
        assert {"result.json", "per_user.npz", "diagonal.npz"} <= {
            a.path for a in client.list_artifacts(run.info.run_id)
        }
    alone = job("method=admm", "rank=[2,5]", "method.epochs=3", store="alone")
    for one, other in zip(alone, results, strict=True):
        assert one.metrics["test/ndcg_100"] == other.metrics["test/ndcg_100"]


def test_one_fit_is_not_beside_others(job):
    (result,) = job("rank=2", *TWO)
    assert result.tags["shared"] == "false"
    assert result.tags["blas_threads"] == "1"


def test_a_batch_below_the_workers_is_said(job, caplog, shuffled):
    shuffled()
    job("rank=2", "tune=optuna", "tune.n_trials=2")
    assert "tune.batch=1: " in caplog.text

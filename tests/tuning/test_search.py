"""The search of a job on a small synthetic data set: what it shares, what it records, how it continues."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.jobs import run as job_run
from edlae_sweeps.jobs import run_job
from edlae_sweeps.methods import Admm, Closed
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import Store
from edlae_sweeps.workers import validation

SMALL = ("dataset=synthetic", "dataset.n_users=600", "dataset.n_items=60", "dataset.mean_events=15",
         "dataset.topics=5", "dataset.heldout_users=100", "tune=optuna", "dtype=float64")  # fmt: skip

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def job(tmp_path: Path, new_store) -> Callable:
    """Run a job in this process, in the store of the given name."""

    def call(*overrides: str, store: str = "a") -> list:
        register()
        folder = tmp_path / store
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            settings = typed(compose("config", [*SMALL, f"tracking.dir={folder}", *overrides]), Settings)
        output = folder / "hydra" / str(len(list((folder / "hydra").glob("*"))))
        output.mkdir(parents=True)
        new_store(folder)
        return run_job(settings, output, {})

    return call


def runs(folder: Path, kind: str) -> list:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    stored = client.search_runs(experiments, f"tags.kind = '{kind}'", order_by=["attributes.start_time ASC"])
    assert {run.info.status for run in stored} <= {"FINISHED"}
    return list(stored)


def points(folder: Path) -> list[tuple]:
    return [
        (run.info.run_name, run.data.params["l2"], run.data.params["dropout"], run.data.params["asked_by"])
        for run in runs(folder, "evaluation")
    ]


def values(cells: list) -> list[tuple]:
    return [(cell.name, cell.params["l2"], cell.metrics["test/ndcg_100"]) for cell in cells]


@pytest.fixture
def factorisations(monkeypatch: pytest.MonkeyPatch) -> list:
    """The (λ, p) of every factorisation, in order."""
    counted: list[tuple[float, float]] = []
    for kind in (Closed, Admm):
        original = kind._prepare

        def counting(self, *args, original=original):
            counted.append((self.l2, self.dropout))
            return original(self, *args)

        monkeypatch.setattr(kind, "_prepare", counting)
    return counted


def test_nested_ranks_share_every_factorisation(job, tmp_path, factorisations):
    cells = job("rank=[2,5,full]", "tune.n_trials=6")
    evaluations = runs(tmp_path / "a", "evaluation")
    assert len(evaluations) == 6
    best = {(cell.params["l2"], cell.params["dropout"]) for cell in cells}
    assert len(factorisations) == 6 + len(best)
    # Ranks take turns to ask, and every record has a value for each.
    assert [run.data.params["asked_by"] for run in evaluations] == ["2", "5", "full"] * 2
    client = MlflowClient(f"sqlite:///{tmp_path / 'a' / 'mlflow.db'}")
    n_items = 60
    for run in evaluations:
        steps = {m.step: m.value for m in client.get_metric_history(run.info.run_id, "validation/ndcg_100")}
        assert sorted(steps) == [2, 5, n_items]
    # Each cell has the parameters that were best for its own rank.
    for cell, step in zip(cells, (2, 5, n_items), strict=True):
        by_run = {
            (float(run.data.params["l2"]), float(run.data.params["dropout"])): {
                m.step: m.value for m in client.get_metric_history(run.info.run_id, "validation/ndcg_100")
            }[step]
            for run in evaluations
        }
        chosen = by_run[cell.params["l2"], cell.params["dropout"]]
        assert chosen == max(by_run.values())
        assert chosen == pytest.approx(cell.metrics["validation/ndcg_100"], abs=1e-9)
        assert cell.metrics["tune/evaluations"] == 6


def test_a_search_never_sees_the_test_users(job, monkeypatch):
    seen = []
    for name in ("evaluate", "evaluate_nested"):
        original = getattr(validation, name)

        def watched(*args, original=original, **options):
            seen.append(args[-1])
            return original(*args, **options)

        monkeypatch.setattr(validation, name, watched)
    original_load = job_run.load
    loaded = []
    monkeypatch.setattr(job_run, "load", lambda *args: loaded.append(original_load(*args)) or loaded[-1])
    job("rank=[2,full]", "tune.n_trials=2")
    assert len(seen) == 4
    assert all(held_out is loaded[0].validation for held_out in seen)


def test_a_larger_number_continues_the_smaller_search(job, tmp_path):
    job("rank=[2,5]", "tune.n_trials=4")
    later = job("rank=[2,5]", "tune.n_trials=14")
    at_once = job("rank=[2,5]", "tune.n_trials=14", store="b")
    assert points(tmp_path / "a") == points(tmp_path / "b")
    assert values(later) == values(at_once)


def test_finished_cells_are_not_computed_again(job, tmp_path, factorisations):
    first = job("rank=[2,5]", "tune.n_trials=3")
    del factorisations[:]
    again = job("rank=[2,5]", "tune.n_trials=3")
    assert factorisations == []
    assert values(again) == values(first)
    assert len(runs(tmp_path / "a", "cell")) == 2
    assert len(runs(tmp_path / "a", "job")) == 1
    job("rank=[2,5]", "tune.n_trials=3", "skip_finished=false")
    assert len(factorisations) in (1, 2)
    assert len(runs(tmp_path / "a", "evaluation")) == 3


def test_a_smaller_number_takes_the_first_of_a_larger_search(job, tmp_path):
    job("rank=[2,5]", "tune.n_trials=9")
    smaller = job("rank=[2,5]", "tune.n_trials=2")
    assert values(smaller) == values(job("rank=[2,5]", "tune.n_trials=2", store="b"))
    assert len(runs(tmp_path / "a", "evaluation")) == 9


def test_a_search_that_ran_out_of_time_is_not_finished(job, tmp_path):
    job("rank=2", "tune.n_trials=4", "tune.timeout=0.000001")
    (cell,) = runs(tmp_path / "a", "cell")
    assert cell.data.tags["search"] == "cut"
    job("rank=2", "tune.n_trials=4")
    assert len(runs(tmp_path / "a", "evaluation")) == 4
    assert runs(tmp_path / "a", "cell")[-1].data.tags["search"] == "complete"


def test_a_cell_without_a_model_is_not_finished_if_the_model_is_asked_for(job, tmp_path):
    job("rank=2", "tune.n_trials=2")
    job("rank=2", "tune.n_trials=2", "save_model=true")
    cells = runs(tmp_path / "a", "cell")
    assert [run.data.tags.get("model") for run in cells] == [None, "kept"]
    job("rank=2", "tune.n_trials=2", "save_model=true")
    assert len(runs(tmp_path / "a", "cell")) == 2


def test_a_rank_that_fails_everywhere_leaves_the_others_their_results(job, tmp_path, monkeypatch):
    original = Admm._fit

    def fragile(self, state, rank, *args):
        if rank == 5:
            raise SolverError("never")
        return original(self, state, rank, *args)

    monkeypatch.setattr(Admm, "_fit", fragile)
    with pytest.raises(SolverError, match="rank 5: none of"):
        job("method=admm", "rank=[2,5]", "tune.n_trials=2", "method.epochs=2")
    assert [run.info.run_name for run in runs(tmp_path / "a", "cell")] == [
        "admm-k2 λ=400 p=0.33 dtype=float64 epochs=2 tuned"
    ]


def test_a_grid_cut_short_gives_a_warning(job, caplog):
    job("rank=2", "tune.n_trials=3", "tune.sampler=grid", "tune.grid_points=2")
    assert "tune.n_trials=3 leaves out the end of a grid of 4 points and a start" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        "tune.search.l2=[1,50]",
        "dataset.split_seed=1",
        "tune.seed=1",
        "method.l2=3",
        "rank=[2,6]",
        "tune.sampler=random",
        "seed=1",
    ],
)
def test_another_search_says_so_and_shares_nothing(job, tmp_path, caplog, change):
    caplog.set_level("INFO")
    job("rank=[2,5]", "tune.n_trials=2")
    assert "a new search" not in caplog.text
    job("rank=[2,5]", "tune.n_trials=2", change)
    assert "a new search: 2 evaluations in the store have other data, ranges or settings" in caplog.text
    assert len(runs(tmp_path / "a", "evaluation")) == 4


def test_iterative_ranks_follow_one_another_and_share_inverses(job, tmp_path, factorisations):
    cells = job("method=admm", "rank=[2,5]", "tune.n_trials=3", "method.epochs=3")
    asked = points(tmp_path / "a")
    assert [asked_by for *_, asked_by in asked] == ["2"] * 3 + ["5"] * 3
    # Both begin at the start values; the second continues with the best point of the first.
    assert asked[0][1:3] == asked[3][1:3]
    best = (str(cells[0].params["l2"]), str(cells[0].params["dropout"]))
    assert asked[4][1:3] == best or best == asked[0][1:3]
    search_alone = factorisations[: -len({tuple(cell.params[n] for n in ("l2", "dropout")) for cell in cells})]
    assert len(search_alone) < 6
    assert search_alone.count((cells[0].params["l2"], cells[0].params["dropout"])) <= 2


def test_a_point_that_fails_is_recorded_and_the_search_goes_on(job, tmp_path, monkeypatch):
    original = Closed._prepare

    def fragile(self, *args):
        if self.dropout > 0.3:
            raise SolverError("not this one")
        return original(self, *args)

    monkeypatch.setattr(Closed, "_prepare", fragile)
    (cell,) = job("rank=3", "tune.n_trials=8", "method.dropout=0.5")
    evaluations = runs(tmp_path / "a", "evaluation")
    assert len(evaluations) == 8
    assert evaluations[0].data.tags["error"] == "not this one"
    assert any("error" not in run.data.tags for run in evaluations)
    assert cell.params["dropout"] <= 0.3
    monkeypatch.setattr(Closed, "_prepare", lambda *_: (_ for _ in ()).throw(SolverError("never")))
    with pytest.raises(SolverError, match="rank 4: none of 2 evaluations succeeded; the last: never"):
        job("rank=4", "tune.n_trials=2")


def test_the_table_and_the_pictures_of_a_cell(job, tmp_path):
    (cell,) = job("rank=3", "tune.n_trials=3", "tune.search.l2=[9.99,10.01]", "tune.search.dropout=null")
    (run,) = runs(tmp_path / "a", "cell")
    uri = f"sqlite:///{tmp_path / 'a' / 'mlflow.db'}"
    table = Path(download_artifacts(run_id=run.info.run_id, artifact_path="evaluations.csv", tracking_uri=uri))
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == ["0", "1", "2"]
    assert max(float(row["ndcg_100"]) for row in rows) == pytest.approx(cell.metrics["validation/ndcg_100"])
    assert "dropout" not in rows[0]
    for name in ("landscape.png", "history.png"):
        assert Path(download_artifacts(run_id=run.info.run_id, artifact_path=name, tracking_uri=uri)).is_file()


def test_a_best_value_on_the_border_gives_a_warning(job, tmp_path, caplog):
    job("rank=3", "tune.n_trials=2", "tune.sampler=grid", "tune.grid_points=1", "method.l2=100", "method.dropout=0.7",
        "tune.search.l2=[100,101]", "tune.search.dropout=[0,0.8]")  # fmt: skip
    (run,) = runs(tmp_path / "a", "cell")
    assert "l2" in run.data.tags["border"]
    assert "rank 3: the best l2 = 100 lies on the border of tune.search.l2=[100,101]: widen it" in caplog.text


def test_a_start_taken_from_another_run(job, tmp_path):
    (first,) = job("rank=3", "tune=off", "method.l2=77", "method.dropout=0.25")
    (run,) = runs(tmp_path / "a", "cell")
    job("rank=3", "tune.n_trials=1", f"tune.start={run.info.run_id}")
    assert points(tmp_path / "a")[0][1:3] == ("77.0", "0.25")
    assert first.params["l2"] == 77


def test_a_start_that_is_no_run_or_has_no_such_parameters_is_refused(job, tmp_path):
    with pytest.raises(ConfigError, match=r"tune\.start=abc: the store has no such run"):
        job("rank=3", "tune.start=abc")
    job("rank=3", "tune=off", "method=svd")
    (run,) = runs(tmp_path / "a", "cell")
    with pytest.raises(ConfigError, match="this run has none of the parameters l2, dropout"):
        job("rank=3", f"tune.start={run.info.run_id}")


def test_a_time_limit_still_gives_every_rank_a_result(job, tmp_path):
    job("method=admm", "rank=[2,5]", "tune.n_trials=50", "tune.timeout=0.000001", "method.epochs=2")
    assert [asked_by for *_, asked_by in points(tmp_path / "a")] == ["2", "5"]


def test_a_dry_run_computes_nothing(job, tmp_path, capsys, monkeypatch):
    job("rank=2", "tune.n_trials=2")
    monkeypatch.setattr(Closed, "_prepare", lambda *_: pytest.fail("computed"))
    assert job("rank=2", "tune.n_trials=2", "dry_run=true") == []
    assert job("rank=[2,5]", "tune.n_trials=3", "dry_run=true") == []
    assert job("rank=2", "dry_run=true", store="b") == []
    assert Store(None, tmp_path / "b").existing() == []
    lines = capsys.readouterr().out.splitlines()
    assert any("closed-k2" in line and "finished" in line for line in lines)
    assert any("3 evaluations" in line and "GiB" in line for line in lines)
    assert len(runs(tmp_path / "a", "job")) == 1


def test_the_state_of_an_iterative_method_does_not_depend_on_the_rank():
    # The search keeps states for several ranks.
    data = TrainingData(np.diag(np.arange(1.0, 6.0)) ** 0.5, "float64")
    first, second = (Admm(l2=2.0, dropout=0.1, epochs=2, omega=10.0).prepare(data, rank) for rank in (0, 3))
    assert np.array_equal(first.full.B, second.full.B)

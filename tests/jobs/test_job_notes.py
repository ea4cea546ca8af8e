"""What a job says on MLflow's pages: names, notes, the best cell and the pictures of its search."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.summary import print_summary
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.jobs import Result, run_job
from edlae_sweeps.jobs.notes import cell_note, cell_run_name, job_note
from edlae_sweeps.methods import Admm, Closed, Deep
from edlae_sweeps.settings import Optuna, Settings

SMALL = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12",
         "dataset.topics=5", "dataset.heldout_users=50")  # fmt: skip


@pytest.fixture
def job(tmp_path: Path, new_store) -> Callable:
    """Run a job in a store in tmp_path; return its settings, its results and the runs by kind."""

    def call(*overrides: str) -> tuple:
        register()
        new_store(tmp_path)
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            settings = typed(compose("config", [*SMALL, f"tracking.dir={tmp_path}", *overrides]), Settings)
        output = tmp_path / f"output{len(list(tmp_path.glob('output*')))}"
        output.mkdir()
        results = run_job(settings, output, {"command.txt": "python -m edlae_sweeps rank=2"})
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("synthetic").experiment_id
        kinds = ("cell", "job", "evaluation")
        return settings, results, {kind: client.search_runs([experiment], f"tags.kind = '{kind}'") for kind in kinds}

    return call


@pytest.mark.parametrize(
    ("settings", "rank", "name"),
    [
        (Settings(method=Closed(l2=10, dropout=0.1)), 500, "closed-k500 λ=10 p=0.1"),
        (Settings(method=Closed(l2=1234.56), dtype="float64", repeat=2), "full",
         "closed-full λ=1235 p=0.33 dtype=float64 repeat=2"),
        (Settings(method=Admm(epochs=5, seed=3)), 10, "admm-k10 λ=400 p=0.33 seed=3 epochs=5"),
        (Settings(method=Closed(), tune=Optuna(search={"l2": (1, 2)})), 3, "closed-k3 λ=500 p=0.33 tuned"),
        (Settings(method=Deep(hidden=(8, 4))), 2, "deep-k2 hidden=[8,4]"),
    ],
)  # fmt: skip
def test_the_name_of_a_cell_says_what_differs(settings, rank, name):
    assert cell_run_name(settings, settings.method, rank) == name


def test_the_job_has_the_best_cell_the_baseline_and_a_note(job, tmp_path):
    _, results, runs = job("rank=[2,5]", "tune=optuna", "tune.n_trials=2", "tune.search.l2=[1,100]")
    (parent,) = runs["job"]
    best = max(results, key=lambda result: result.metrics["validation/ndcg_100"])
    metrics, tags = parent.data.metrics, parent.data.tags
    assert parent.info.run_name == "closed-2-ranks search"
    assert metrics["best/validation_ndcg_100"] == best.metrics["validation/ndcg_100"]
    assert metrics["best/test_ndcg_100"] == best.metrics["test/ndcg_100"]
    assert (tags["best.rank"], tags["best.l2"]) == (str(best.params["rank"]), str(best.params["l2"]))
    assert {name: metrics[name] for name in best.baseline} == best.baseline
    assert not any(name.startswith("baseline/") for run in runs["cell"] for name in run.data.metrics)
    for text in ("a search of l2 from 1 to 100", f"{best.metrics['test/ndcg_100']:.4f}", "python -m edlae_sweeps rank"):
        assert text in tags["mlflow.note.content"]
    assert all("tuned on the validation users" in run.data.tags["mlflow.note.content"] for run in runs["cell"])
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    files = {file.path for file in client.list_artifacts(parent.info.run_id, "closed-k2")}
    assert files == {f"closed-k2/{name}" for name in ("landscape.png", "history.png", "evaluations.csv")}


def test_a_note_names_metrics_as_people_do():
    metrics = dict.fromkeys(("ndcg_100", "ndcg_100_se", "recall_20", "recall_50"), 0.5)
    values = {f"{part}/{name}": value for part in ("test", "validation") for name, value in metrics.items()}
    params = {"method": "closed", "rank": 3, "l2": 5.0, "dropout": 0.1}
    result = Result("closed-k3", params, {**values, "time/fit_seconds": 1.0}, {"shared": "false"}, {})
    settings = Settings(method=Closed(), rank=3, tune=Optuna(search={"l2": (1, 9)}, metric="ndcg_100_tail"))
    for note in (job_note(settings, [result], result, ""), cell_note(settings, result, "")):
        assert "tail nDCG@100" in note
        assert "ndcg_" not in note


def test_the_summary_shows_the_baseline_of_cells_from_the_store(job, capsys):
    settings, _, _ = job("rank=[2,5]")
    _, results, _ = job("rank=[2,5]", "skip_finished=true")
    print_summary([(settings.dataset.label, results)], settings.tracking)
    shown = capsys.readouterr().out
    (row,) = [line for line in shown.splitlines() if "popularity" in line]
    assert f"{results[0].baseline['baseline/ndcg_100']:.4f}" in row
    assert "/runs?workflowType=machine_learning&viewStateShareKey=cells-" in shown


def test_a_job_of_one_cell_has_the_baseline_on_its_run(job):
    _, (result,), runs = job("rank=3")
    assert result.metrics["baseline/ndcg_100"] == result.baseline["baseline/ndcg_100"]
    assert runs["cell"][0].data.metrics["baseline/ndcg_100"] == result.metrics["baseline/ndcg_100"]
    assert runs["job"] == []

"""Jobs that PyTorch trains: what they log, and the part of the report that tests the Proposition."""

import csv
from pathlib import Path

import numpy as np
import pytest
from filling import fill, run, settings
from mlflow import MlflowClient

from edlae_sweeps.datasets import load, load_gram
from edlae_sweeps.errors import MissingExtra
from edlae_sweeps.reporting import report
from edlae_sweeps.serving import load_model
from edlae_sweeps.tracking import Store

DEEP = ("method=deep", "rank=[2,5]", "method.epochs=4", "method.batch=100")
JOBS = [
    (*DEEP, "method.hidden=[12,8]", "method.activation=selu", "epoch_metrics=true", "save_model=true"),
    (*DEEP, "method.hidden=[30]", "method.init=svd", "method.activation=relu"),
    (*DEEP, "method.hidden=[20,3,20]", "method.row_weights=inverse_activity", "method.batch_norm=true"),
    (*DEEP, "method.hidden=[]", "method.last_linear=false"),
    ("method=denoising", "rank=5", "method.epochs=4", "method.batch=100", "epoch_metrics=true"),
    ("method=svd", "rank=[2,5]", "method.row_weights=inverse_activity"),
    ("method=closed", "rank=[2,5]"),
]


@pytest.mark.parametrize("method", ["deep", "denoising", "elsa"])
def test_without_torch_a_job_stops_before_it_starts(tmp_path, monkeypatch, method):
    monkeypatch.setattr("edlae_sweeps.methods.neural.torch_extra.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=f"method={method} needs PyTorch"):
        run(tmp_path, f"method={method}", "rank=5", output=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return fill(tmp_path_factory.mktemp("store"), JOBS)


@pytest.fixture
def client(store: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


def cells(client: MlflowClient, method: str) -> list:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    query = f"tags.kind = 'cell' and params.method = '{method}'"
    return client.search_runs(experiments, query, order_by=["start_time"])


def history(client: MlflowClient, run, name: str) -> list[float]:
    values = client.get_metric_history(run.info.run_id, name)
    return [metric.value for metric in sorted(values, key=lambda metric: metric.step)]


@pytest.mark.torch
def test_each_epoch_logs_squared_error_and_bound(client):
    runs = cells(client, "deep")
    assert len(runs) == 8
    for cell in runs:
        metrics = cell.data.metrics
        *ratios, best = history(client, cell, "train/ratio")
        assert len(ratios) == metrics["train/epochs"] == 4
        assert history(client, cell, "train/bound") == [metrics["train/bound"]] * 5
        assert len(history(client, cell, "train/squared_error")) == 5
        assert best == min([metrics["train/start_ratio"], *ratios]) >= 1 - 1e-12
        if cell.data.params["row_weights"] == "none":
            assert metrics["train/squared_error"] == pytest.approx(best * metrics["train/bound"])
        assert "train/objective" not in metrics
        assert cell.data.tags["ended"] == "epochs"
        assert 0 < metrics["test/ndcg_100"] < 1
    validated = history(client, runs[0], "validation/ndcg_100")
    assert len(validated) == 5
    assert validated[int(runs[0].data.metrics["train/kept_epoch"]) - 1] == pytest.approx(validated[-1])


@pytest.mark.torch
def test_bounds_equal_the_svd_with_the_same_weights(client):
    weighted = {cell.data.params["rank"]: cell.data.metrics for cell in cells(client, "svd")}
    assert all(metrics["train/ratio"] == pytest.approx(1) for metrics in weighted.values())
    bounds = {
        (cell.data.params["rank"], cell.data.params["row_weights"]): cell.data.metrics["train/bound"]
        for cell in cells(client, "deep")
    }
    for rank, metrics in weighted.items():
        assert bounds[rank, "inverse_activity"] == pytest.approx(metrics["train/bound"])
        # The weights reduce the share of users with many items, whose rows have the largest errors.
        assert metrics["train/squared_error"] > bounds[rank, "none"] > bounds[rank, "inverse_activity"]


@pytest.mark.torch
def test_saved_network_reproduces_its_squared_error(client, store, data_dir):
    data = load(settings(store).dataset, data_dir)
    for cell in cells(client, "deep")[:2]:
        model = load_model(cell.info.run_id, client.tracking_uri).model
        error = np.sum((data.train.toarray() - model.scores(data.train)) ** 2)
        assert error == pytest.approx(cell.data.metrics["train/squared_error"], rel=1e-10)


@pytest.mark.torch
def test_denoising_logs_the_objective_of_eq_7(client, store, data_dir):
    (cell,) = cells(client, "denoising")
    *objectives, best = history(client, cell, "train/objective")
    assert len(objectives) == 4
    assert best == pytest.approx(min(objectives))
    assert len(history(client, cell, "validation/ndcg_100")) == 5
    assert "diagonal/median" in cell.data.metrics
    gram = load_gram(load(settings(store).dataset, data_dir), "float64", data_dir)
    assert best < gram.trace()


@pytest.mark.torch
def test_finished_cells_are_not_trained_again(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("edlae_sweeps.methods.neural.descent.fit_output", None)
    for changes in (["skip_finished=true"], ["skip_finished=true", "device=cpu"]):
        finished = run(store, *JOBS[1], *changes, output=tmp_path)
        assert [cell.name for cell in finished] == ["deep-k2", "deep-k5"]
    assert run(store, *JOBS[1], "dry_run=true", "rank=[5,7]", output=tmp_path) == []
    out = capsys.readouterr().out
    assert "finished" in out
    assert "deep-k7" in out


@pytest.mark.torch
def test_learning_rate_is_tuned(store, tmp_path):
    tuned = run(store, *DEEP, "tune=optuna", "tune.n_trials=2", "method.hidden=[5]", output=tmp_path)
    assert [cell.metrics["tune/evaluations"] for cell in tuned] == [2, 2]
    for cell in tuned:
        assert 1e-4 <= cell.params["learning_rate"] <= 1e-2


@pytest.mark.torch
def test_report_lists_every_network_with_its_bound(client, store, tmp_path):
    made = report(Store(None, store), "synthetic", tmp_path, lambda *_: None)
    with (made.page.parent / "proposition.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    runs = cells(client, "deep")
    assert len(rows) == len({cell.data.tags["run_key"] for cell in runs}) >= 8
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)
    for row in rows:
        best = min(float(row["at the start"]), float(row["trained"]))
        assert float(row["ratio − 1"]) == best >= -1e-12
    assert {row["hidden"] for row in rows} >= {"", "12–8", "20–3–20", "30"}
    assert {row["last hidden"] for row in rows} >= {"linear", "tanh", "linear, batch norm"}
    page = made.page.read_text()
    assert "The Proposition" in page
    assert (made.page.parent / "proposition.png").read_bytes().startswith(b"\x89PNG")
    # Unregularised models are not compared as recommenders.
    with (made.page.parent / "pairs.csv").open(encoding="utf-8") as file:
        assert set(next(csv.reader(file))) == {"rank", "closed − denoising", "parameters"}

"""Jobs with what PyTorch trains: what they leave in the store, and the part of the report that is about the bound."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps import experiment
from edlae_sweeps.cli.config import conf_dir, register, typed
from edlae_sweeps.datasets import load, load_gram, read_arrays
from edlae_sweeps.errors import MissingExtra
from edlae_sweeps.methods import Activation
from edlae_sweeps.methods.network import Encoder, Layer
from edlae_sweeps.reporting import report
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import Store

SMALL = ("dataset=synthetic", "dataset.n_users=600", "dataset.n_items=60", "dataset.mean_events=15",
         "dataset.topics=5", "dataset.heldout_users=100", "dtype=float64")  # fmt: skip
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


def settings(folder: Path, *overrides: str) -> Settings:
    register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return typed(compose("config", [*SMALL, f"tracking.dir={folder}", *overrides]), Settings)


def test_without_the_extra_nothing_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.methods.extra.find_spec", lambda _: None)
    for method in ("deep", "denoising"):
        with pytest.raises(MissingExtra, match=f"method={method} needs PyTorch"):
            experiment.run_job(settings(tmp_path, f"method={method}", "rank=5"), tmp_path, {})
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("store")
    for number, overrides in enumerate(JOBS):
        output = folder / "hydra" / str(number)
        output.mkdir(parents=True)
        composed = {"overrides.yaml": "".join(f"- {override}\n" for override in (*SMALL, *overrides))}
        experiment.run_job(settings(folder, *overrides), output, composed)
    return folder


def cells(store: Path, method: str) -> list:
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    ids = [found.experiment_id for found in client.search_experiments()]
    return client.search_runs(ids, f"tags.kind = 'cell' and params.method = '{method}'", order_by=["start_time"])


def history(store: Path, run, name: str) -> list[float]:
    found = MlflowClient(f"sqlite:///{store / 'mlflow.db'}").get_metric_history(run.info.run_id, name)
    return [one.value for one in sorted(found, key=lambda one: one.step)]


@pytest.mark.torch
def test_the_squared_error_of_each_epoch_has_the_bound_beside_it(store):
    runs = cells(store, "deep")
    assert len(runs) == 8
    for run in runs:
        metrics = run.data.metrics
        *ratios, best = history(store, run, "train/ratio")
        assert len(ratios) == metrics["train/epochs"] == 4
        assert history(store, run, "train/bound") == [metrics["train/bound"]] * 5
        assert len(history(store, run, "train/squared_error")) == 5
        assert best == min([metrics["train/start_ratio"], *ratios]) >= 1 - 1e-12
        if run.data.params["row_weights"] == "none":
            assert metrics["train/squared_error"] == pytest.approx(best * metrics["train/bound"])
        assert "train/objective" not in metrics
        assert run.data.tags["ended"] == "epochs"
        assert 0 < metrics["test/ndcg_100"] < 1
    validated = history(store, runs[0], "validation/ndcg_100")
    assert len(validated) == 5
    assert validated[int(runs[0].data.metrics["train/kept_epoch"]) - 1] == pytest.approx(validated[-1])


@pytest.mark.torch
def test_bounds_are_those_of_the_svd_with_the_same_weights(store):
    weighted = {run.data.params["rank"]: run.data.metrics for run in cells(store, "svd")}
    assert all(metrics["train/ratio"] == pytest.approx(1) for metrics in weighted.values())
    found = {
        (run.data.params["rank"], run.data.params["row_weights"]): run.data.metrics["train/bound"]
        for run in cells(store, "deep")
    }
    for rank, metrics in weighted.items():
        assert found[rank, "inverse_activity"] == pytest.approx(metrics["train/bound"])
        # Weights take from the users with many items, whose rows have the most to be missed.
        assert metrics["train/squared_error"] > found[rank, "none"] > found[rank, "inverse_activity"]


@pytest.mark.torch
def test_a_network_that_is_kept_is_plain_arrays_that_score_as_it_was_measured(store, data_dir):
    chosen = settings(store)
    data = load(chosen.dataset, data_dir)
    for run in cells(store, "deep")[:2]:
        client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
        arrays = read_arrays(Path(client.download_artifacts(run.info.run_id, "model.npz")))
        layers = [Layer(arrays[f"W{number}"], arrays[f"b{number}"]) for number in (1, 2, 3)]
        encoder = Encoder(layers, Activation(str(arrays["activation"])), bool(arrays["last_linear"]))
        error = np.sum((data.train.toarray() - encoder(data.train) @ arrays["V"].T) ** 2)
        assert error == pytest.approx(run.data.metrics["train/squared_error"], rel=1e-10)


@pytest.mark.torch
def test_denoising_is_measured_by_eq_7(store, data_dir):
    (run,) = cells(store, "denoising")
    *objectives, best = history(store, run, "train/objective")
    assert len(objectives) == 4
    assert best == pytest.approx(min(objectives))
    assert len(history(store, run, "validation/ndcg_100")) == 5
    assert "diagonal/median" in run.data.metrics
    gram = load_gram(load(settings(store).dataset, data_dir), "float64", data_dir)
    assert best < gram.trace()


@pytest.mark.torch
def test_what_is_finished_is_not_trained_again(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("edlae_sweeps.methods.descent.fit_output", None)
    for changes in (["skip_finished=true"], ["skip_finished=true", "method.device=cpu"]):
        (one, two) = experiment.run_job(settings(store, *JOBS[1], *changes), tmp_path, {})
        assert (one.name, two.name) == ("deep-k2", "deep-k5")
    assert experiment.run_job(settings(store, *JOBS[1], "dry_run=true", "rank=[5,7]"), tmp_path, {}) == []
    out = capsys.readouterr().out
    assert "finished" in out
    assert "deep-k7" in out


@pytest.mark.torch
def test_a_learning_rate_is_searched_for(store, tmp_path):
    search = ("tune=optuna", "tune.n_trials=2", "method.hidden=[5]")
    found = experiment.run_job(settings(store, *DEEP, *search), tmp_path, {})
    assert [cell.metrics["tune/evaluations"] for cell in found] == [2, 2]
    for cell in found:
        assert 1e-4 <= cell.params["learning_rate"] <= 1e-2


@pytest.mark.torch
def test_the_report_has_every_network_beside_its_bound(store, tmp_path):
    made = report(Store(None, store), "synthetic", tmp_path, lambda *_: None)
    with (made.page.parent / "proposition.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    runs = cells(store, "deep")
    assert len(rows) == len({run.data.tags["run_key"] for run in runs}) >= 8
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)
    for row in rows:
        best = min(float(row["at the start"]), float(row["trained"]))
        assert float(row["ratio − 1"]) == best >= -1e-12
    assert {row["hidden"] for row in rows} >= {"", "12–8", "20–3–20", "30"}
    assert {row["last hidden"] for row in rows} >= {"linear", "tanh", "linear, batch norm"}
    page = made.page.read_text()
    assert "The Proposition" in page
    assert (made.page.parent / "proposition.png").read_bytes().startswith(b"\x89PNG")
    # What has no regularisation is no line among the recommenders.
    with (made.page.parent / "pairs.csv").open(encoding="utf-8") as file:
        assert set(next(csv.reader(file))) == {"rank", "closed − denoising"}

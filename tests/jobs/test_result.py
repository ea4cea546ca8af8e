"""A result is complete before it is written, immutable, and the same on disk and in the store."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.errors import DataError
from edlae_sweeps.jobs import Result, run_job
from edlae_sweeps.models import Model, load_model
from edlae_sweeps.process import process_tags
from edlae_sweeps.settings import Settings
from edlae_sweeps.workers import measures

SMALL = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12",
         "dataset.topics=5", "dataset.heldout_users=50")  # fmt: skip
# What a run carries beside its result.
BOOKKEEPING = {*process_tags(), "lease", "lease.keys", "heartbeat"}


@pytest.fixture
def job(tmp_path: Path, new_store) -> Callable[..., list[Result]]:
    """Run a job here, in a store in tmp_path; its output folder is tmp_path/output."""

    def call(*overrides: str) -> list[Result]:
        register()
        new_store(tmp_path)
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            settings = typed(compose("config", [*SMALL, f"tracking.dir={tmp_path}", *overrides]), Settings)
        (tmp_path / "output").mkdir()
        return run_job(settings, tmp_path / "output", {})

    return call


def cells(folder: Path) -> dict:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    # The first word is the name of the result.
    return {run.info.run_name.split()[0]: run for run in client.search_runs(experiments, "tags.kind = 'cell'")}


@pytest.mark.parametrize(
    "overrides",
    [
        ("rank=[2,full]", "tune=optuna", "tune.n_trials=2", "save_model=true", "tune.search.l2=[499,500]"),
        ("rank=3", "method=admm", "method.epochs=2", "epoch_metrics=true"),
        ("rank=3", "method=svd", "method.eig_tol=0"),
    ],
)
def test_result_json_and_the_run_have_the_same_content(job, tmp_path, overrides):
    results = job(*overrides)
    runs = cells(tmp_path)
    files = {json.loads(path.read_text())["name"]: path for path in (tmp_path / "output").rglob("result.json")}
    assert {result.name for result in results} == runs.keys() == files.keys()
    for result in results:
        run, written = runs[result.name], json.loads(files[result.name].read_text())
        tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
        assert {name: value for name, value in tags.items() if name not in BOOKKEEPING} == written["tags"]
        assert run.data.params == {name: str(value) for name, value in written["params"].items()}
        # The store also has the last value of what is known by epoch alone.
        by_epoch = {name: values[-1] for name, values in written["history"].items()}
        assert run.data.metrics == pytest.approx(by_epoch | written["metrics"])
        assert written == json.loads(result.json())


def test_a_result_is_immutable(job):
    (result,) = job("rank=3")
    for part in (result.params, result.metrics, result.tags, result.history):
        with pytest.raises(TypeError):
            part["more"] = 1
    with pytest.raises(AttributeError):
        result.name = "other"


def test_a_model_that_does_not_fit_on_the_disk_leaves_the_result(job, tmp_path, monkeypatch):
    def full(*_: object) -> Path:
        raise DataError("can't write model.npz: no space left")

    monkeypatch.setattr(Model, "save", full)
    with pytest.raises(DataError, match="no space left"):
        job("rank=3", "save_model=true")
    written = json.loads((tmp_path / "output" / "result.json").read_text())
    assert written["metrics"]["test/ndcg_100"] > 0
    assert "model" not in written["tags"]


def test_a_kept_model_recommends_by_name(job, tmp_path):
    job("rank=3", "save_model=true")
    model = load_model(tmp_path / "output")
    assert model.item_names is not None
    basket = model.item_names[:2].tolist()
    items = [item for item, _ in model.recommend(basket, k=5)]
    assert len(items) == 5
    assert not set(items) & set(basket)


def test_a_crash_between_ranks_that_are_evaluated_together_keeps_the_measured_ones(job, tmp_path, monkeypatch):
    one = measures.weight_metrics

    def failing(gram, penalty, model, *rest):
        if model.rank == 4:
            raise RuntimeError("crash")
        return one(gram, penalty, model, *rest)

    monkeypatch.setattr(measures, "weight_metrics", failing)
    with pytest.raises(RuntimeError, match="crash"):
        job("rank=[2,3,4,5]", "method=closed")
    written = [json.loads(path.read_text())["name"] for path in (tmp_path / "output").rglob("result.json")]
    assert sorted(written) == ["closed-k2", "closed-k3"]
    finished = {name for name, run in cells(tmp_path).items() if run.info.status == "FINISHED"}
    assert finished == {"closed-k2", "closed-k3"}

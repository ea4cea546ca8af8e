"""Logged models: their metrics, and all the ways to name and load them."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Metric

from edlae_sweeps.errors import DataError, TrackingError
from edlae_sweeps.models import LowRank
from edlae_sweeps.serving import Recommender, UserHistory, load_model, loading, log_model, save_mlflow_model
from edlae_sweeps.serving.log import model_name
from edlae_sweeps.tracking import DatasetRecord

METRICS = {"test/ndcg_100": 0.5, "validation/ndcg_100": 0.25}
RECORD = DatasetRecord("data", "d" * 64)


class Stored:
    """A store in `folder` with a run that logged a model, registered as m:odd, version 1, alias champion."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment("data", (folder / "artifacts" / "data").as_uri())
        model = LowRank(np.arange(8.0).reshape(4, 2), np.ones((4, 2))).described(np.array(list("abcd")), np.ones(4))
        self.recommender = Recommender(model, UserHistory(np.array(["u"]), np.array([0, 1]), np.array([0])))
        self.folder = save_mlflow_model(folder / "output" / "model", self.recommender)
        self.run_id = self.run("cell k=3, it's")
        # As a run logs them: values by epoch, then the final one.
        logged = [Metric("validation/ndcg_100", value, 1000, step) for step, value in ((1, 0.125), (2, 0.25))]
        self.client.log_batch(self.run_id, [*logged, Metric("test/ndcg_100", 0.5, 1000, 0)])
        self.model_id = self.log(self.run_id)
        self.client.create_registered_model("data-x")
        self.register()
        self.client.set_registered_model_alias("data-x", "champion", "1")

    def run(self, name: str) -> str:
        run_id = self.client.create_run(self.experiment, run_name=name, tags={"model": "kept"}).info.run_id
        self.client.set_terminated(run_id)
        time.sleep(0.002)
        return run_id

    def log(self, run_id: str, name: str = "data:cell.k3") -> str:
        return log_model(self.client, run_id, self.folder, name, {"rank": 3, "l2": 10.0}, METRICS, RECORD)

    def register(self) -> None:
        location = self.client.get_logged_model(self.model_id).artifact_location
        self.client.create_model_version("data-x", location, self.run_id, model_id=self.model_id)


@pytest.fixture
def stored(tmp_path, new_store) -> Stored:
    new_store(tmp_path)
    return Stored(tmp_path)


def test_the_models_page_has_parameters_metrics_and_data(stored):
    (model,) = stored.client.search_logged_models([stored.experiment])
    assert (model.name, model.source_run_id, model.status) == ("data-cell-k3", stored.run_id, "READY")
    assert model.params == {"rank": "3", "l2": "10.0"}
    assert {metric.key: metric.value for metric in model.metrics} == METRICS
    assert {(metric.dataset_name, metric.dataset_digest) for metric in model.metrics} == {("data", "d" * 32)}
    assert [output.model_id for output in stored.client.get_run(stored.run_id).outputs.model_outputs] == [
        model.model_id
    ]


def test_linked_metrics_are_not_logged_twice(stored):
    history = stored.client.get_metric_history(stored.run_id, "validation/ndcg_100")
    assert [(metric.value, metric.step) for metric in history] == [(0.125, 1), (0.25, 2)]
    assert len(stored.client.get_metric_history(stored.run_id, "test/ndcg_100")) == 1


def test_the_model_knows_its_ids(stored):
    place = Path(stored.client.get_logged_model(stored.model_id).artifact_location.removeprefix("file://"))
    description = yaml.safe_load((place / "MLmodel").read_text())
    assert (description["model_id"], description["run_id"]) == (stored.model_id, stored.run_id)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("debian-closed-k500", "debian-closed-k500"),
        ("a/b:c.d%e\"f'g", "a-b-c-d-e-f-g"),
        ("日本 x", "日本 x"),
        ("", "model"),
    ],
)
def test_names_that_mlflow_refuses_are_changed(name, expected):
    assert model_name(name) == expected


@pytest.mark.parametrize(
    "uri",
    [
        "models:/data-x@champion", "models:/data-x/1", "models:/data-x/latest", "models:/{model}", "{model}",
        "runs:/{run}", "runs:/{run}/data-cell-k3", "{run}", "cell k=3, it's",
    ],
)  # fmt: skip
def test_every_name_of_a_model_loads_it(stored, uri):
    loaded = load_model(uri.format(model=stored.model_id, run=stored.run_id), stored.uri)
    assert loaded.recommend(["a"], "u", k=3) == stored.recommender.recommend(["a"], "u", k=3)


def test_paths_load_without_a_store(stored, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    npz = stored.recommender.model.save(tmp_path / "a model.npz")
    for path in (stored.folder, stored.folder.parent, stored.folder / "data", str(stored.folder), npz):
        assert load_model(path).recommend(["a"], k=2) == stored.recommender.recommend(["a"], k=2)
    assert load_model(npz).users is None
    monkeypatch.chdir(stored.folder.parent)
    assert load_model("model").users is not None


def test_the_store_comes_from_the_environment_or_mlruns(stored, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stored.uri)
    assert load_model(stored.model_id).users is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "here" / "mlruns").mkdir(parents=True)
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "here" / "mlruns")
    monkeypatch.chdir(tmp_path / "here")
    assert load_model(stored.model_id).users is not None


def test_a_store_that_was_moved_still_has_its_models(stored, tmp_path):
    (tmp_path / "moved").mkdir()
    for name in ("mlflow.db", "artifacts"):
        shutil.move(tmp_path / name, tmp_path / "moved" / name)
    for uri in ("models:/data-x@champion", stored.run_id):
        loaded = load_model(uri, f"sqlite:///{tmp_path}/moved/mlflow.db")
        assert loaded.recommend(["a"], k=2) == stored.recommender.recommend(["a"], k=2)


def test_the_newest_run_of_a_name_that_kept_a_model_is_meant(stored):
    newer = stored.run("cell k=3, it's")
    stored.client.set_tag(stored.run("cell k=3, it's"), "model", "gone")
    model_id = stored.log(newer, "newer")
    assert model_id in str(loading._Finder(stored.client, "cell k=3, it's", Path()).place())


def test_a_run_of_the_first_wave_has_its_npz(stored, tmp_path):
    run_id = stored.run("old")
    npz = stored.recommender.model.save(tmp_path / "model.npz")
    stored.client.log_artifact(run_id, str(npz))
    for name in (run_id, "old", f"runs:/{run_id}"):
        assert load_model(name, stored.uri).recommend(["a"], k=2) == stored.recommender.recommend(["a"], k=2)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nothing", "model=nothing: there is no such path, run id or run name"),
        ("0" * 32, "model=0{32}: Run .*not found"),
        ("m-" + "0" * 32, "not found"),
        ("models:/nothing@champion", "Registered Model with name=nothing not found"),
        ("models:/nothing/latest", "no model is registered as nothing"),
        ("models:/data-x@gone", "alias gone not found"),
        ("models:/data-x/7", "not found"),
        ("models:/data-x", "choose models:/data-x@champion or models:/data-x/VERSION"),
        ("empty", "run empty kept no model; name a cell that ran with save_model=true"),
        ("a/folder", "there is no such file"),
        ("model.npz", "there is no such file"),
        ("both ' and \"", "there is no such path"),
    ],
)
def test_names_without_a_model_are_refused_in_one_line(stored, uri, message):
    stored.run("empty")
    with pytest.raises(DataError, match=message) as caught:
        load_model(uri, stored.uri)
    assert "\n" not in str(caught.value)


def test_no_store_is_created_by_looking(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="model=x: there is no such path, and no store at sqlite"):
        load_model("x")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_said_at_once():
    with pytest.raises(TrackingError, match="does not answer"):
        load_model("models:/x@champion", "http://127.0.0.1:9")


def test_an_upload_that_fails_leaves_a_failed_model(stored, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", full)
    with pytest.raises(TrackingError, match="No space left on device"):
        stored.log(stored.run("late"), "late")
    statuses = {model.name: str(model.status) for model in stored.client.search_logged_models([stored.experiment])}
    assert statuses == {"data-cell-k3": "READY", "late": "FAILED"}

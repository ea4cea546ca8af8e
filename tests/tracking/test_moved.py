"""A store whose folder was moved takes new artifacts in its new place, and finds the old ones there."""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.models import LowRank
from edlae_sweeps.serving import Recommender, load_model, log_model, save_mlflow_model
from edlae_sweeps.tracking import DatasetRecord, Experiment, Store

RECORD = DatasetRecord("a b-ü#", "d" * 64)
PATHS = {
    "experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location",
    "model_versions": "source",
}  # fmt: skip


def locations(folder: Path) -> dict[str, set[str]]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return {
            table: {str(row[0]) for row in connection.execute(f"SELECT {column} FROM {table}")}
            for table, column in PATHS.items()
        }


def add_run(folder: Path, text: str) -> tuple[Experiment, str]:
    """A run with one file, in a store that is opened for it."""
    experiment = Store(None, folder).experiment(RECORD.name, RECORD, [])
    (folder / "file.txt").write_text(text)
    with experiment.run("run", {"model": "kept"}, {}) as run:
        run.upload([folder / "file.txt"])
    return experiment, run.id


def text_of(uri: str, run_id: str, downloads: Path) -> str:
    downloads.mkdir()
    return Path(MlflowClient(uri).download_artifacts(run_id, "file.txt", str(downloads))).read_text()


@pytest.fixture
def stored(tmp_path, new_store) -> SimpleNamespace:
    """A store in `folder` with a run that logged a file and a model, which is registered."""
    folder = tmp_path / "old place" / "mlruns"
    new_store(folder)
    experiment, run_id = add_run(folder, "before")
    model = LowRank(np.arange(8.0).reshape(4, 2), np.ones((4, 2))).described(np.array(list("abcd")), np.ones(4))
    place = save_mlflow_model(tmp_path / "output", Recommender(model, None))
    model_id = log_model(experiment.client, run_id, place, "model", {}, {}, RECORD)
    source = experiment.client.get_logged_model(model_id).artifact_location
    experiment.client.create_registered_model("m")
    experiment.client.create_model_version("m", source, run_id, model_id=model_id)
    return SimpleNamespace(folder=folder, run_id=run_id, model_id=model_id)


def test_new_and_old_artifacts_are_in_the_new_place(stored, tmp_path, caplog, monkeypatch):
    new = tmp_path / "new" / "mlruns"
    new.parent.mkdir()
    shutil.move(stored.folder, new)
    with caplog.at_level(logging.INFO, "edlae_sweeps.tracking.moved"):
        experiment, later = add_run(new, "after")
        assert [record.getMessage() for record in caplog.records] == [
            f"the store was moved from {stored.folder}: its artifacts are now below {new}"
        ]
        Store(None, new)
        assert len(caplog.records) == 1
    assert not (tmp_path / "old place" / "mlruns").exists()
    assert text_of(experiment.uri, stored.run_id, tmp_path / "1") == "before"
    assert text_of(experiment.uri, later, tmp_path / "2") == "after"
    assert (new / "artifacts" / RECORD.name / later / "artifacts" / "file.txt").is_file()
    for uri in (stored.model_id, "models:/m/1", stored.run_id):
        assert load_model(uri, experiment.uri).recommend(["a"], k=2)
    # MLflow looks up models:/ in its default store.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", experiment.uri)
    (tmp_path / "3").mkdir()
    for uri in (f"models:/{stored.model_id}", "models:/m/1"):
        assert (Path(download_artifacts(uri, dst_path=str(tmp_path / "3"))) / "MLmodel").is_file()
    for table, uris in locations(new).items():
        own = {uri for uri in uris if "old%20place" in uri or uri.startswith(new.as_uri())}
        assert own, table
        assert all(uri.startswith(new.as_uri()) for uri in own), table


def test_of_a_copied_store_each_keeps_its_own_artifacts(stored, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(stored.folder, copy)
    before = locations(stored.folder)
    add_run(copy, "in the copy")
    assert locations(stored.folder) == before
    assert not any("old%20place" in uri for uris in locations(copy).values() for uri in uris)


def test_a_link_to_the_store_is_no_move(stored, tmp_path):
    before = locations(stored.folder)
    (tmp_path / "link").symlink_to(stored.folder)
    Store(None, tmp_path / "link")
    assert locations(stored.folder) == before


def test_an_experiment_that_a_user_put_elsewhere_stays_there(tmp_path, new_store):
    new_store(tmp_path / "mlruns")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    client.create_experiment("data", (tmp_path / "disk" / "artifacts" / "data").as_uri())
    client.create_experiment("other", (tmp_path / "disk" / "data").as_uri())
    client.create_experiment("bucket", "s3://bucket/artifacts/bucket")
    (tmp_path / "mlruns" / "artifacts" / "bucket").mkdir(parents=True)
    before = locations(tmp_path / "mlruns")
    Store(None, tmp_path / "mlruns")
    assert locations(tmp_path / "mlruns") == before


def test_a_database_elsewhere_is_not_changed(stored, tmp_path):
    moved = tmp_path / "moved"
    shutil.move(stored.folder, moved)
    before = locations(moved)
    Store(f"sqlite:///{moved}/mlflow.db", tmp_path / "mlruns")
    assert locations(moved) == before
    # Named by its URI, the database of the folder is the default one.
    Store(f"sqlite:///{moved}/mlflow.db", moved)
    assert locations(moved) != before


def test_a_folder_that_begins_with_the_same_letters_is_another(stored, tmp_path):
    other = (stored.folder / "artifacts" / f"{RECORD.name}2").as_uri()
    client = MlflowClient(f"sqlite:///{stored.folder}/mlflow.db")
    client.create_experiment("own", f"{other}/own")
    shutil.move(stored.folder, tmp_path / "moved")
    Store(None, tmp_path / "moved")
    assert f"{other}/own" in locations(tmp_path / "moved")["experiments"]


def test_a_database_with_other_tables_is_left_alone(stored, tmp_path):
    with closing(sqlite3.connect(stored.folder / "mlflow.db")) as connection:
        connection.execute("ALTER TABLE model_versions RENAME COLUMN storage_location TO place")
        connection.commit()
    shutil.move(stored.folder, tmp_path / "moved")
    before = locations(tmp_path / "moved")
    # MLflow itself may refuse such a database later.
    Store(None, tmp_path / "moved")
    assert locations(tmp_path / "moved") == before


def test_a_failure_leaves_every_path_as_it_was(stored, tmp_path):
    trigger = "CREATE TRIGGER stop BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'no space'); END"
    with closing(sqlite3.connect(stored.folder / "mlflow.db")) as connection:
        connection.execute(trigger)
        connection.commit()
    shutil.move(stored.folder, tmp_path / "moved")
    before = locations(tmp_path / "moved")
    with pytest.raises(TrackingError, match=r"mlflow\.db was moved, and its paths can't be corrected \(no space\)"):
        Store(None, tmp_path / "moved")
    assert locations(tmp_path / "moved") == before

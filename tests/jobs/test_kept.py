"""What `save_model=true` keeps: a folder in the output, a logged model in the store, and the checks before."""

import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import Prepared, TrainingData, load
from edlae_sweeps.errors import ConfigError, TrackingError
from edlae_sweeps.jobs import limits, run_job
from edlae_sweeps.resources import Resources
from edlae_sweeps.serving import load_model
from edlae_sweeps.settings import Settings

SMALL = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12",
         "dataset.topics=5", "dataset.heldout_users=50", "save_model=true")  # fmt: skip
Usage = namedtuple("Usage", "total used free")


def settings(folder: Path, *overrides: str) -> Settings:
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        return typed(compose("config", [*SMALL, f"tracking.dir={folder}", *overrides]), Settings)


@pytest.fixture
def output(tmp_path, new_store) -> Path:
    new_store(tmp_path)
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


def test_a_kept_model_is_in_the_output_and_in_the_store(output, tmp_path, data_dir):
    chosen = settings(tmp_path, "rank=[3,full]")
    results = run_job(chosen, output, {})
    data = load(chosen.dataset, data_dir)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("synthetic").experiment_id
    models = {model.name: model for model in client.search_logged_models([experiment])}
    assert models.keys() == {f"synthetic-{result.name}" for result in results}
    for result in results:
        model = models[f"synthetic-{result.name}"]
        assert result.tags["model"] == "kept"
        assert model.params["rank"] == str(result.params["rank"])
        assert {m.key: m.value for m in model.metrics} == {
            name: value for name, value in result.metrics.items() if name.startswith(("test/", "validation/"))
        }
        here = load_model(output / result.name)
        stored = load_model(model.source_run_id, client.tracking_uri)
        user = data.user_names[data.test.first_user].item()
        assert here.recommend(user=user, k=5, explain=True) == stored.recommend(user=user, k=5, explain=True)
        assert np.array_equal(here.model.item_counts, data.train.sum(axis=0))
        written = json.loads((output / result.name / "result.json").read_text())
        assert written["tags"] == dict(result.tags)


def test_a_store_that_goes_away_leaves_the_model_in_the_output(output, tmp_path, monkeypatch):
    def gone(*_: object) -> None:
        raise OSError(111, "Connection refused")

    monkeypatch.setattr(MlflowClient, "log_model_artifacts", gone)
    with pytest.raises(TrackingError, match=r"Connection refused.*the results are in"):
        run_job(settings(tmp_path, "rank=3"), output, {})
    assert load_model(output).users is not None
    assert json.loads((output / "result.json").read_text())["tags"]["model"] == "kept"


def test_the_disk_must_hold_all_that_is_written(output, tmp_path, monkeypatch, data_dir):
    """What the check asks for is what a job then writes, within the size of the files' headers."""
    chosen = settings(tmp_path, "rank=[3,full]")
    data = load(chosen.dataset, data_dir)
    training = TrainingData(data.train, item_names=data.item_names)
    asked = needed_bytes(chosen, data, training, output, monkeypatch)
    run_job(chosen, output, {})
    written = sum(file.stat().st_size for file in tmp_path.rglob("*.npy"))
    arrays = len(list(tmp_path.rglob("*.npy")))
    assert asked == pytest.approx(written - 128 * arrays, abs=8 * arrays)


def needed_bytes(
    chosen: Settings, data: Prepared, training: TrainingData, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> int:
    """The fewest free bytes with which the check passes."""
    refused, passed = 0, 10**9
    while passed - refused > 1:
        free = (refused + passed) // 2
        monkeypatch.setattr(limits.shutil, "disk_usage", lambda _, free=free: Usage(2 * free, free, free))
        try:
            limits.check_disk(chosen, chosen.ranks(), data, training, Resources.here(), folder)
            passed = free
        except ConfigError as error:
            assert "choose smaller ranks" in str(error)  # noqa: PT017
            refused = free
    monkeypatch.undo()
    return passed

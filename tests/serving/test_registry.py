"""The model registry: versions, the alias champion, and names with any characters."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from edlae_sweeps.errors import DataError
from edlae_sweeps.serving.registry import Registry, check_name, find_champion

NAMES = ["debian", "a b", "it's", 'q"x', "=1+1", "a@b", "ü✓", "<b>", "a,b", "a..b", "`t`", "x;y", "latest", "\\"]


@pytest.fixture
def uri(tmp_path: Path, new_store) -> str:
    new_store(tmp_path)
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def log(uri: str, tmp_path: Path):
    """Log an empty model in a run of its own; returns the experiment's id and the model."""
    client = MlflowClient(uri)
    experiment = client.create_experiment("x", (tmp_path / "artifacts").as_uri())

    def call(complete: bool = True):
        run = client.create_run(experiment)
        model = client.create_logged_model(experiment, "m", run.info.run_id)
        if complete:
            client.finalize_logged_model(model.model_id, "READY")
        return experiment, client.get_logged_model(model.model_id)

    return call


@pytest.mark.parametrize("name", NAMES)
def test_versions_of_any_name(uri, log, name):
    check_name(name)
    registry = Registry(uri)
    assert (registry.versions(name), registry.champion(name), registry.champions()) == ([], None, [])
    _, model = log()
    first = registry.register(name, model, {"refit": "split"}, "the first")
    registry.promote(first)
    second = registry.register(name, log()[1], {"refit": "all"}, "the second")
    assert [version.number for version in registry.versions(name)] == [2, 1]
    assert registry.champion(name) == first
    assert (first.run_id, first.tags) == (model.source_run_id, {"refit": "split"})
    registry.promote(second)
    assert registry.champion(name) == second
    assert registry.champions() == [name]
    assert find_champion(None, uri) == find_champion(name, uri) == second.uri == f"models:/{name}/2"


@pytest.mark.parametrize("name", ["a/b", "a:b", "a#b", "a?b", "a%20b", "..", " ", "both'\""])
def test_names_that_no_uri_holds_are_refused(name):
    with pytest.raises(DataError, match=r"can't name a registered model: run the job again with another dataset\.name"):
        check_name(name)


def test_a_version_links_to_its_model_and_back(uri, log):
    experiment, model = log()
    registry = Registry(uri)
    registry.register("a", model, {}, "figures")
    registry.register("b", registry.logged_model(experiment, model.source_run_id), {}, "")
    client = MlflowClient(uri)
    version = client.get_model_version("a", "1")
    assert (version.run_id, version.description) == (model.source_run_id, "figures")
    assert client.get_model_version_download_uri("a", "1") == model.artifact_location
    tag = client.get_logged_model(model.model_id).tags["mlflow.modelVersions"]
    assert tag == '[{"name": "a", "version": 1}, {"name": "b", "version": 1}]'


def test_half_logged_models_do_not_count(uri, log):
    experiment, model = log(complete=False)
    assert Registry(uri).logged_model(experiment, model.source_run_id) is None
    assert Registry(uri).logged_model(experiment, "0" * 32) is None


def test_without_a_name_there_must_be_one_champion(uri, log):
    with pytest.raises(DataError, match=r"no data set; run python -m edlae_sweeps\.register first"):
        find_champion(None, uri)
    registry = Registry(uri)
    for name in ("b", "a"):
        registry.promote(registry.register(name, log()[1], {}, ""))
    with pytest.raises(DataError, match="those of a, b; choose model=a"):
        find_champion(None, uri)


@pytest.mark.parametrize("model", ["models:/a/1", "runs:/x", "folder/model", "edlae.npz", "closed-k500", "0" * 32])
def test_other_models_are_left_as_they_are(tmp_path, uri, model):
    assert find_champion(model, uri) == model
    assert find_champion(model, f"sqlite:///{tmp_path / 'none.db'}") == model
    assert not (tmp_path / "none.db").exists()


def test_without_a_store_the_remedy_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no store at .* run python -m edlae_sweeps register=true first"):
        find_champion(None, f"sqlite:///{tmp_path / 'none.db'}")

"""What MLflow's pages get: the view of an experiment, data sets, notes and the commit."""

import json

import pytest
from mlflow import MlflowClient

from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.tracking.commit import source_commit
from edlae_sweeps.tracking.view import page, run_page, view_key


def test_an_experiment_gets_its_view_once_and_keeps_what_a_user_wrote(tmp_path, new_store):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", DatasetRecord("data", "d" * 64), [])
    client = MlflowClient(store.uri)
    client.set_experiment_tag(experiment.id, "mlflow.note.content", "mine")
    experiment.describe()
    tags = client.get_experiment(experiment.id).tags
    assert tags["mlflow.note.content"] == "mine"
    view = json.loads(tags[f"mlflow.sharedViewState.{view_key()}"])
    state = json.loads(view["state"])
    assert state["searchFilter"] == "tags.kind = 'cell'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`test/ndcg_100`", False)
    # Versions of MLflow without saved views read the same keys outside the state.
    assert state.items() <= view.items()
    # A second job does not replace the view that a user edited.
    client.set_experiment_tag(experiment.id, f"mlflow.sharedViewState.{view_key()}", "edited")
    experiment.describe()
    assert client.get_experiment(experiment.id).tags[f"mlflow.sharedViewState.{view_key()}"] == "edited"


def test_the_link_names_the_experiment_and_the_view(tmp_path, new_store):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    assert store.page("data") is None
    experiment = store.experiment("data", DatasetRecord("data", ""), [])
    assert store.page("data") == (
        f"http://127.0.0.1:5000/#/experiments/{experiment.id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={view_key()}"
    )


@pytest.mark.parametrize("uri", ["https://h:1/x/", "https://me:secret@h:1/x", "https://token@h:1/x?password=secret"])
def test_a_link_to_a_server_has_no_user_password_or_option(uri):
    assert page(uri, "7").startswith("https://h:1/x/#/experiments/7/runs?")
    assert run_page(uri, "7", "8") == "https://h:1/x/#/experiments/7/runs/8"


@pytest.mark.parametrize(
    ("source", "kind", "stored"),
    [
        ("https://host/data.zip", "http", {"url": "https://host/data.zip"}),
        ("/folder/own.csv", "local", {"uri": "/folder/own.csv"}),
        ("", "code", {"tags": {"mlflow.source.name": "data"}}),
    ],
)
def test_a_run_has_the_source_schema_and_profile_of_its_data(tmp_path, new_store, source, kind, stored):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    record = DatasetRecord("data", "d" * 64, {"num_rows": 3}, source, {"user": "string", "item": "long"})
    with store.experiment("data", record, []).run("name", {}, {}) as run:
        run.log(metrics={}, note="**words**" + "x" * 6000)
    logged = MlflowClient(store.uri).get_run(run.id)
    dataset = logged.inputs.dataset_inputs[0].dataset
    assert (dataset.source_type, json.loads(dataset.source)) == (kind, stored)
    assert json.loads(dataset.profile) == {"num_rows": 3}
    columns = json.loads(dataset.schema)["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in columns] == [("user", "string"), ("item", "long")]
    assert len(logged.data.tags["mlflow.note.content"]) == 5000


def test_the_commit_is_that_of_the_checkout_around_the_package(tmp_path):
    package = tmp_path / "src" / "package"
    package.mkdir(parents=True)
    assert source_commit(package) is None
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert source_commit(package) is None
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{'b' * 40} refs/heads/main\n")
    assert source_commit(package) == "b" * 40
    (git / "refs" / "heads" / "main").write_text("a" * 40 + "\n")
    assert source_commit(package) == "a" * 40
    (git / "HEAD").write_text("c" * 40 + "\n")
    assert source_commit(package) == "c" * 40
    # An installed package below somebody's checkout is not of that checkout.
    installed = tmp_path / ".venv" / "lib" / "site-packages" / "package"
    installed.mkdir(parents=True)
    assert source_commit(installed) is None


def test_the_commit_of_a_worktree_comes_from_the_shared_branches(tmp_path):
    main, worktree = tmp_path / "main" / ".git", tmp_path / "tree"
    private = main / "worktrees" / "tree"
    private.mkdir(parents=True)
    package = worktree / "src" / "package"
    package.mkdir(parents=True)
    (worktree / ".git").write_text(f"gitdir: {private}\n")
    (private / "HEAD").write_text("ref: refs/heads/topic\n")
    (private / "commondir").write_text("../..\n")
    (main / "refs" / "heads").mkdir(parents=True)
    (main / "refs" / "heads" / "topic").write_text("d" * 40 + "\n")
    assert source_commit(package) == "d" * 40

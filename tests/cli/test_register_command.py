"""`python -m edlae_sweeps.register`: the best cell becomes a version, and the champion if it beats the present one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, Command, Done, errors, run_command
from mlflow import MlflowClient

from edlae_sweeps.datasets import Synthetic, load
from edlae_sweeps.serving import load_model

NAME = "synthetic"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, new_store) -> Command:
    """Run a command, or with None a job on small data, in an empty folder with a new store."""
    new_store(tmp_path / "mlruns")
    monkeypatch.chdir(tmp_path)

    def call(module: str | None, *arguments: str) -> Done:
        if module is None:
            return run_command("__main__", (*SMALL, *arguments), capfd)
        return run_command(module, arguments, capfd)

    return call


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")


def versions(client: MlflowClient) -> dict[int, dict[str, str]]:
    return {int(version.version): dict(version.tags) for version in client.search_model_versions(f"name='{NAME}'")}


def champion(client: MlflowClient) -> int:
    return int(client.get_model_version_by_alias(NAME, "champion").version)


def cells(client: MlflowClient) -> list:
    (experiment,) = [each for each in client.search_experiments() if each.name == NAME]
    return client.search_runs(experiment.experiment_id, "tags.kind = 'cell'", order_by=["attributes.start_time"])


def test_the_best_cell_is_registered_once(command, client):
    command(None, "rank=2", "save_model=true")
    command(None, "rank=[4,8]", "save_model=true")
    status, lines, _ = command("register", f"datasets=[{NAME}]")
    best = max(cells(client), key=lambda run: run.data.metrics["validation/ndcg_100"])
    metrics = best.data.metrics
    accuracy = f"test nDCG@100 {metrics['test/ndcg_100']:.4f} ± {metrics['test/ndcg_100_se']:.4f}"
    assert status == 0
    assert lines[0] == (
        f"{NAME}: registered version 1: closed, rank {best.data.params['rank']}, λ 500, p 0.33, {accuracy}, "
        f"run {best.info.run_id}"
    )
    assert lines[1:] == [
        "  champion: version 1; there was none",
        f"  recommend: python -m edlae_sweeps.recommend model={NAME} 'items=[NAME,...]'",
    ]
    version = client.get_model_version(NAME, "1")
    assert accuracy in version.description
    assert best.data.tags["data_digest"] in version.description
    assert best.info.run_id in version.description
    assert (champion(client), version.run_id) == (1, best.info.run_id)
    status, lines, _ = command("register")
    assert status == 0
    assert lines[0].startswith(f"{NAME}: nothing to do: closed, rank ")
    assert list(versions(client)) == [1]


def test_a_better_cell_replaces_the_champion_and_a_worse_one_does_not(command, client):
    command(None, "rank=1", "register=true")
    status, lines, _ = command(None, "rank=20", "register=true")
    assert status == 0
    assert lines[1].startswith("  champion: version 2; against version 1: +")
    assert "on the same 50 test users, +" in lines[1]
    assert champion(client) == 2
    first, second = ({r.data.params["rank"]: r for r in cells(client)}[rank] for rank in ("1", "20"))
    difference = second.data.metrics["test/ndcg_100"] - first.data.metrics["test/ndcg_100"]
    assert f"{difference:+.4f} ± " in client.get_model_version(NAME, "2").description
    status, lines, _ = command(None, "rank=2", "register=true")
    assert status == 0
    assert lines[1].startswith("  champion: version 2 stays; against version 2: -")
    assert lines[1].endswith("; it takes 1.96 standard errors, or champion=true, to replace it")
    assert champion(client) == 2
    assert sorted(versions(client)) == [1, 2, 3]


def test_a_cell_without_its_model_is_fitted_again(command, client, tmp_path):
    command(None, "rank=[2,8]", "tune=optuna", "tune.n_trials=3", "method=admm", "method.epochs=2", "seed=3")
    tuned = max(cells(client), key=lambda run: run.data.metrics["validation/ndcg_100"])
    status, lines, _ = command("register")
    assert status == 0
    assert len(cells(client)) == 3
    refitted = cells(client)[-1]
    assert refitted.data.tags["model"] == "kept"
    for name, value in tuned.data.metrics.items():
        if name.startswith(("test/", "validation/")):
            assert refitted.data.metrics[name] == pytest.approx(value, abs=1e-4)
    for name in ("l2", "dropout", "rank", "seed", "epochs"):
        assert refitted.data.params[name] == tuned.data.params[name]
    assert versions(client)[1]["cell"] == tuned.info.run_id
    assert client.get_model_version(NAME, "1").run_id == refitted.info.run_id
    assert f"run {refitted.info.run_id}" in lines[0]
    assert command("register")[1][0].startswith(f"{NAME}: nothing to do: admm")
    # What was fitted again can be fitted again, on all users.
    status, lines, _ = command("register", "refit=all")
    assert status == 0
    assert list(tmp_path.rglob("mlruns/hydra/**/model/MLmodel"))


def test_refit_on_all_users_is_tagged_and_keeps_the_metrics_of_the_split(command, client, data_dir):
    command(None, "rank=4", "register=true")
    status, lines, _ = command("register", "refit=all")
    assert status == 0
    assert (
        lines[1] == "  fitted on all users; its test metrics are those of the same method fitted on the training users"
    )
    assert champion(client) == 1
    (cell,) = cells(client)
    assert (versions(client)[2]["refit"], versions(client)[2]["measured"]) == ("all", cell.info.run_id)
    version = client.get_model_version(NAME, "2")
    assert "refit=all: fitted on all users with complete histories" in version.description
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.tags["kind"], run.data.tags["refit"], run.data.tags["cell"]) == ("refit", "all", cell.info.run_id)
    assert run.data.params == cell.data.params
    assert not run.data.metrics
    recommender = load_model(f"models:/{NAME}/2", client.tracking_uri)
    data = load(Synthetic(n_users=300, n_items=40, mean_events=12, topics=5, heldout_users=50), data_dir)
    held_out = data.test.fold_in + data.test.targets
    columns = recommender.users.columns(data.user_names[data.test.first_user])
    assert np.array_equal(np.sort(columns), np.flatnonzero(held_out[[0]].toarray()))
    total = data.train.nnz + sum(part.fold_in.nnz + part.targets.nnz for part in (data.validation, data.test))
    assert len(recommender.users.indices) == total == recommender.model.item_counts.sum()
    assert command("register", "refit=all")[1] == [
        f"{NAME}: nothing to do: closed, rank 4, λ 500, p 0.33 is version 2 already (run {version.run_id})",
        "  champion: version 1; champion=true replaces it",
    ]
    command("register", "refit=all", "champion=true")
    assert champion(client) == 2


def test_other_data_are_not_compared(command, client):
    command(None, "rank=1", "register=true")
    status, lines, _ = command(None, "rank=8", "dataset.split_seed=1", "register=true")
    assert status == 0
    assert lines[1].startswith("  champion: version 1 stays; it can't be compared with version 1: its data are others")
    # The newest data count, whatever validated better elsewhere.
    status, lines, _ = command("register", "champion=true")
    assert lines[0].startswith(f"{NAME}: nothing to do: closed, rank 8")
    assert champion(client) == 2


def test_a_version_of_another_program_is_not_compared(command, client, tmp_path):
    command(None, "rank=1", "save_model=true")
    client.create_registered_model(NAME)
    client.create_model_version(NAME, str(tmp_path))
    client.set_registered_model_alias(NAME, "champion", "1")
    status, lines, _ = command("register")
    assert status == 0
    assert (
        lines[1]
        == "  champion: version 1 stays; it can't be compared with version 1: its metrics of each user are gone"
    )


def test_bounds_and_trials_are_registered_only_if_asked_for(command):
    command(None, "rank=4", "method=svd")
    status, _, log = command("register", f"datasets=[{NAME}]")
    assert status == 2
    assert errors(log) == [
        f"error: datasets: {NAME} has no finished cell that competes in a report; choose methods from svd"
    ]
    status, lines, _ = command("register", "methods=[svd]", "champion=false")
    assert status == 0
    assert lines[0].startswith(f"{NAME}: registered version 1: svd, rank 4, test nDCG@100 ")
    assert lines[1] == "  champion: none; champion=false"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["datasets=[foo]"], "datasets: the store has no runs of foo; it has none"),
        ([], "there is nothing to register: run python -m edlae_sweeps first, or set datasets"),
        (["refit=some"], "refit"),
        (["methods=3"], "methods"),
        (["dataset=[a]"], "dataset"),
    ],
)
def test_an_error_is_one_line(command, new_store, arguments, message):
    new_store(Path("mlruns"))
    status, lines, log = command("register", *arguments)
    assert (status, lines) == (2, [])
    assert len(errors(log)) == 1
    assert message in errors(log)[0]


def test_data_that_have_changed_are_not_fitted_again(command, tmp_path):
    rows = "\n".join(f"u{user},i{item}" for user in range(40) for item in range(8) if (user * item) % 5 != 1)
    (tmp_path / "mine.csv").write_text(f"user,item\n{rows}\n")
    job = ["dataset=interactions", "dataset.path=mine.csv", "dataset.heldout_users=5", "rank=2"]
    assert command("__main__", *job)[0] == 0
    (tmp_path / "mine.csv").write_text(f"user,item\n{rows}\nu1,i7\nu0,new\nu1,new\nu2,new\n")
    status, _, log = command("register", "datasets=[mine]")
    assert status == 2
    assert errors(log)[0].startswith("error: mine: the data have changed since run ")
    (tmp_path / "mine.csv").unlink()
    status, _, log = command("register", "datasets=[mine]")
    assert status == 2
    assert "mine.csv: there is no such file" in errors(log)[0]


def test_recommend_uses_the_champion(command, tmp_path):
    command(None, "rank=4", "register=true")
    status, lines, _ = command("recommend", "items=[1,2]", "k=2")
    assert (status, lines[0]) == (0, f"models:/{NAME}/1: recommendations for 1, 2")
    assert command("recommend", f"model={NAME}", "items=[1,2]", "k=2")[1] == lines
    by_alias = command("recommend", f"model=models:/{NAME}@champion", "items=[1,2]", "k=2")[1]
    assert by_alias[1:] == lines[1:]
    # A user of the data, by name.
    status, lines, log = command("recommend", "user=3", "k=2", "explain=true")
    assert (status, log) == (0, [])
    assert "+" in "".join(lines)
    shutil.rmtree(tmp_path / "mlruns" / "artifacts")
    status, lines, log = command("recommend", "items=[1,2]", "k=2")
    assert (status, lines) == (2, [])
    assert len(errors(log)) == 1

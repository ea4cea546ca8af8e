"""When a job waits for another one, and what it takes from it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.jobs import Result, run_job
from edlae_sweeps.process import process_tags
from edlae_sweeps.settings import Settings
from edlae_sweeps.tracking import lease
from edlae_sweeps.tracking.watch import SOURCE

SMALL = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12",
         "dataset.topics=5", "dataset.heldout_users=50")  # fmt: skip


@pytest.fixture
def job(tmp_path: Path, new_store) -> Callable[..., list[Result]]:
    """Run a job here, in a store in tmp_path."""
    new_store(tmp_path)
    register()

    def call(*overrides: str, multirun: bool = False) -> list[Result]:
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            settings = typed(compose("config", [*SMALL, *overrides, f"tracking.dir={tmp_path}"]), Settings)
        output = tmp_path / "output"
        output.mkdir(exist_ok=True)
        return run_job(settings, output, {}, multirun)

    return call


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def cells(client: MlflowClient) -> list:
    return list(client.search_runs(["1"], "tags.kind = 'cell'", order_by=["attributes.start_time ASC"]))


def by_another_process(client: MlflowClient, run_id: str) -> None:
    client.set_tag(run_id, "pid_ticks", "another")


@pytest.fixture
def holder(job, client, monkeypatch) -> list[str]:
    """Another living process holds the work of rank 3. It ends at the third look, after the cell that it computed."""
    job("rank=3")
    (cell,) = cells(client)
    client.set_terminated(cell.info.run_id, "KILLED")
    by_another_process(client, cell.info.run_id)
    tags = {"mlflow.source.name": SOURCE, **process_tags(), "lease": "held"}
    held = client.create_run("1", tags={**tags, "lease.keys": cell.data.tags["lease.keys"]}).info.run_id
    looks: list[str] = []

    def sleep(_: float) -> None:
        looks.append(held)
        if len(looks) == 3:
            client.set_terminated(cell.info.run_id, "FINISHED")
            client.set_terminated(held, "FINISHED")

    monkeypatch.setattr(lease.time, "sleep", sleep)
    return looks


def test_the_second_waits_and_takes_what_the_first_computed(job, client, holder):
    (result,) = job("rank=3")
    assert len(holder) == 3
    (cell,) = cells(client)
    assert result.metrics["test/ndcg_100"] == cell.data.metrics["test/ndcg_100"]


def test_it_computes_what_is_missing(job, client, holder):
    results = job("rank=[3,5]")
    assert len(holder) == 3
    assert [result.name for result in results] == ["closed-k3", "closed-k5"]
    assert sorted(run.data.params["rank"] for run in cells(client)) == ["3", "5"]


def test_other_work_does_not_wait(job, client, holder):
    job("rank=4")
    job("rank=3", "method.l2=7")
    assert not holder
    assert len(cells(client)) == 3


@pytest.mark.parametrize("override", ["skip_finished=false", "repeat=1", "dry_run=true"])
def test_timed_fits_and_dry_runs_do_not_wait(job, holder, override):
    job("rank=3", override)
    assert not holder


def test_a_single_run_computes_again_what_was_finished_before_it(job, client):
    job("rank=3")
    job("rank=3")
    assert len(cells(client)) == 2


def test_what_others_finished_since_it_started_counts(job, client):
    job("rank=3")
    by_another_process(client, cells(client)[0].info.run_id)
    job("rank=3")
    assert len(cells(client)) == 1


def test_a_job_whose_cells_are_finished_does_not_wait_for_the_rest_of_another(job, client, holder):
    """The other job is still at its other ranks."""
    (cell,) = cells(client)
    client.set_terminated(cell.info.run_id, "FINISHED")
    job("rank=3")
    assert not holder


def test_two_searches_that_differ_in_length_are_one_work(job, client, monkeypatch):
    job("rank=3", "tune=optuna", "tune.n_trials=2")
    (done,) = client.search_runs(["1"], "tags.kind = 'job'")
    tags = {"mlflow.source.name": SOURCE, **process_tags(), "lease": "held"}
    held = client.create_run("1", tags={**tags, "lease.keys": done.data.tags["lease.keys"]}).info.run_id
    looks = []
    monkeypatch.setattr(lease.time, "sleep", lambda _: looks.append(1) or client.set_terminated(held, "FINISHED"))
    job("rank=3", "tune=optuna", "tune.n_trials=3")
    assert looks == [1]
    assert len(client.search_runs(["1"], "tags.kind = 'evaluation'")) == 3


def test_a_result_that_came_between_the_plan_and_the_lease_is_not_computed_again(job, client, monkeypatch):
    job("rank=3")
    (cell,) = cells(client)
    by_another_process(client, cell.info.run_id)
    client.set_terminated(cell.info.run_id, "KILLED")
    hold = lease.hold

    def late(*arguments) -> None:
        client.set_terminated(cell.info.run_id, "FINISHED")
        hold(*arguments)

    monkeypatch.setattr("edlae_sweeps.tracking.experiment.hold", late)
    job("rank=3")
    assert [run.info.run_id for run in cells(client)] == [cell.info.run_id]

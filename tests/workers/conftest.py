"""Jobs on a small synthetic data set, in this process or spread."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.jobs import run_job
from edlae_sweeps.settings import Settings

SMALL = ("dataset=synthetic", "dataset.n_users=600", "dataset.n_items=60", "dataset.mean_events=15",
         "dataset.topics=5", "dataset.heldout_users=100", "dtype=float64", "threads=1")  # fmt: skip
# Tags that differ between two runs of the same job.
VOLATILE = {"pid", "pid_start", "pid_ticks", "mlflow.parentRunId", "mlflow.runName"}


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """The settings of a small job."""

    def call(*overrides: str) -> Settings:
        register()
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            return typed(compose("config", [*SMALL, *overrides]), Settings)

    return call


@pytest.fixture
def job(tmp_path: Path, new_store, settings) -> Callable[..., list]:
    """Run a job in the store of the given name."""

    def call(*overrides: str, store: str = "a") -> list:
        folder = tmp_path / store
        output = folder / "hydra" / str(len(list((folder / "hydra").glob("*"))))
        output.mkdir(parents=True)
        new_store(folder)
        return run_job(settings(f"tracking.dir={folder}", *overrides), output, {})

    return call


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., list]:
    """The runs of a kind in the store of the given name; all of them must have ended well."""

    def call(kind: str, store: str = "a") -> list:
        client = MlflowClient(f"sqlite:///{tmp_path / store / 'mlflow.db'}")
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, f"tags.kind = '{kind}' and attributes.status = 'FINISHED'"))

    return call


@pytest.fixture
def records(stored) -> Callable[..., list[dict]]:
    """The evaluations of a store by number, with parameters and tags, without what differs by itself."""

    def call(store: str = "a") -> list[dict]:
        found = []
        for run in stored("evaluation", store):
            tags = {key: value for key, value in run.data.tags.items() if key not in VOLATILE}
            (part,) = [tags.pop(key) for key in list(tags) if key == "record.0"]
            record = json.loads(part)
            del record["seconds"]
            found.append({**record, "tags": tags, "params": dict(run.data.params), "name": run.info.run_name})
        assert len({record["number"] for record in found}) == len(found)
        return sorted(found, key=lambda record: record["number"])

    return call


@pytest.fixture
def cells(stored) -> Callable[..., dict]:
    """Cell → its parameters and accuracy, of a store."""

    def call(store: str = "a") -> dict:
        return {
            run.data.params["rank"]: (
                dict(run.data.params),
                {key: value for key, value in run.data.metrics.items() if key.startswith(("test/", "validation/"))},
            )
            for run in stored("cell", store)
        }

    return call

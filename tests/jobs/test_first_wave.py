"""A store of the first wave: the same commands find its cells, continue its searches, and log the same names."""

from collections.abc import Callable
from pathlib import Path

import pytest
from first_wave import EXPERIMENT, load, rebuild
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.jobs import Result, run_job
from edlae_sweeps.methods import METHODS, Closed
from edlae_sweeps.process import process_tags
from edlae_sweeps.settings import Settings

FROZEN = load()
TRAINED = {"deep", "denoising"}
BEST = {"best/validation_ndcg_100", "best/test_ndcg_100", "best/test_ndcg_100_se"}
# Tags that say nothing of the result.
BOOKKEEPING = {"mlflow.user", "mlflow.source.git.commit", "mlflow.parentRunId", "mlflow.note.content"}
# Later versions say more of the process that made a run.
BOOKKEEPING |= {*process_tags(), "lease", "lease.keys", "heartbeat"}


def job_parameters() -> list:
    marks = {name: [pytest.mark.torch] for name in TRAINED}
    return [pytest.param(name, marks=marks.get(name, [])) for name in FROZEN["jobs"]]


@pytest.fixture
def job(tmp_path: Path, new_store) -> Callable[..., list[Result]]:
    """Run a job of the first wave here, in a store below tmp_path; `changes` come last."""

    def call(name: str, *changes: str) -> list[Result]:
        register()
        overrides = [*FROZEN["small"], *FROZEN["jobs"][name], f"tracking.dir={tmp_path}"]
        # The command line translates the old spelling.
        overrides = [override.replace("method.search.", "tune.search.") for override in (*overrides, *changes)]
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            settings = typed(compose("config", overrides), Settings)
        output = tmp_path / "hydra" / name.replace(" ", "_")
        output.mkdir(parents=True)
        new_store(tmp_path)
        return run_job(settings, output, {})

    return call


def stored(folder: Path, kind: str) -> list:
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    return list(client.search_runs([experiment], f"tags.kind = '{kind}'", order_by=["attributes.start_time ASC"]))


def identity(name: str, tags: dict, params: dict) -> tuple:
    """The key that matches a run with that of the first wave: names of cells and jobs have changed since."""
    if tags["kind"] == "cell":
        return tags["run_key"], tags.get("repeat")
    return (name,) if tags["kind"] == "evaluation" else (params["method"], params["rank"], params["tune"])


def test_its_cells_are_finished(tmp_path, job, monkeypatch):
    rebuild(tmp_path)
    before = len(stored(tmp_path, "cell"))
    for method in METHODS.values():
        monkeypatch.setattr(method, "_prepare", lambda *_: pytest.fail("computed again"))
    for name in FROZEN["jobs"].keys() - TRAINED:
        results = job(name, "skip_finished=true")
        assert all(result.metrics["test/ndcg_100"] > 0 for result in results)
        # The summary shows the baseline that the first wave logged on each cell.
        assert all(result.baseline["baseline/ndcg_100"] > 0 for result in results)
    assert len(stored(tmp_path, "cell")) == before


def test_its_search_continues(tmp_path, job, monkeypatch):
    rebuild(tmp_path)
    fitted = []
    original = Closed._prepare

    def counting(self, *args):
        fitted.append((str(self.l2), str(self.dropout)))
        return original(self, *args)

    monkeypatch.setattr(Closed, "_prepare", counting)
    job("search", "tune.n_trials=5")
    evaluations = [run for run in stored(tmp_path, "evaluation") if run.data.params["method"] == "closed"]
    points = [
        [run.info.run_name, run.data.params["l2"], run.data.params["dropout"], run.data.params["asked_by"]]
        for run in evaluations
    ]
    assert points == FROZEN["continued"]
    # Two points are new; the refits use the best of all.
    assert fitted[:2] == [(l2, dropout) for _, l2, dropout, _ in points[3:]]


@pytest.mark.parametrize("name", job_parameters())
def test_names_and_values_are_the_same(tmp_path, job, name):
    if name in TRAINED:
        pytest.importorskip("torch")
    before = {identity(run["name"], run["tags"], run["params"]): run for run in FROZEN["runs"]}
    results = job(name)
    runs = [run for kind in ("cell", "job", "evaluation") for run in stored(tmp_path, kind)]
    assert len(runs) >= len(results)
    for run in runs:
        frozen = before.get(identity(run.info.run_name, run.data.tags, run.data.params))
        assert frozen is not None, run.info.run_name
        metrics = {key: value for key, value, _ in frozen["metrics"]}
        new_tags = BOOKKEEPING
        if run.data.tags["kind"] == "job":
            # The first wave logged the baseline on each cell, and nothing on the job.
            cell = next(cell for cell in FROZEN["runs"] if cell["tags"].get("kind") == "cell")
            metrics = {key: value for key, value, _ in cell["metrics"] if key.startswith("baseline/")}
            assert run.data.metrics.keys() - metrics.keys() == BEST
            new_tags = BOOKKEEPING | {tag for tag in run.data.tags if tag.startswith("best.")}
        else:
            if "mlflow.parentRunId" in run.data.tags:
                metrics = {key: value for key, value in metrics.items() if not key.startswith("baseline/")}
            assert run.data.metrics.keys() == metrics.keys()
        assert run.data.params == frozen["params"]
        assert run.data.tags.keys() - new_tags == frozen["tags"].keys() - BOOKKEEPING
        for key, value in metrics.items():
            if name not in TRAINED and key.startswith(("test/", "validation/", "train/", "baseline/", "diagonal/")):
                assert run.data.metrics[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key

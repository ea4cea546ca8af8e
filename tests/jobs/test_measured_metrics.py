"""Jobs with further metrics: what they log, when a cell counts as finished, and searches by other metrics."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.summary import print_summary
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import load
from edlae_sweeps.errors import DataError
from edlae_sweeps.evaluation import METRICS, Popularity, evaluate, suite
from edlae_sweeps.jobs import run_job
from edlae_sweeps.methods import Closed
from edlae_sweeps.settings import Evaluation, Settings, Tracking, recorded_settings

SMALL = ("dataset=synthetic", "dataset.n_users=600", "dataset.n_items=60", "dataset.mean_events=15",
         "dataset.topics=5", "dataset.heldout_users=100", "dtype=float64")  # fmt: skip
BY_USER, OVERALL = ["ndcg_100_tail", "recall_5_head", "ndcg_10_unbiased"], ["coverage_5", "gini_5"]
FURTHER = f"evaluation.metrics=[{','.join(BY_USER + OVERALL)}]"


class Jobs:
    """Runs jobs in this process, in a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.outputs = folder, list[Path]()

    def settings(self, *overrides: str) -> Settings:
        register()
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            return typed(compose("config", [*SMALL, f"tracking.dir={self.folder}", *overrides]), Settings)

    def __call__(self, *overrides: str) -> list:
        self.outputs.append(self.folder / "hydra" / str(len(self.outputs)))
        self.outputs[-1].mkdir(parents=True)
        return run_job(self.settings(*overrides), self.outputs[-1], {})

    def runs(self, kind: str) -> list:
        client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
        found = client.search_experiments(filter_string="name = 'synthetic'")
        return list(client.search_runs([found[0].experiment_id], f"tags.kind = '{kind}'")) if found else []


@pytest.fixture
def job(tmp_path: Path, new_store) -> Jobs:
    new_store(tmp_path)
    return Jobs(tmp_path)


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list:
    """Counts factorisations."""
    counted, original = [], Closed._prepare
    monkeypatch.setattr(Closed, "_prepare", lambda self, *args: counted.append(self) or original(self, *args))
    return counted


def test_cells_have_what_is_asked_for_and_the_job_has_its_baseline(job, data_dir):
    results = job("rank=[2,full]", FURTHER)
    settings = job.settings("rank=[2,full]", FURTHER)
    data = load(settings.dataset, data_dir)
    counts = np.asarray(data.train.sum(axis=0)).ravel()
    stored = {run.data.params["rank"]: run for run in job.runs("cell")}
    for result in results:
        rank = result.params["rank"]
        model = settings.method.fit(data.train.astype(np.float64), rank)
        for part in ("validation", "test"):
            expected = evaluate(model, getattr(data, part), metrics=BY_USER + OVERALL, item_counts=counts)
            named = {f"{part}/{name}": value for name, value in expected.summary().items()}
            assert {name: result.metrics[name] for name in named} == pytest.approx(named, rel=1e-9)
        assert stored[str(rank)].data.metrics == pytest.approx(dict(result.metrics))
        file = download_artifacts(run_id=stored[str(rank)].info.run_id, artifact_path="per_user.npz",
                                  tracking_uri=f"sqlite:///{job.folder / 'mlflow.db'}")  # fmt: skip
        with np.load(file) as arrays:
            assert list(arrays) == ["users", *METRICS, *BY_USER]
            for name, values in expected.arrays().items():
                np.testing.assert_allclose(arrays[name], values, rtol=1e-9)
    (parent,) = job.runs("job")
    baseline = evaluate(Popularity(counts), data.test, metrics=BY_USER + OVERALL).summary()
    for name, value in baseline.items():
        assert parent.data.metrics[f"baseline/{name}"] == pytest.approx(value)


def test_a_cell_that_lacks_a_metric_is_computed_again(job, prepared, capsys):
    def planned(*overrides: str) -> list[bool]:
        capsys.readouterr()
        job("rank=[2,full]", "dry_run=true", *overrides)
        lines = [line for line in capsys.readouterr().out.splitlines() if "closed-" in line]
        return ["finished" in line for line in lines]

    plain = job("rank=[2,full]", "skip_finished=true")
    with np.load(job.outputs[-1] / "closed-k2" / "per_user.npz") as arrays:
        assert list(arrays) == ["users", *METRICS]
    assert planned("evaluation.metrics=[ndcg_100]") == [True, True]
    assert planned(FURTHER) == [False, False]
    further = job("rank=[2,full]", "skip_finished=true", FURTHER)
    assert len(prepared) == 2
    for before, after in zip(plain, further, strict=True):
        assert before.tags["run_key"] == after.tags["run_key"]
        assert before.metrics["test/ndcg_100"] == pytest.approx(after.metrics["test/ndcg_100"], rel=1e-12)
    # Who asks for less is content with a cell that has more.
    assert planned("evaluation.metrics=[gini_5]") == [True, True]
    taken = job("rank=[2,full]", "skip_finished=true", FURTHER)
    assert [result.metrics for result in taken] == [pytest.approx(dict(result.metrics)) for result in further]
    assert len(prepared) == 2
    assert planned("evaluation.metrics=[gini_6]") == [False, False]
    assert len(job.runs("cell")) == 4


def tail_of(evaluations: list, metric: str, step: int, folder: Path) -> list[tuple]:
    """(value, λ, p) of each evaluation at a rank."""
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    rows = []
    for run in evaluations:
        values = {m.step: m.value for m in client.get_metric_history(run.info.run_id, f"validation/{metric}")}
        rows.append((values[step], float(run.data.params["l2"]), float(run.data.params["dropout"])))
    return rows


@pytest.mark.parametrize(("metric", "best"), [("ndcg_100_tail", max), ("gini_20", min)])
def test_a_search_by_another_metric(job, metric, best):
    search = ("rank=[2,5]", "tune=optuna", "tune.n_trials=3", f"tune.metric={metric}")
    results = job(*search)
    evaluations = job.runs("evaluation")
    assert len(evaluations) == 3
    errors = {f"validation/{name}_se" for name in (*METRICS, metric)} - {"validation/gini_20_se"}
    measured = {f"validation/{name}" for name in (*METRICS, metric)} | errors
    (parent,) = job.runs("job")
    values = []
    for result in results:
        rows = tail_of(evaluations, metric, result.params["rank"], job.folder)
        value, l2, dropout = best(rows)
        assert len({row[0] for row in rows}) > 1
        assert (result.params["l2"], result.params["dropout"]) == (l2, dropout)
        assert result.metrics[f"validation/{metric}"] == pytest.approx(value, rel=1e-9)
        assert result.tags["tuned_by"] == metric
        assert f"test/{metric}" in result.metrics
        values.append(value)
        folder = job.outputs[-1] / result.name
        with (folder / "evaluations.csv").open(encoding="utf-8") as file:
            assert best(float(row[metric]) for row in csv.DictReader(file)) == pytest.approx(value)
        for name in ("landscape.png", "history.png"):
            assert (folder / name).read_bytes().startswith(b"\x89PNG")
    for run in evaluations:
        assert {name for name in run.data.metrics if name.startswith("validation/")} == measured
    assert parent.data.metrics[f"best/validation_{metric}"] == pytest.approx(best(values))
    words = {"ndcg_100_tail": "tuned on the validation users by tail nDCG@100", "gini_20": "by Gini@20"}[metric]
    assert all(words in run.data.tags["mlflow.note.content"] for run in job.runs("cell"))
    # The same command takes its results from the store.
    again = job(*search)
    assert [result.metrics for result in again] == [pytest.approx(dict(result.metrics)) for result in results]
    assert len(job.runs("evaluation")) == 3


def test_a_metric_without_users_ends_the_job_before_it_starts(job, monkeypatch):
    monkeypatch.setattr(suite, "head", lambda counts: np.ones(len(counts), dtype=bool))
    with pytest.raises(DataError, match="ndcg_100_tail: no user has held-out items that count"):
        job("rank=2", FURTHER)
    assert not job.runs("cell")


def test_the_summary_has_further_metrics_beside_the_others(job, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    results = job("rank=[2,full]", FURTHER)
    capsys.readouterr()
    print_summary([("synthetic", results)], Tracking(dir=str(job.folder)))
    text = capsys.readouterr().out
    for label in ("tail nDCG@100", "head Recall@5", "unbiased nDCG@10", "coverage@5", "Gini@5"):
        assert text.count(label) == 1
    for name in ("baseline/ndcg_100_tail", "baseline/gini_5"):
        assert f"{results[0].baseline[name]:.4f}" in text
    assert f"{results[1].metrics['test/ndcg_100_tail']:.4f} ± {results[1].metrics['test/ndcg_100_tail_se']:.4f}" in text


def test_a_refit_measures_what_the_cell_had(job, data_dir):
    (result,) = job("rank=2", FURTHER)
    config = {"dataset": {}, "evaluation": {"metrics": ["ndcg_10"]}, "tune": {"metric": "gini_20"}}
    config["dataset"] = json.loads(json.dumps(vars(job.settings().dataset)))
    params = {name: str(value) for name, value in result.params.items()}
    settings = recorded_settings(params, config, str(data_dir), Tracking())
    assert settings.evaluation == Evaluation(metrics=("ndcg_10", "gini_20"))
    older = recorded_settings(params, {"dataset": config["dataset"]}, str(data_dir), Tracking())
    assert older.evaluation == Evaluation()

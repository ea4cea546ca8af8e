"""Errors that the user can fix: one line on standard error that names the value, exit status 2, no run left RUNNING."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from mlflow import MlflowClient

from edlae_sweeps import resources
from edlae_sweeps.__main__ import main
from edlae_sweeps.jobs import limits

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Run:
    """Run the command line in this process, in an empty folder; returns the exit status and standard error's lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def call(*arguments: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["edlae_sweeps", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        logging.shutdown()
        return stop.value.code, capfd.readouterr().err.splitlines()

    return call


def statuses(folder: Path) -> list[str]:
    client = MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return [run.info.status for run in client.search_runs(experiments)]


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("dataset=debain", ["dataset=debain", "nearest: debian"]),
        ("method=clsoed", ["method=clsoed", "nearest: closed"]),
        ("method.l3=5", ["method.l3", "no such key", "method.l2"]),
        ("rnak=5", ["rnak", "no such key", "nearest: rank"]),
        ("metod=closed", ["metod", "nearest: method"]),
        ("+foo=1", ["foo", "no such key"]),
        ("+method.l22=1", ["method.l22", "nearest: method.l2"]),
        ("+rank=3", ["rank", "write it without +"]),
        ("~rank", ["rank", "no value"]),
        ("rank", ["rank", "write key=value"]),
        ("rank=[10", ["rank=[10", "write key=value"]),
        ("dataset=debian,debian", ["dataset=debian,debian", "--multirun"]),
        ("threads=0", ["threads=0", "choose 1 to"]),
        ("threads=100000", ["threads=100000", "choose 1 to"]),
        ("memory=0", ["memory=0", "choose a number of GiB"]),
        ("memory=0.01", ["needs about", "0.0 GiB are available", "or raise memory=0.01"]),
        ("method.eig_tol=1", ["method.eig_tol=1", "choose a relative gap"]),
        ("rank=0", ["rank=0", "choose a whole number"]),
        ("rank=-3", ["rank=-3"]),
        ("rank=[]", ["rank=[]"]),
        ("rank=true", ["rank=true"]),
        ("rank=2.5", ["rank=2.5"]),
        ("rank=nan", ["rank=nan"]),
        ("rank=many", ["rank='many'"]),
        ("rank=", ["rank=''"]),
        ("rank=null", ["rank=null"]),
        ("rank=5419", ["rank=5419", "5418 items", "rank=full"]),
        ("method.dropout=1", ["method.dropout=1", "below 1"]),
        ("method.dropout=-0.1", ["method.dropout=-0.1"]),
        ("method.dropout=nan", ["method.dropout=nan"]),
        ("method.l2=-1", ["method.l2=-1", "from 0 to"]),
        ("method=null", ["Config group override", "group=choice"]),
        ("data_dir=", ["data_dir is empty"]),
        ("method.l2=nan", ["method.l2=nan"]),
        ("method.l2=text", ["method.l2", "text", "Float"]),
        ("method.dropout=null", ["method.dropout", "not Optional"]),
        ("method=svd rank=full", ["rank=full", "method=unconstrained"]),
        ("method=zero_diag rank=[1,10]", ["rank=1", "choose 2 or more"]),
        ("method=admm method.omega=0", ["method.omega=0", "above 0"]),
        ("method=admm method.epochs=0", ["method.epochs=0"]),
        ("method=admm method.tolerance=1", ["method.tolerance=1"]),
        ("method=admm method.seed=-1", ["method.seed=-1"]),
        ("method=admm_published rank=full", ["rank=full", "admm_published has low ranks only"]),
        ("method.beta=max", ["method.beta", "max", "zero, column_max, iterate"]),
        ("method.beta_iterations=0", ["method.beta_iterations=0"]),
        ("tune=optuna tune.search.l2=[3,1]", ["tune.search.l2=[3", "low"]),
        ("tune=optuna tune.search.l2=[0,1]", ["tune.search.l2=[0", "low above 0"]),
        ("tune=optuna tune.search.dropout=[0,1]", ["method.dropout=1.0", "below 1"]),
        ("tune=optuna tune.search.dropout=3", ["tune.search.dropout=3", "[low,high]"]),
        ("tune=optuna +tune.search.omega=[1,3]", ["tune.search.omega", "no such parameter"]),
        ("tune=optuna tune.search.l2=null tune.search.dropout=null", ["nothing to search", "tune=off"]),
        ("tune=optuna method=svd rank=3", ["method=svd has nothing to search"]),
        ("tune=optuna tune.n_trials=0", ["tune.n_trials=0"]),
        ("tune=optuna tune.sampler=cma", ["tune.sampler", "cma", "tpe, random, grid"]),
        ("tune=optuna tune.timeout=0", ["tune.timeout=0"]),
        ("tune=optuna tune.metric=ndcg", ["tune.metric=ndcg", "ndcg_R or recall_R"]),
        ("evaluation.metrics=[ndcg_100_tail,map_10]", ["evaluation.metrics=map_10", "ndcg_R or recall_R"]),
        ("evaluation.metrics=ndcg_10", ["evaluation.metrics", "list"]),
        ("tune.n_trials=3", ["tune.n_trials: optuna has n_trials, off has not; choose tune=optuna"]),
        ("method.epochs=3", ["method.epochs: admm, admm_published, deep", "have epochs, closed has not"]),
        ("+method.epochs=3", ["method.epochs: admm, admm_published, deep", "have epochs, closed has not"]),
        ("method=admm method.eig_tol=0", ["method.eig_tol: closed, dan, deql, relaxed, svd", "have eig_tol"]),
        ("dataset.n_items=3", ["dataset.n_items", "synthetic have n_items, debian has not"]),
        ("tracking=x", ["tracking", "not a container"]),
        ("datasets=x", ["datasets: no such key (nearest: dataset"]),
        ("method=deep method.hidden=[a]", ["method.hidden[0]", "see --help method.hidden"]),
        ("tracking.url=x", ["tracking.url", "nearest: tracking.uri"]),
        ("dataset=_protocol", ["dataset: this choice has no schema"]),
        ("device=cuda method=admm_published", ["device=cuda", "admm_published runs on the CPU"]),
        ("device=tpu", ["device", "tpu", "cpu, cuda, auto"]),
        ("tune=optina", ["tune=optina", "nearest: optuna"]),
        ("save_model=maybe", ["save_model", "maybe"]),
        ("method=relaxed method.xi=2", ["method.xi=2", "from 0 (EDLAE) to 1"]),
        ("dtype=float16", ["dtype", "float16", "float32, float64"]),
        ("seed=x", ["seed", "'x'", "Integer"]),
        ("dataset.heldout_users=20000", ["dataset.heldout_users=20000", "20037 users"]),
        ("dataset.min_item_events=100000", ["dataset.min_item_events=100000", "lower them"]),
        ("tracking.uri=http://127.0.0.1:9", ["http://127.0.0.1:9", "does not answer", "start it"]),
        ("tracking.uri=some/folder", ["tracking.uri=some/folder", "sqlite:///"]),
        ("tracking.dir=", ["tracking.dir is empty"]),
    ],
)
@pytest.mark.usefixtures("debian")
def test_one_line_that_names_the_value_and_the_remedy(run: Run, argument, parts):
    status, lines = run(*argument.split())
    assert status == 2
    errors = [line for line in lines if not line.startswith("data: ")]
    assert len(errors) == 1, lines
    assert errors[0].startswith("error: ")
    for part in parts:
        assert part in errors[0]


def test_singular_matrix_ends_as_a_failed_run(run: Run, tmp_path: Path):
    status, lines = run("method.l2=0", "method.dropout=0", "rank=10")
    assert status == 2
    assert "raise method.l2 or method.dropout" in lines[-1]
    assert not any("Traceback" in line for line in lines)
    assert statuses(tmp_path) == ["FAILED"]


def test_too_little_memory_is_refused_before_anything_is_computed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # What this process takes may change meanwhile.
    monkeypatch.setattr(resources, "available_memory", lambda: 1200 * 1024**2 - psutil.Process().memory_info().rss)
    status, lines = run("rank=500", "dtype=float64")
    assert status == 2
    assert "in float64 needs about 1.3 GiB, and 1.2 GiB are available" in lines[-1]
    assert "dtype=float32" in lines[-1]
    assert statuses(tmp_path) == []


def test_too_little_disk_for_a_model_is_refused_before_anything_is_computed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda _: SimpleNamespace(free=200 * 1024**2))
    status, lines = run("rank=full", "save_model=true")
    assert status == 2
    assert "save_model=true needs about 0.2 GiB for rank=full on 5418 items" in lines[-1]
    assert "0.2 GiB are free" in lines[-1]
    assert statuses(tmp_path) == []


@pytest.mark.parametrize("argument", ["tracking.dir=file", "data_dir=file/x", "hydra.run.dir=file/x"])
def test_folders_that_cannot_be_made_are_named(run: Run, tmp_path: Path, argument):
    (tmp_path / "file").touch()
    status, lines = run(argument, "rank=10")
    assert status == 2
    assert "file" in lines[-1]
    assert lines[-1].startswith("error: ")
    assert not any("Traceback" in line for line in lines)


def test_a_multirun_continues_after_a_failed_job(run: Run, tmp_path: Path):
    status, lines = run("-m", "rank=0,10,99999")
    assert status == 2
    assert [line for line in lines if line.startswith("error: job")] == [
        line for line in lines if "rank=0: choose" in line or "rank=99999: the data" in line
    ]
    assert lines[-1] == "error: of 3 jobs, 2 failed: 0 (rank=0), 2 (rank=99999)"
    assert statuses(tmp_path) == ["FINISHED"]


def test_a_multirun_stops_at_a_failed_job_with_on_error_stop(run: Run, tmp_path: Path):
    status, lines = run("-m", "rank=0,10", "on_error=stop")
    assert status == 2
    assert lines[-2] == "job 1 (rank=10): on_error=stop, and job 0 (rank=0) failed"
    assert lines[-1] == (
        "error: of 2 jobs, 1 failed: 0 (rank=0); 1 not started: 1 (rank=10); the same command computes what is missing"
    )
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


@pytest.mark.usefixtures("debian")
def test_the_old_spelling_of_search_ranges_works_with_a_note(run: Run):
    status, lines = run("tune=optuna", "method.search.l2=[3,1]", "~method.search.dropout")
    assert status == 2
    assert lines[:2] == [
        "note: method.search.l2=[3,1] is now tune.search.l2=[3,1]",
        "note: ~method.search.dropout is now ~tune.search.dropout",
    ]
    assert lines[-1].startswith("error: tune.search.l2=[3")


def test_search_ranges_in_the_yaml_of_a_method_are_refused_with_their_new_place(run: Run, tmp_path: Path):
    (tmp_path / "own" / "method").mkdir(parents=True)
    text = "defaults: [/schema/method@_here_: closed]\nl2: 1\ndropout: 0\nsearch: {l2: [1, 10]}\n"
    (tmp_path / "own" / "method" / "mine.yaml").write_text(text)
    status, lines = run("--config-dir=own", "method=mine")
    assert status == 2
    assert lines == ["error: method.search: this key has moved; write tune.search"]


def test_a_choice_without_a_schema_is_refused(run: Run, tmp_path: Path):
    (tmp_path / "own" / "method").mkdir(parents=True)
    (tmp_path / "own" / "method" / "mine.yaml").write_text("l2: 1\n")
    status, lines = run("--config-dir=own", "method=mine")
    assert status == 2
    assert lines == ["error: method: this choice has no schema; begin its defaults with /schema/method@_here_: NAME"]

"""What a job logs of an iterative method, of one that diverges, and of a model that is kept."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.artifacts import download_artifacts

from edlae_sweeps import serving
from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.models import LowRank, load_model

from .conftest import all_runs, client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, debian) -> Path:  # noqa: ARG001 - prepared once
    folder = tmp_path_factory.mktemp("methods")
    for arguments, warned in (
        (["method=admm", "rank=100", "method.omega=100", "epoch_metrics=true"], True),
        (["method=zero_diag", "rank=[10,full]", "method.l2=10", "method.epochs=3", "save_model=true"], False),
        (["method.beta=iterate", "rank=10", "method.beta_iterations=1"], False),
    ):
        command = [sys.executable, "-m", "edlae_sweeps", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("diverged in epoch" in done.stderr) == warned
    return folder


def cells(folder: Path) -> dict:
    runs = all_runs(folder)
    assert {run.info.status for run in runs} == {"FINISHED"}
    return {run.info.run_name.split()[0]: run for run in runs if run.data.tags["kind"] == "cell"}


def arrays(run, name: str, folder: Path) -> dict[str, np.ndarray]:
    uri = str(client(folder).tracking_uri)
    return read_arrays(Path(download_artifacts(run_id=run.info.run_id, artifact_path=name, tracking_uri=uri)))


def test_a_run_that_diverges_finishes_with_its_best_iterate(folder):
    run = cells(folder)["admm-k100"]
    metrics = run.data.metrics
    assert run.data.tags["ended"] == "diverged"
    assert metrics["train/diverged"] == 1
    assert metrics["train/kept_epoch"] < metrics["train/epochs"] <= 10
    assert all(np.isfinite(value) for value in metrics.values())
    assert (run.data.params["omega"], run.data.params["epochs"]) == ("100.0", "10")
    history = {
        name: [metric.value for metric in client(folder).get_metric_history(run.info.run_id, name)]
        for name in ("train/objective", "train/squared_error", "time/elapsed_seconds")
    }
    *objectives, final = history["train/objective"]
    assert len(objectives) == metrics["train/epochs"]
    assert final == metrics["train/objective"] == pytest.approx(min(objectives), rel=1e-5)
    assert objectives.index(min(objectives)) + 1 == metrics["train/kept_epoch"]
    validated = [metric.value for metric in client(folder).get_metric_history(run.info.run_id, "validation/ndcg_100")]
    assert len(validated) == len(objectives) + 1
    assert validated[int(metrics["train/kept_epoch"]) - 1] == pytest.approx(validated[-1], abs=1e-9)
    assert len(history["train/squared_error"]) == len(objectives) + 1
    assert history["time/elapsed_seconds"] == sorted(history["time/elapsed_seconds"])


def test_the_side_results_of_the_paper_are_logged(folder):
    by_name = cells(folder)
    for name in ("admm-k100", "zero_diag-k10", "closed-k10"):
        metrics = by_name[name].data.metrics
        assert metrics["eq11/right"] == pytest.approx(metrics["eq11/left"], rel=1e-5)
        assert metrics["eq11/left"] == pytest.approx(metrics["train/objective"], rel=1e-6)
        assert 0 < metrics["residual/off_diagonal"] < 1
        diagonal = arrays(by_name[name], "diagonal.npz", folder)["diagonal"]
        assert np.median(diagonal) == pytest.approx(metrics["diagonal/median"], abs=1e-6)
        assert np.mean(diagonal**2) == pytest.approx(metrics["residual/diagonal"], rel=1e-5)
    assert np.abs(arrays(by_name["zero_diag-k10"], "diagonal.npz", folder)["diagonal"]).max() < 1e-5


def test_a_full_rank_of_another_method_is_tagged(folder):
    by_name = cells(folder)
    assert by_name["zero_diag-full"].data.tags["limit"] == "closed"
    assert "limit" not in by_name["zero_diag-k10"].data.tags


def test_a_kept_model_scores_as_it_was_measured(folder, debian):
    by_name = cells(folder)
    output = next((folder / "mlruns" / "hydra").rglob("zero_diag-k10/result.json")).parent
    run = by_name["zero_diag-k10"]
    for kept in (load_model(output), serving.load_model(run.info.run_id, client(folder).tracking_uri).model):
        assert isinstance(kept, LowRank)
        assert np.array_equal(kept.item_names, debian.item_names)
        assert kept.item_counts.tolist() == debian.train.sum(axis=0).tolist()
        scores = kept.scores(debian.train)
        expected = run.data.metrics["train/squared_error"]
        assert np.sum((debian.train.toarray() - scores) ** 2) == pytest.approx(expected, rel=1e-4)
        assert "cmake" not in [item for item, _ in kept.recommend(["cmake"], k=3)]
    full = load_model(output.parent / "zero_diag-full")
    assert full.arrays()["B"].shape == (debian.n_items, debian.n_items)
    result = json.loads((output / "result.json").read_text())
    assert len(result["history"]["train/objective"]) == 3
    assert (result["tags"]["ended"], result["tags"]["model"]) == ("epochs", "kept")
    # The model is an artifact of its own; the run has the rest.
    assert [len(run.outputs.model_outputs) for run in (by_name["zero_diag-full"], by_name["admm-k100"])] == [1, 0]
    assert not any("model" in file.path for file in client(folder).list_artifacts(run.info.run_id))

"""The main job, a list of ranks and a multirun; then what MLflow's own server returns for them."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from mlflow.artifacts import download_artifacts

from edlae_sweeps.datasets import Debian, load, read_arrays
from edlae_sweeps.process import process_tags

from .conftest import all_runs, client, mlflow_server

PARAMS = {"dataset", "method", "rank", "l2", "dropout", "dtype", "seed"}
NAMES = [f"{name}{error}" for name in ("ndcg_100", "recall_20", "recall_50") for error in ("", "_se")]
METRICS = {
    *(f"{part}/{name}" for part in ("test", "validation") for name in NAMES),
    "train/squared_error", "train/objective", "time/gram_seconds", "time/factorise_seconds",
    "time/rank_seconds", "time/fit_seconds", "time/evaluate_seconds", "memory/peak_gib",
}  # fmt: skip
TAGS = {"kind", "run_key", "shared", "version.edlae_sweeps", "version.numpy", "version.mlflow", "cpu", "blas_threads"}
ARTIFACTS = {"result.json", "per_user.npz", "config.yaml", "environment.json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the main job, a list of ranks and a multirun have run."""
    folder = tmp_path_factory.mktemp("empty folder")
    for arguments in (
        ["method=closed", "rank=500"],
        ["rank=[10,100,full]"],
        ["-m", "rank=10,100", "method.l2=10,50", "skip_finished=false"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "edlae_sweeps", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "popularity" in done.stdout
        assert "browse: mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db\n" in done.stdout
        assert "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewState" in done.stdout
    return folder


def test_every_run_is_finished_and_complete(folder):
    runs = all_runs(folder)
    assert [run.info.status for run in runs] == ["FINISHED"] * 9
    assert {run.data.tags["kind"] for run in runs} == {"cell", "job"}
    for run in runs:
        assert run.data.params.keys() >= PARAMS
        if run.data.tags["kind"] == "cell":
            assert run.data.metrics.keys() >= METRICS
            # The baseline is logged once a job.
            assert ("baseline/ndcg_100" in run.data.metrics) == ("mlflow.parentRunId" not in run.data.tags)
            assert run.data.tags.keys() >= TAGS
            assert {file.path for file in client(folder).list_artifacts(run.info.run_id)} >= ARTIFACTS
            assert run.inputs.dataset_inputs[0].dataset.name == "debian"
    assert [path.name for path in folder.iterdir()] == ["mlruns"]


def test_a_multirun_skips_finished_cells(folder, start):
    before = len(all_runs(folder))
    job = start("-m", "rank=10,100", "method.l2=10,50", folder=folder)
    out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    assert err.count("is finished already") == 4
    assert "closed" in out
    assert len(all_runs(folder)) == before


def test_names_parents_and_sharing(folder):
    runs = all_runs(folder)
    main, job, *rest = runs
    assert (main.info.run_name, main.data.tags["shared"]) == ("closed-k500 λ=10 p=0.1", "false")
    assert (job.info.run_name, job.data.params["rank"]) == ("closed-3-ranks λ=10 p=0.1", "[10,100,full]")
    children = [run for run in rest if run.data.tags.get("mlflow.parentRunId") == job.info.run_id]
    assert [run.info.run_name for run in children] == [f"closed-{rank} λ=10 p=0.1" for rank in ("k10", "k100", "full")]
    assert {run.data.tags["shared"] for run in children} == {"true"}
    alone = [run for run in rest if "mlflow.parentRunId" not in run.data.tags]
    assert sorted((run.data.params["rank"], run.data.params["l2"]) for run in alone) == [
        ("10", "10.0"), ("10", "50.0"), ("100", "10.0"), ("100", "50.0"),
    ]  # fmt: skip


def test_metrics_are_the_golden_ones_alone_and_in_a_list(folder, golden):
    expected = {row["rank"]: row for row in golden["results"] if row["method"] == "closed"}
    by_key: dict[str, list[float]] = {}
    for run in all_runs(folder):
        if run.data.tags["kind"] == "cell":
            by_key.setdefault(run.data.tags["run_key"], []).append(run.data.metrics["test/ndcg_100"])
            if run.data.params["rank"] != "full" and run.data.params["l2"] == "10.0":
                row = expected[int(run.data.params["rank"])]
                assert run.data.metrics["test/ndcg_100"] == pytest.approx(row["ndcg_100"], abs=2e-4)
                assert run.data.metrics["train/objective"] == pytest.approx(row["objective_eq7"], rel=1e-4)
    # Ranks 10 and 100 at λ = 10 were computed alone and in a list.
    assert sorted(map(len, by_key.values())) == [1, 1, 1, 1, 2, 2]
    assert all(max(values) - min(values) < 1e-4 for values in by_key.values())


def test_the_result_file_has_the_same_content_as_the_run(folder, data_dir):
    main = all_runs(folder)[0]
    (path,) = [
        path
        for path in (folder / "mlruns" / "hydra").rglob("result.json")
        if json.loads(path.read_text())["params"]["rank"] == 500
    ]
    result = json.loads(path.read_text())
    assert (result["name"], main.info.run_name) == ("closed-k500", "closed-k500 λ=10 p=0.1")
    assert main.data.metrics == pytest.approx(result["metrics"])
    assert main.data.params == {name: str(value) for name, value in result["params"].items()}
    process = {*process_tags(), "lease", "lease.keys", "heartbeat"}
    tags = {name: value for name, value in main.data.tags.items() if not name.startswith("mlflow.")}
    assert {name: value for name, value in tags.items() if name not in process} == result["tags"]
    artifact = download_artifacts(
        run_id=main.info.run_id, artifact_path="per_user.npz", tracking_uri=str(client(folder).tracking_uri)
    )
    per_user = read_arrays(Path(artifact))
    assert per_user["ndcg_100"].mean() == pytest.approx(main.data.metrics["test/ndcg_100"])
    data = load(Debian(), data_dir)
    assert np.array_equal(per_user["users"] - data.test.first_user, np.flatnonzero(np.diff(data.test.targets.indptr)))


def request(url: str, payload: dict | None = None) -> dict:
    body = None if payload is None else json.dumps(payload).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=30
    ) as answer:
        text = answer.read()
    return json.loads(text) if text.startswith(b"{") else {}


@pytest.fixture(scope="module")
def server(folder):
    with mlflow_server(folder) as (_, uri):
        yield uri


def test_the_server_returns_the_cells(server):
    api = f"{server}/api/2.0/mlflow"
    experiment = request(f"{api}/experiments/get-by-name?experiment_name=debian")["experiment"]["experiment_id"]
    query = {"experiment_ids": [experiment], "filter": "tags.kind = 'cell' and params.rank = '500'"}
    (run,) = request(f"{api}/runs/search", query)["runs"]
    assert run["info"]["run_name"] == "closed-k500 λ=10 p=0.1"
    assert {"key": "rank", "value": "500"} in run["data"]["params"]
    cells = request(f"{api}/runs/search", {"experiment_ids": [experiment], "filter": "tags.kind = 'cell'"})["runs"]
    assert len(cells) == 8


def test_a_job_can_track_to_the_server(server, start, tmp_path):
    job = start("rank=[10,20]", MLFLOW_TRACKING_URI=server)
    out, err = job.communicate(timeout=300)
    assert job.returncode == 0, err
    assert f"browse: {server}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=cells-" in out
    api = f"{server}/api/2.0/mlflow"
    experiment = request(f"{api}/experiments/get-by-name?experiment_name=debian")["experiment"]["experiment_id"]
    query = {"experiment_ids": [experiment], "filter": "params.rank = '20'"}
    (run,) = request(f"{api}/runs/search", query)["runs"]
    assert run["info"]["status"] == "FINISHED"
    files = request(f"{api}/artifacts/list?run_id={run['info']['run_id']}")["files"]
    assert {file["path"] for file in files} >= ARTIFACTS
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_no_file_of_a_multirun_holds_the_password_of_its_server(server, folder, start, tmp_path):
    uri = server.replace("http://", "http://me:hunt%40er2%2Fpw@")
    size = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.heldout_users=50")
    # The second job fails: the data have fewer items.
    job = start("-m", *size, "rank=2,4000", "save_model=true", MLFLOW_TRACKING_URI=uri)
    out, err = job.communicate(timeout=300)
    assert job.returncode == 2, err
    assert f"browse: {server}/#/experiments/" in out
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()
    files = [path for top in (tmp_path, folder) for path in top.rglob("*") if path.is_file()]
    assert {"multirun.yaml", "hydra.yaml", "jobs.json", "result.json", "MLmodel", "mlflow.db"} <= {
        path.name for path in files
    }
    for content in (out.encode(), err.encode(), *(path.read_bytes() for path in files)):
        for secret in (b"hunt%40er2", b"hunt@er2", b"er2%2Fpw", b"er2/pw"):
            assert secret not in content

"""`python -m edlae_sweeps.merge`: after it, commands find the results of another store as if they were their own."""

import shutil
from pathlib import Path

import pytest
from commands import SMALL, Command, Done, errors, run_command
from mlflow import MlflowClient

from edlae_sweeps.serving import load_model

SEARCH = ("rank=[2,4]", "tune=optuna")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, new_store) -> Command:
    """Run a command, or with None a job on small data, in a folder with a new store: call(folder, module, ...)."""

    def call(folder: str, module: str | None, *arguments: str) -> Done:
        new_store(tmp_path / folder / "mlruns")
        monkeypatch.chdir(tmp_path / folder)
        if module is None:
            return run_command("__main__", (*SMALL, *arguments), capfd)
        return run_command(module, arguments, capfd)

    return call


def runs(folder: Path, kind: str) -> list:
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, f"tags.kind = '{kind}'", order_by=["attributes.start_time"]))


def table(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines if line.startswith(" synthetic ")]


def test_the_commands_go_on_from_merged_results(command, tmp_path):
    status, *_ = command("cluster", None, *SEARCH, "tune.n_trials=3", "save_model=true")
    assert status == 0
    command("laptop", None, "rank=3", "method=unconstrained")
    # As rsync brings it: without the folder that its paths name.
    (tmp_path / "laptop" / "cluster").mkdir()
    shutil.move(tmp_path / "cluster" / "mlruns", tmp_path / "laptop" / "cluster" / "mlruns")
    status, out, err = command("laptop", "merge", "source=cluster")
    assert status == 0
    assert out[0] == "merged from cluster"
    assert table(out) == [
        ["synthetic", "job", "1", "0"], ["synthetic", "cell", "2", "0"], ["synthetic", "evaluation", "3", "0"],
    ]  # fmt: skip
    assert not errors(err)
    assert sorted(path.name for path in (tmp_path / "laptop").iterdir()) == ["cluster", "mlruns"]
    # Finished cells are found, and not computed again.
    status, out, err = command("laptop", None, *SEARCH, "tune.n_trials=3")
    assert status == 0
    assert sum("is finished already" in line for line in err) == 2
    assert len(runs(tmp_path / "laptop", "cell")) == 3
    # A larger search goes on from the merged evaluations.
    status, out, err = command("laptop", None, *SEARCH, "tune.n_trials=4")
    assert "the store has 3 of 4 evaluations already" in err
    assert [run.data.tags["record.0"][:12] for run in runs(tmp_path / "laptop", "evaluation")] == [
        f'{{"number": {number}' for number in range(4)
    ]
    # The report shows both.
    status, out, err = command("laptop", "report")
    assert status == 0
    rows = (tmp_path / "laptop" / "mlruns" / "reports" / "synthetic" / "numbers.csv").read_text().splitlines()
    assert {tuple(row.split(",")[:2]) for row in rows[1:]} == {("closed", "2"), ("closed", "4"), ("unconstrained", "3")}
    kept = next(run for run in runs(tmp_path / "laptop", "cell") if run.data.tags.get("model") == "kept")
    assert load_model(kept.info.run_id, f"sqlite:///{tmp_path}/laptop/mlruns/mlflow.db").users is not None
    status, out, _ = command("laptop", "merge", "source=cluster/mlruns", "datasets=[synthetic]")
    assert [row[2:] for row in table(out)] == [["0", "1"], ["0", "2"], ["0", "3"]]


def test_a_moved_store_takes_new_artifacts_in_its_new_place(command, tmp_path):
    command("old", None, "rank=2", "register=true")
    (tmp_path / "new").mkdir()
    shutil.move(tmp_path / "old" / "mlruns", tmp_path / "new" / "mlruns")
    status, _, err = command("new", None, "rank=3")
    assert status == 0
    assert any(line.startswith("the store was moved from ") for line in err)
    assert not list((tmp_path / "old").iterdir())
    client = MlflowClient(f"sqlite:///{tmp_path}/new/mlruns/mlflow.db")
    for run in runs(tmp_path / "new", "cell"):
        (tmp_path / run.info.run_id).mkdir()
        place = Path(client.download_artifacts(run.info.run_id, "result.json", str(tmp_path / run.info.run_id)))
        assert place.is_file()
        assert run.info.artifact_uri.startswith((tmp_path / "new").as_uri())
    status, out, err = command("new", "recommend", "items=[0]")
    assert status == 0, err
    status, out, err = command("new", "report")
    assert (status, out) == (0, ["synthetic: mlruns/reports/synthetic/index.html"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "source: name the store to copy from, such as source=cluster/mlruns"),
        (("source=",), "source: name the store to copy from"),
        (("source=gone",), "source=gone: there is no mlflow.db in this folder"),
        (("source=mlruns",), "source=mlruns: this is the store to merge into"),
        (("source=s3://bucket/x",), "source=s3://bucket/x: MLflow keeps runs on a server or in a database"),
        (("source=sqlite://",), "source=sqlite://: a database in memory ends with the command"),
        (("source=http://127.0.0.1:9",), "tracking server http://127.0.0.1:9 does not answer"),
        (("source=http://me:pw@127.0.0.1:9",), "source: a password is not taken from here"),
        (("source=postgresql+psycopg2://127.0.0.1:1/x",), "tracking store postgresql+psycopg2://127.0.0.1:1/x"),
        (("source=gone", "dataset=debian"), "dataset: no such key"),
    ],
)  # fmt: skip
def test_errors_are_one_line(command, arguments, message, tmp_path):
    status, out, err = command("here", "merge", *arguments)
    assert status == 2
    assert out == []
    assert len(err) == 1
    assert err[0].startswith(f"error: {message}")
    assert "pw" not in err[0]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["mlruns"]


def test_an_empty_source_is_said(command):
    command("other", "merge", "source=gone")
    status, _, err = command("here", "merge", "source=../other")
    assert (status, err[-1]) == (
        2,
        "error: there is nothing to merge: source=../other has no finished cells or evaluations of edlae_sweeps",
    )

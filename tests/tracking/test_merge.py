"""A merge copies each finished run of another store once, and whole."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import first_wave
import numpy as np
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

from edlae_sweeps.errors import DataError, TrackingError
from edlae_sweeps.models import LowRank
from edlae_sweeps.process import process_tags
from edlae_sweeps.serving import Recommender, load_model, log_model, save_mlflow_model
from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.tracking.merge import Merged, merge
from edlae_sweeps.tracking.source import Source

NAME = "a b-ü#"
INPUT = DatasetInput(Dataset(NAME, "d" * 32, "code", "{}"), [InputTag("mlflow.data.context", "training")])
PARENT = "mlflow.parentRunId"
PARAMS = {"dataset": NAME, "method": "closed", "rank": "10", "dtype": "float32"}
ACCURACY = ("test/ndcg_100", "test/ndcg_100_se", "test/recall_20", "test/recall_50")
PROCESS = {"host": "elsewhere", "machine": "boot:1", "pid": "1", "pid_start": "1.00", "pid_ticks": "7"}


class Place:
    """A store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(None, folder)
        self.client = MlflowClient(self.store.uri)

    def add(self, kind: str, status: str = "FINISHED", tags: dict | None = None, files: bool = True, **times) -> str:
        """A run with all that a run may have; return its id."""
        experiment = self.store.experiment(NAME, DatasetRecord(NAME, "d" * 64), []).id
        own = {"kind": kind, "mlflow.source.name": "edlae_sweeps", "mlflow.note.content": "**n**", **PROCESS}
        own |= {"run_key": "k" * 32, "data_digest": "d" * 64, "shared": "false"} if kind == "cell" else {}
        own |= tags or {}
        start = times.get("start", 1000)
        run_id = self.client.create_run(experiment, start, own, f"{kind} λ=1").info.run_id
        steps = [Metric("validation/ndcg_100", step / 8, 100 + step, step) for step in (1, 5, 9)]
        single = [Metric("time/fit_seconds", 0.5, 77, 0), Metric("odd", float("nan"), 1, 0)]
        single += [Metric(name, 0.5, 77, 0) for name in (*ACCURACY, "train/squared_error")]
        self.client.log_batch(run_id, [*steps, *single], [Param(*item) for item in PARAMS.items()])
        self.client.log_inputs(run_id, [INPUT])
        if files:
            (self.folder / "file.txt").write_text(run_id)
            self.client.log_artifact(run_id, str(self.folder / "file.txt"))
            self.client.log_artifact(run_id, str(self.folder / "file.txt"), "deep/er")
        if status != "RUNNING":
            self.client.set_terminated(run_id, status, times.get("end", 2000))
        return run_id

    def runs(self) -> list:
        ids = [experiment.experiment_id for experiment in self.client.search_experiments()]
        return list(self.client.search_runs(ids, order_by=["attributes.start_time"]))

    def finished(self) -> list:
        return [run for run in self.runs() if run.info.status == "FINISHED"]

    def history(self, run_id: str, name: str) -> list:
        return [(m.step, m.timestamp, str(m.value)) for m in self.client.get_metric_history(run_id, name)]

    def files(self, run_id: str) -> dict[str, str]:
        folder = self.folder / "artifacts" / NAME / run_id / "artifacts"
        return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.*")}

    def merge(self, source: "Place | Path | str", names: list[str] | None = None) -> dict[str, tuple[int, int, int]]:
        """Merge into this store; return (copied, present, left out) by kind."""
        place = source.folder if isinstance(source, Place) else source
        merged = merge(Source(str(place), self.store.uri), self.store, self.folder, names, log_model, lambda *_: None)
        assert all(isinstance(part, Merged) for part in merged)
        return {part.kind: (part.copied, part.present, part.left_out) for part in merged}


@pytest.fixture
def place(tmp_path, new_store) -> Callable[[str], Place]:
    def make(name: str) -> Place:
        new_store(tmp_path / name)
        return Place(tmp_path / name)

    return make


def digest(folder: Path) -> str:
    content = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return hashlib.sha256(content).hexdigest()


def test_a_copy_has_all_that_the_run_has(place):
    a, b = place("a"), place("b")
    job = a.add("job", start=500)
    cell = a.add("cell", tags={PARENT: job}, start=600)
    before = digest(a.folder)
    seen = []
    source = Source(str(a.folder), b.store.uri)
    merged = merge(source, b.store, b.folder, None, log_model, lambda *progress: seen.append(progress))
    assert merged == [Merged(NAME, "job", 1, 0, 0), Merged(NAME, "cell", 1, 0, 0)]
    assert seen == [(1, 2), (2, 2)]
    assert digest(a.folder) == before
    copies = {run.data.tags["merged.from"]: run for run in b.runs()}
    assert set(copies) == {job, cell}
    for run_id, copy in copies.items():
        original = a.client.get_run(run_id)
        for name in ("start_time", "end_time", "status", "run_name"):
            assert getattr(copy.info, name) == getattr(original.info, name)
        assert copy.data.params == original.data.params
        family = {PARENT: copies[job].info.run_id} if run_id == cell else {}
        assert copy.data.tags == {**original.data.tags, **family, "merged.from": run_id}
        assert copy.data.metrics.keys() == original.data.metrics.keys()
        for name in copy.data.metrics:
            assert b.history(copy.info.run_id, name) == a.history(run_id, name)
        (dataset,) = copy.inputs.dataset_inputs
        assert dataset.to_dictionary() == INPUT.to_dictionary()
        assert b.files(copy.info.run_id) == {"file.txt": run_id, "deep/er/file.txt": run_id}
    # The page of the experiment looks as in a store of its own.
    assert b.client.get_experiment_by_name(NAME).tags["mlflow.experimentKind"]


def test_a_second_merge_and_the_way_back_copy_nothing(place):
    a, b, c = place("a"), place("b"), place("c")
    a.add("cell", tags={PARENT: a.add("job")})
    a.add("evaluation", files=False)
    everything, nothing = (1, 0, 0), (0, 1, 0)
    kinds = ("job", "cell", "evaluation")
    assert b.merge(a) == dict.fromkeys(kinds, everything)
    assert b.merge(a) == a.merge(b) == dict.fromkeys(kinds, nothing)
    # Around a triangle.
    assert c.merge(b) == dict.fromkeys(kinds, everything)
    assert c.merge(a) == b.merge(c) == a.merge(c) == dict.fromkeys(kinds, nothing)
    assert len(a.runs()) == len(b.runs()) == len(c.runs()) == 3
    copies = {run.data.tags["kind"]: run for run in c.runs()}
    assert copies["cell"].data.tags[PARENT] == copies["job"].info.run_id


def test_children_of_a_run_that_came_back_keep_their_own_parent(place):
    a, b = place("a"), place("b")
    job = a.add("job")
    a.add("cell", tags={PARENT: job})
    b.merge(a)
    (parent,) = (run.info.run_id for run in b.runs() if run.data.tags["kind"] == "job")
    later = b.add("evaluation", tags={PARENT: parent})
    assert a.merge(b)["evaluation"] == (1, 0, 0)
    (copy,) = (run for run in a.runs() if run.data.tags.get("merged.from") == later)
    assert copy.data.tags[PARENT] == job


def test_other_runs_with_the_same_key_are_copied_too(place):
    a, b = place("a"), place("b")
    a.add("cell", tags={"run_key": "k"})
    b.add("cell", tags={"run_key": "k"})
    assert b.merge(a)["cell"] == (1, 0, 0)
    assert len(b.finished()) == 2


def test_what_is_not_finished_or_no_result_is_not_copied(place):
    a, b = place("a"), place("b")
    for status in ("RUNNING", "FAILED", "KILLED"):
        a.add("cell", status)
        a.add("evaluation", status)
    a.add("report")
    a.add("job")
    deleted = a.add("cell")
    a.client.delete_run(deleted)
    a.client.create_experiment("of another application")
    assert b.merge(a) == {}
    assert b.store.existing() == []


def test_a_job_that_is_running_is_completed_by_a_later_merge(place):
    a, b, c = place("a"), place("b"), place("c")
    job = a.add("job", "RUNNING")
    a.add("evaluation", tags={PARENT: job}, end=3000, files=False)
    assert b.merge(a) == {"job": (1, 0, 0), "evaluation": (1, 0, 0)}
    assert c.merge(a)["job"] == (1, 0, 0)
    (copy,) = (run for run in b.runs() if run.data.tags["kind"] == "job")
    assert (copy.info.status, copy.info.end_time) == ("KILLED", 3000)
    assert b.merge(a)["job"] == (0, 1, 0)
    a.client.log_batch(job, [Metric("best/ndcg_100", 0.5, 5, 0)])
    a.client.set_terminated(job, "FINISHED", 4000)
    assert b.merge(a) == {"job": (1, 0, 0), "evaluation": (0, 1, 0)}
    whole = b.client.get_run(copy.info.run_id)
    assert (whole.info.status, whole.info.end_time) == ("FINISHED", 4000)
    assert whole.data.metrics["best/ndcg_100"] == 0.5
    assert len(b.history(whole.info.run_id, "validation/ndcg_100")) == 3
    assert len(whole.inputs.dataset_inputs) == 1
    # An older copy elsewhere takes nothing back.
    assert b.merge(c)["job"] == (0, 1, 0)
    assert c.merge(b)["job"] == (1, 0, 0)
    assert len(b.runs()) == len(c.runs()) == 2


@pytest.mark.parametrize(
    ("kind", "moment", "closed"),
    [
        *(("cell", moment, True) for moment in ("log_batch", "log_inputs", "log_artifacts")),
        *(("cell", moment, False) for moment in ("log_artifacts", "set_terminated")),
        ("job", "log_batch", True),
        *(("job", moment, False) for moment in ("log_artifacts", "set_terminated")),
    ],
)
def test_a_half_copy_does_not_count_and_is_made_again(place, monkeypatch, moment, closed, kind):
    a, b = place("a"), place("b")
    job = a.add("job", start=1)
    cell = a.add("cell", tags={PARENT: job}, start=2)
    original = getattr(MlflowClient, moment)

    def stopped(self, run_id, *args, **kwargs):
        tags = self.get_run(run_id).data.tags
        if tags["merged.from"] == {"job": job, "cell": cell}[kind]:
            monkeypatch.setattr(MlflowClient, moment, original)
            if not closed:
                # The process is gone before it can close the run.
                monkeypatch.setattr(MlflowClient, "set_terminated", lambda *_: None)
            raise KeyboardInterrupt
        return original(self, run_id, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, moment, stopped)
    with pytest.raises(KeyboardInterrupt):
        b.merge(a)
    monkeypatch.undo()
    (half,) = (run for run in b.runs() if run.info.status != "FINISHED")
    assert half.info.status == ("KILLED" if closed else "RUNNING")
    if moment != "set_terminated":
        assert process_tags().items() <= half.data.tags.items()
    assert b.merge(a)[kind] == (1, 0, 0)
    assert b.merge(a) == {"job": (0, 1, 0), "cell": (0, 1, 0)}
    assert [run.data.tags["merged.from"] for run in b.finished()] == [job, cell]
    assert len(b.runs()) == 2
    for run in b.runs():
        assert PROCESS.items() <= run.data.tags.items()
        assert len(b.files(run.info.run_id)) == 2
        assert len(b.history(run.info.run_id, "validation/ndcg_100")) == 3


def test_artifacts_come_from_beside_a_database_that_was_copied(place, tmp_path):
    a, b = place("cluster"), place("b")
    cell = a.add("cell")
    (tmp_path / "home").mkdir()
    moved = shutil.move(a.folder, tmp_path / "home" / "mlruns")
    before = digest(moved)
    # The folder above mlruns is meant as well.
    assert b.merge(tmp_path / "home")["cell"] == (1, 0, 0)
    assert b.files(b.runs()[0].info.run_id)["file.txt"] == cell
    assert digest(moved) == before


def test_a_cell_without_artifacts_waits_for_them(place, tmp_path):
    a, b = place("a"), place("b")
    a.add("cell", tags={PARENT: a.add("job", files=False)})
    shutil.move(a.folder / "artifacts", tmp_path / "artifacts")
    assert b.merge(a) == {"job": (1, 0, 0), "cell": (0, 0, 1)}
    shutil.move(tmp_path / "artifacts", a.folder / "artifacts")
    assert b.merge(a) == {"job": (0, 1, 0), "cell": (1, 0, 0)}


def test_kept_models_load_from_the_other_store(place, tmp_path):
    a, b = place("a"), place("b")
    model = LowRank(np.arange(8.0).reshape(4, 2), np.ones((4, 2))).described(np.array(list("abcd")), np.ones(4))
    recommender = Recommender(model, None)
    folder = save_mlflow_model(tmp_path / "output", recommender)
    tags = {"model": "kept", "data_digest": "d" * 64}
    cell, broken = a.add("cell", tags=tags), a.add("cell", tags=tags)
    record = DatasetRecord(NAME, "d" * 64)
    for run_id in (cell, broken):
        model_id = log_model(a.client, run_id, folder, "m", {"rank": 2}, {"validation/ndcg_100": 9 / 8}, record)
    shutil.rmtree(a.folder / "artifacts" / NAME / "models" / model_id)
    a.folder = Path(shutil.move(a.folder, tmp_path / "moved"))
    before = digest(a.folder)
    assert b.merge(a)["cell"] == (1, 0, 1)
    assert digest(a.folder) == before
    (copy,) = b.runs()
    assert copy.data.tags["merged.from"] == cell
    assert load_model(copy.info.run_id, b.store.uri).recommend(["a"], k=2) == recommender.recommend(["a"], k=2)
    experiment = b.client.get_experiment_by_name(NAME).experiment_id
    (logged,) = b.client.search_logged_models([experiment])
    assert (logged.name, logged.source_run_id, logged.params) == ("m", copy.info.run_id, {"rank": "2"})
    compared = {"validation/ndcg_100": 9 / 8, **dict.fromkeys(ACCURACY, 0.5)}
    assert {m.key: (m.value, m.dataset_digest) for m in logged.metrics} == {
        name: (value, "d" * 32) for name, value in compared.items()
    }
    assert len(b.history(copy.info.run_id, "validation/ndcg_100")) == 3
    assert b.merge(a)["cell"] == (0, 1, 1)


def test_a_store_of_the_first_wave_is_merged(place, tmp_path):
    b = place("b")
    first_wave.rebuild(tmp_path / "first")
    numbers = b.merge(tmp_path / "first")
    runs = first_wave.load()["runs"]
    assert sum(copied for copied, _, _ in numbers.values()) == len(runs)
    assert all((present, left_out) == (0, 0) for _, present, left_out in numbers.values())
    assert [run.info.run_name for run in b.runs()] == [run["name"] for run in runs]
    ids = {run["id"]: copy.info.run_id for run, copy in zip(runs, b.runs(), strict=True)}
    for run, copy in zip(runs, b.runs(), strict=True):
        tags = {name: ids[value] if name == PARENT else value for name, value in run["tags"].items()}
        assert {name: value for name, value in copy.data.tags.items() if name != "merged.from"} == tags


def test_some_data_sets_and_unknown_ones(place):
    a, b = place("a"), place("b")
    a.add("cell")
    assert b.merge(a, [NAME])["cell"] == (1, 0, 0)
    assert b.merge(a, []) == {}
    with pytest.raises(DataError, match=f"datasets: source={a.folder} has no x, y; it has {NAME}"):
        b.merge(a, ["y", "x", NAME])


def test_sources_that_are_none_are_refused(place, tmp_path):
    b = place("b")
    (tmp_path / "empty").mkdir()
    shutil.copy(Path(__file__), tmp_path / "text.db")
    (tmp_path / "zero.db").touch()
    before = sorted(tmp_path.rglob("*"))
    cases = {
        str(tmp_path / "empty"): "there is no mlflow.db in this folder; name the mlruns folder",
        str(tmp_path / "gone"): "there is no mlflow.db in this folder",
        f"sqlite:///{tmp_path}/gone.db": "there is no such database",
        f"sqlite:///{tmp_path}/text.db": "this database can't be read (file is not a database)",
        f"sqlite:///{tmp_path}/zero.db": "this database has no tables of MLflow",
        str(b.folder): "this is the store to merge into",
        f"sqlite:///{b.folder}/../b/mlflow.db": "this is the store to merge into",
    }
    for source, message in cases.items():
        with pytest.raises((DataError, TrackingError)) as failure:
            b.merge(source)
        assert str(failure.value).startswith(f"source={source}: {message}")
    with pytest.raises(TrackingError, match=r"does not answer .*: start it, or correct source") as failure:
        b.merge("http://me:secret@127.0.0.1:9")
    assert "secret" not in str(failure.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_one_merge_at_a_time(place):
    a, b = place("a"), place("b")
    with (
        FileLock(b.folder / ".merge.lock"),
        pytest.raises(TrackingError, match=f"another merge into the store of {b.folder} is running"),
    ):
        b.merge(a)

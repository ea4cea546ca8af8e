import re
import socket
import subprocess
import sys
import time

import psutil
import pytest
from mlflow import MlflowClient

from edlae_sweeps.errors import ConfigError, TrackingError
from edlae_sweeps.process import process_tags
from edlae_sweeps.tracking import DatasetRecord, Store, StoredRun, runs

RECORD = DatasetRecord("data", "d" * 64)


def status_of(store: Store, run_id: str) -> str:
    return MlflowClient(store.uri).get_run(run_id).info.status


@pytest.mark.parametrize("folder", ["with space", "ü#=$,;'{}", "q?x=1", "p%41q"])
def test_odd_folders_hold_their_database_or_are_refused(tmp_path, folder):
    try:
        store = Store(None, tmp_path / folder)
    except ConfigError as error:
        # Which of these are refused depends on the release of SQLAlchemy.
        assert "?" in folder or "%" in folder, error  # noqa: PT017
        return
    with store.experiment("data", RECORD, []).run("name", {}, {}) as run:
        pass
    assert (tmp_path / folder / "mlflow.db").stat().st_size > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder]
    assert status_of(store, run.id) == "FINISHED"


@pytest.mark.parametrize(
    ("stop", "status"), [(KeyboardInterrupt(), "KILLED"), (ValueError("why"), "FAILED"), (SystemExit(2), "FAILED")]
)
def test_the_end_of_the_block_decides_the_status(tmp_path, new_store, stop, status):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    with pytest.raises(type(stop)), store.experiment("data", RECORD, []).run("name", {"kind": "cell"}, {"a": 1}) as run:
        raise stop
    stored = MlflowClient(store.uri).get_run(run.id)
    assert stored.info.status == status
    assert stored.data.params == {"a": "1"}
    assert stored.inputs.dataset_inputs[0].dataset.name == "data"
    assert stored.data.tags.get("error") == ("ValueError: why" if isinstance(stop, ValueError) else None)


def test_only_runs_whose_process_is_gone_are_closed(tmp_path, new_store, caplog):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", RECORD, [])
    client = MlflowClient(store.uri)
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    zombie_start = psutil.Process(zombie.pid).create_time()
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    source = {"mlflow.source.name": runs.SOURCE}
    own = {**source, **process_tags()}
    old = {name: own[name] for name in ("mlflow.source.name", "host", "pid", "pid_start")}
    started = float(own["pid_start"])
    cases = {
        "alive": (own, "RUNNING"),
        "number taken by another": (own | {"pid_ticks": "1"}, "KILLED"),
        "zombie": (own | {"pid": str(zombie.pid)}, "KILLED"),
        "container": (own | {"machine": own["machine"] + "1", "pid_ticks": "1"}, "RUNNING"),
        "other program": ({"host": socket.gethostname()}, "RUNNING"),
        "older version, alive": (old | {"pid_start": f"{started + 5}"}, "RUNNING"),
        "older version, number taken by another": (old | {"pid_start": f"{started - 1000}"}, "KILLED"),
        "older version, zombie": (old | {"pid": str(zombie.pid), "pid_start": f"{zombie_start}"}, "KILLED"),
        "older version, other host": (old | {"host": "elsewhere", "pid": "1", "pid_start": "1.0"}, "RUNNING"),
    }
    ids = {name: client.create_run(experiment.id, tags=tags).info.run_id for name, (tags, _) in cases.items()}
    assert store.close_orphans() == 4
    assert "marked 4 run(s) as KILLED" in caplog.text
    assert {name: status_of(store, ids[name]) for name in cases} == {
        name: status for name, (_, status) in cases.items()
    }
    assert store.close_orphans() == 0
    zombie.wait()


def test_the_error_for_a_deleted_experiment_says_how_to_restore_it(tmp_path, new_store):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    MlflowClient(store.uri).delete_experiment(store.experiment("data", RECORD, []).id)
    restore = f"MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/mlflow.db mlflow experiments restore --experiment-id 1"
    with pytest.raises(TrackingError, match=re.escape(restore)):
        store.experiment("data", RECORD, [])


def test_a_database_that_cannot_be_used_is_an_error_at_once(tmp_path):
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(TrackingError, match=r"mlflow\.db can't be written"):
        Store(None, tmp_path)
    (tmp_path / "text.db").write_text("not a database" * 100)
    with pytest.raises(TrackingError, match="not a database"):
        Store(f"sqlite:///{tmp_path}/text.db", tmp_path)


def test_values_by_epoch_come_before_the_final_one(tmp_path, new_store):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    epochs = [float(value) for value in range(2000, 0, -1)]
    with store.experiment("data", RECORD, []).run("name", {}, {}) as run:
        run.log(
            metrics={"train/objective": 0.5, "other": 7.0},
            tags={"ended": "epochs"},
            history={"train/objective": epochs},
        )
    client = MlflowClient(store.uri)
    stored = client.get_run(run.id).data
    assert stored.metrics == {"train/objective": 0.5, "other": 7.0}
    assert stored.tags["ended"] == "epochs"
    history = sorted(client.get_metric_history(run.id, "train/objective"), key=lambda metric: metric.step)
    assert [metric.step for metric in history] == list(range(1, 2002))
    assert [metric.value for metric in history] == [*epochs, 0.5]
    assert [metric.step for metric in client.get_metric_history(run.id, "other")] == [0]


def test_a_run_with_files_is_finished_once_it_is_complete(tmp_path, new_store):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", RECORD, [])
    (tmp_path / "page.html").write_text("page")
    experiment.record("whole", {"kind": "report"}, {}, [("cells", 1.0, 0)], files=[tmp_path / "page.html"])
    with pytest.raises(TrackingError, match="missing"):
        experiment.record("half", {"kind": "report"}, {}, [("cells", 1.0, 0)], files=[tmp_path / "missing.html"])
    statuses = {run.info.run_name: run.info.status for run in MlflowClient(store.uri).search_runs([experiment.id])}
    assert statuses == {"whole": "FINISHED", "half": "FAILED"}


def test_system_metrics_are_logged_while_a_run_is_open(tmp_path, new_store, monkeypatch):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    monkeypatch.setattr(runs, "_SAMPLING_SECONDS", 0.05)
    client, end = MlflowClient(store.uri), time.monotonic() + 60
    with store.experiment("data", RECORD, []).run("name", {}, {}) as run, run.system_metrics():
        # A busy machine takes its time for the first sample.
        while not client.get_run(run.id).data.metrics and time.monotonic() < end:
            time.sleep(0.1)
    stored = client.get_run(run.id)
    assert "system/system_memory_usage_megabytes" in stored.data.metrics
    assert stored.info.status == "FINISHED"


def test_a_run_that_ended_as_this_process_started_is_an_earlier_one():
    # The start that the system gives may be a second too early.
    own = process_tags()
    start = float(own["pid_start"])

    def ended(seconds: float, **tags: str) -> StoredRun:
        return StoredRun("id", {}, {}, {**own, **tags}, "name", start + seconds)

    assert not ended(0.9, pid="1").concurrent
    assert ended(1.1, pid="1").concurrent
    assert not ended(1.1).concurrent

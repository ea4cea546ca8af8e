"""The heartbeat of a live run."""

import threading
import time
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from edlae_sweeps.tracking import DatasetRecord, Store, heartbeat
from edlae_sweeps.tracking.heartbeat import beating
from edlae_sweeps.tracking.watch import HEARTBEAT

SERVER = "http://127.0.0.1:5000"


def beats() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def wait_until(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(heartbeat, "HEARTBEAT_SECONDS", 0.01)


def test_it_rises_while_the_run_lives_and_its_thread_ends_with_it():
    values = []
    client = SimpleNamespace(set_tag=lambda run, key, value: values.append((run, key, value)))
    with beating(client, SERVER, "run"):
        wait_until(lambda: len(values) >= 5)
    wait_until(lambda: not beats())
    assert values[:3] == [("run", HEARTBEAT, "1"), ("run", HEARTBEAT, "2"), ("run", HEARTBEAT, "3")]


def test_a_store_that_fails_does_not_end_it():
    calls = []

    def failing(*_) -> None:
        calls.append(1)
        raise RuntimeError("gone away")

    with beating(SimpleNamespace(set_tag=failing), SERVER, "run"):
        wait_until(lambda: len(calls) >= 5)


def test_it_looks_after_the_runs_of_others_now_and_then(monkeypatch):
    looks = []
    monkeypatch.setattr(heartbeat, "close_all", lambda _client, watch: looks.append(watch))
    values = []
    client = SimpleNamespace(set_tag=lambda _run, _key, value: values.append(value))
    with beating(client, SERVER, "run"):
        wait_until(lambda: len(looks) >= 2)
    assert len(values) >= 30
    # The same watch, which remembers what it saw.
    assert looks[0] is looks[1]


def test_the_run_of_a_job_beats_and_those_below_it_do_not(tmp_path, new_store):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    client = MlflowClient(store.uri)
    experiment = store.experiment("data", DatasetRecord("data", "d" * 64), [])
    with experiment.run("job", {}, {}) as job, experiment.run("cell", {}, {}, job) as cell:
        wait_until(lambda: int(client.get_run(job.id).data.tags.get(HEARTBEAT, "0")) >= 2)
        assert len(beats()) == 1
    wait_until(lambda: not beats())
    assert HEARTBEAT not in client.get_run(cell.id).data.tags
    assert {client.get_run(run.id).info.status for run in (job, cell)} == {"FINISHED"}

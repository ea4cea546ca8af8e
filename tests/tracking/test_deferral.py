"""Stops wait for the store: wherever they come, the run can be closed."""

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mlflow import MlflowClient
from sqlalchemy import Engine, event

from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.tracking.lease import Lease
from edlae_sweeps.tracking.stops import stops_deferred

RECORD = DatasetRecord("data", "d" * 64)

pytestmark = pytest.mark.usefixtures("heard")


@contextmanager
def stop_at(moment: str, number: int) -> Iterator[None]:
    """Ctrl-C at the event of this number."""
    count = itertools.count(1)

    def stop(*_arguments) -> None:
        if next(count) == number:
            signal.raise_signal(signal.SIGINT)

    event.listen(Engine, moment, stop)
    try:
        yield
    finally:
        event.remove(Engine, moment, stop)


def life_of_a_run(experiment, file) -> None:
    with experiment.run("name", {"kind": "cell"}, {"rank": 1}, lease=Lease(["key"], lambda: True)) as run:
        run.log(metrics={"a": 1.0}, tags={"b": "c"}, files=[file])


@pytest.mark.parametrize("moment", ["create_run", "set_terminated"])
def test_a_signal_while_a_run_is_created_or_closed_leaves_none_running(tmp_path, new_store, monkeypatch, moment):
    original = getattr(MlflowClient, moment)

    def interrupted(*args, **kwargs):
        done = original(*args, **kwargs) if moment == "create_run" else None
        signal.raise_signal(signal.SIGINT)
        return done if moment == "create_run" else original(*args, **kwargs)

    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", RECORD, [])
    monkeypatch.setattr(MlflowClient, moment, interrupted)
    with pytest.raises(KeyboardInterrupt), experiment.run("name", {}, {}):
        pass
    monkeypatch.undo()
    (run,) = MlflowClient(store.uri).search_runs([experiment.id])
    assert run.info.status == ("KILLED" if moment == "create_run" else "FINISHED")


def test_a_signal_waits_for_the_end_of_a_write_to_a_database(tmp_path, new_store, monkeypatch):
    original = MlflowClient.log_batch

    def interrupted(client, run_id, metrics=(), **others):
        if metrics:
            signal.raise_signal(signal.SIGINT)
        original(client, run_id, metrics, **others)

    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", RECORD, [])
    monkeypatch.setattr(MlflowClient, "log_batch", interrupted)
    with pytest.raises(KeyboardInterrupt), experiment.run("name", {}, {}) as run:
        run.log(metrics={"a": 1.0})
    stored = MlflowClient(store.uri).get_run(run.id)
    assert stored.info.status == "KILLED"
    assert stored.data.metrics == {"a": 1.0}


@pytest.mark.parametrize(("moment", "step"), [("commit", 1), ("after_cursor_execute", 4)])
def test_a_stop_at_any_moment_leaves_a_closed_run(tmp_path, new_store, moment, step):
    """A commit that is interrupted leaves its session open, and the database locked for who closes the run."""
    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", RECORD, [])
    file = tmp_path / "a.txt"
    file.write_text("text")
    for number in itertools.count(1, step):
        try:
            with stop_at(moment, number):
                life_of_a_run(experiment, file)
            break
        except KeyboardInterrupt:
            pass
    states = [run.info.status for run in MlflowClient(store.uri).search_runs([experiment.id])]
    assert len(states) > 10
    assert set(states) == {"KILLED", "FINISHED"}


def test_ctrl_c_again_and_again_interrupts_what_defers_it():
    done = []

    def press() -> None:
        with stops_deferred():
            for number in range(3):
                done.append(number)
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        press()
    assert done == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_stop_that_ignores_the_next_ones_stays_so(monkeypatch):
    """A terminal that closes sends two: the second must not interrupt the clean-up after the first."""
    original = signal.signal

    def ignore_then_raise(_number, _frame) -> None:
        original(signal.SIGHUP, signal.SIG_IGN)
        raise KeyboardInterrupt

    def interrupted(number, handler):
        if number == signal.SIGHUP:
            signal.raise_signal(number)
        return original(number, handler)

    before = original(signal.SIGHUP, ignore_then_raise)
    monkeypatch.setattr(signal, "signal", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt), stops_deferred():
            pass
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        original(signal.SIGHUP, before)

"""Of several commands with the same work, exactly one computes, in whatever order their requests arrive."""

import itertools
import logging
import random
import string
import threading
import time
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from edlae_sweeps.process import process_tags
from edlae_sweeps.tracking import Busy, DatasetRecord, Lease, Store, lease, watch
from edlae_sweeps.tracking.watch import SOURCE

RECORD = DatasetRecord("data", "d" * 64)
SERVER = "http://127.0.0.1:5000"


class FakeStore:
    """The requests that a lease makes, answered from memory. `turn` is called before each."""

    def __init__(self, turn=lambda: None) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.turn = turn

    def create(self, name: str, tags: dict[str, str]) -> str:
        self.turn()
        tags = {**process_tags(), "mlflow.source.name": SOURCE, **tags}
        info = SimpleNamespace(run_id=name, status="RUNNING")
        self.runs[name] = SimpleNamespace(info=info, data=SimpleNamespace(tags=tags))
        return name

    def search_runs(self, _experiments, query, **_) -> "Page":
        self.turn()
        assert "RUNNING" in query
        # Copies, as a store gives.
        copies = [
            SimpleNamespace(info=run.info, data=SimpleNamespace(tags=dict(run.data.tags))) for run in self.runs.values()
        ]
        return Page(run for run in copies if run.info.status == "RUNNING" and "lease" in run.data.tags)

    def set_tag(self, name: str, key: str, value: str) -> None:
        self.turn()
        self.runs[name].data.tags[key] = value

    def get_run(self, name: str) -> SimpleNamespace:
        self.turn()
        return self.runs[name]

    def set_terminated(self, name: str, status: str) -> None:
        self.turn()
        self.runs[name].info.status = status


class Page(list):
    token = None


def claim(store: FakeStore, name: str, keys=("key",), state: str = lease.CLAIMED, **tags: str) -> str:
    return store.create(name, {lease.STATE: state, lease.KEYS: ",".join(keys), **tags})


def hold(store: FakeStore, name: str, keys=("key",), unchanged: bool = True) -> None:
    lease.hold(store, SERVER, "1", name, Lease(keys, lambda: unchanged))


def test_a_claim_without_rivals_holds():
    store = FakeStore()
    claim(store, "b")
    hold(store, "b")
    assert store.runs["b"].data.tags["lease"] == "held"


@pytest.mark.parametrize("other", ["a", "c"])
def test_who_holds_already_wins_whatever_its_id(other):
    store = FakeStore()
    claim(store, other, state=lease.HELD)
    claim(store, "b")
    with pytest.raises(Busy):
        hold(store, "b")
    assert store.runs["b"].data.tags["lease"] == "claimed"


def test_of_two_claims_the_larger_id_withdraws_and_the_smaller_waits_for_that(monkeypatch):
    store = FakeStore()
    claim(store, "a")
    claim(store, "b")
    with pytest.raises(Busy):
        hold(store, "b")
    waited = []

    def sleep(_: float) -> None:
        waited.append(store.runs["a"].data.tags["lease"])
        if len(waited) == 2:
            store.set_terminated("b", "KILLED")

    monkeypatch.setattr(lease.time, "sleep", sleep)
    hold(store, "a")
    assert waited == ["claimed", "claimed"]
    assert store.runs["a"].data.tags["lease"] == "held"


def test_a_smaller_claim_withdraws_when_a_larger_one_turns_out_to_hold(monkeypatch):
    """The larger one looked before the smaller one claimed."""
    store = FakeStore()
    claim(store, "b")
    claim(store, "a")
    monkeypatch.setattr(lease.time, "sleep", lambda _: store.set_tag("b", "lease", "held"))
    with pytest.raises(Busy):
        hold(store, "a")


def test_work_without_a_key_in_common_does_not_wait():
    store = FakeStore()
    claim(store, "a", ["one", "two"], lease.HELD)
    claim(store, "b", ["three"])
    hold(store, "b", ["three"])
    assert not lease.wait(store, SERVER, "1", ["four"])
    claim(store, "c", ["five", "two"])
    with pytest.raises(Busy):
        hold(store, "c", ["five", "two"])


def test_keys_are_compared_as_they_are_stored():
    long = "0123456789abcdef" * 2
    store = FakeStore()
    store.create("a", {**Lease([long], lambda: True).tags(), "lease": "held"})
    claim(store, "b", [long[:16]])
    with pytest.raises(Busy):
        hold(store, "b", [long])


def test_results_that_came_since_the_plan_make_it_busy():
    store = FakeStore()
    claim(store, "a")
    with pytest.raises(Busy):
        hold(store, "a", unchanged=False)


def test_a_dead_holder_and_a_dead_claim_are_closed():
    store = FakeStore()
    claim(store, "held", state=lease.HELD, pid_ticks="1")
    claim(store, "claimed", pid_ticks="1")
    assert not lease.wait(store, SERVER, "1", ["key"])
    assert {run.info.status for run in store.runs.values()} == {"KILLED"}


def test_the_holder_is_named_once_while_it_is_waited_for(monkeypatch, caplog):
    store, polls = FakeStore(), itertools.count(1)
    claim(store, "a", state=lease.HELD, host="node7", pid_ticks=process_tags()["pid_ticks"])
    monkeypatch.setattr(lease.time, "sleep", lambda _: next(polls) == 5 and store.set_terminated("a", "FINISHED"))
    with caplog.at_level(logging.INFO):
        assert lease.wait(store, SERVER, "1", ["key"])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "run a on host node7" in line
    assert "Ctrl-C" in line


def test_a_holder_of_another_machine_is_taken_over_from_once_its_heartbeat_is_stale(monkeypatch):
    store, now = FakeStore(), [0.0]
    claim(store, "a", state=lease.HELD, machine="elsewhere:1", heartbeat="5")
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    # The default clock of a watch is bound when it is defined.
    monkeypatch.setattr(lease, "Watch", lambda uri: watch.Watch(uri, lambda: now[0]))
    beats = itertools.chain(range(6, 12), itertools.repeat(11))

    def sleep(_: float) -> None:
        now[0] += 60
        store.set_tag("a", "heartbeat", str(next(beats)))

    monkeypatch.setattr(lease.time, "sleep", sleep)
    assert lease.wait(store, SERVER, "1", ["key"])
    assert store.runs["a"].info.status == "KILLED"
    # Six beats were seen to change, the sixth is old by the stated time.
    assert now[0] == 6 * 60 + watch.STALE_SECONDS


class Turns:
    """Runs threads one at a time, each until its next request; a seed decides whose turn it is, and for how long."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._stay = self._random.choice([0, 0.5, 0.9])
        self._ready: dict[str, threading.Event] = {}
        self._paused = threading.Semaphore(0)

    def turn(self, *_: float) -> None:
        event = self._ready[threading.current_thread().name] = threading.Event()
        self._paused.release()
        event.wait()

    def run(self, *workers) -> None:
        def guarded(worker) -> None:
            self.turn()
            try:
                worker()
            finally:
                self._paused.release()

        threads = [
            threading.Thread(target=guarded, args=[worker], name=f"worker {number}", daemon=True)
            for number, worker in enumerate(workers)
        ]
        for thread in threads:
            thread.start()
            self._paused.acquire()
        chosen = ""
        for _ in range(100_000):
            if not self._ready:
                return
            if chosen not in self._ready or self._random.random() >= self._stay:
                chosen = self._random.choice(sorted(self._ready))
            self._ready.pop(chosen).set()
            self._paused.acquire()
        pytest.fail("they wait for each other for ever")


def test_in_any_order_of_requests_one_of_four_computes(monkeypatch):
    for seed in range(300):
        with monkeypatch.context() as patch:
            one_of_four_computes(patch, seed)


def one_of_four_computes(monkeypatch, seed: int) -> None:
    turns = Turns(seed)
    store = FakeStore(turns.turn)
    monkeypatch.setattr(lease.time, "sleep", turns.turn)
    names = iter(random.Random(seed).sample(string.ascii_letters, 52))
    inside, computed, shown = [], [], []

    def command() -> None:
        while True:
            turns.turn()
            seen = len(computed)
            if seen:
                shown.append(computed[0])
                return
            if lease.wait(store, SERVER, "1", ["key"]):
                continue
            name = claim(store, next(names))
            try:
                lease.hold(store, SERVER, "1", name, Lease(["key"], lambda seen=seen: len(computed) == seen))
            except Busy:
                store.set_terminated(name, "KILLED")
                continue
            inside.append(name)
            assert len(inside) == 1
            turns.turn()
            computed.append(inside.pop())
            store.set_terminated(name, "FINISHED")

    turns.run(*[command] * 4)
    assert len(computed) == 1, seed
    assert shown == computed * 4, seed


def test_eight_commands_on_one_store(tmp_path, new_store):
    new_store(tmp_path)
    computed, shown, errors = [], [], []

    def command() -> None:
        try:
            experiment = Store(None, tmp_path).experiment("data", RECORD, [])
            while not (seen := experiment.find("tags.kind = 'cell'")):
                if experiment.wait(["key"]):
                    continue
                claimed = Lease(["key"], lambda: not experiment.find("tags.kind = 'cell'"))
                try:
                    with experiment.run("name", {"kind": "cell"}, {}, lease=claimed) as run:
                        computed.append(run.id)
                        time.sleep(0.2)
                except Busy:
                    continue
            shown.append(seen[0].id)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=command) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(computed) == 1
    assert shown == computed * 8
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    everything = client.search_runs(["1"], run_view_type=ViewType.ALL)
    assert {run.info.status for run in everything} <= {"FINISHED", "KILLED"}
    assert [run.info.run_id for run in client.search_runs(["1"])] == computed


def test_a_failed_holder_frees_the_work(tmp_path, new_store):
    new_store(tmp_path)
    experiment = Store(None, tmp_path).experiment("data", RECORD, [])
    with pytest.raises(ValueError, match="why"), experiment.run("a", {}, {}, lease=Lease(["key"], lambda: True)):
        raise ValueError("why")
    assert not experiment.wait(["key"])
    with experiment.run("b", {}, {}, lease=Lease(["key"], lambda: True)) as run:
        assert experiment.get(run.id).tags["lease"] == "held"

"""Rows that another process adds at the same moment."""

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from edlae_sweeps.errors import TrackingError
from edlae_sweeps.tracking import DatasetRecord, Store, opening
from edlae_sweeps.tracking.opening import unconflicted

RECORD = DatasetRecord("data", "d" * 64)
CONFLICTS = [
    "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest",
    '(psycopg.errors.UniqueViolation) duplicate key value violates unique constraint "dataset_pk"',
    "BAD_REQUEST: (pymysql.err.IntegrityError) (1062, \"Duplicate entry '1-data' for key 'PRIMARY'\")",
    "(pyodbc.IntegrityError) Violation of PRIMARY KEY constraint 'dataset_pk'",
]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(opening.time, "sleep", lambda _: None)


class Failing:
    """Fails as often as it is told, and then works."""

    def __init__(self, message: str, times: int) -> None:
        self.message, self.times, self.calls = message, times, 0

    def __call__(self, *_, **__) -> None:
        self.calls += 1
        if self.calls <= self.times:
            raise MlflowException(self.message)


@pytest.mark.parametrize("message", CONFLICTS)
def test_a_conflict_is_tried_again(message):
    call = Failing(message, 3)
    unconflicted(call)
    assert call.calls == 4


def test_a_conflict_that_stays_is_raised():
    call = Failing(CONFLICTS[0], 1000)
    with pytest.raises(MlflowException, match="UNIQUE constraint"):
        unconflicted(call)
    assert 3 < call.calls < 20


def test_another_error_is_raised_at_once():
    call = Failing("disk full", 1)
    with pytest.raises(MlflowException, match="disk full"):
        unconflicted(call)
    assert call.calls == 1


def test_the_data_set_of_a_run_is_logged_though_another_process_was_first(tmp_path, new_store, monkeypatch):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    experiment = store.experiment("data", RECORD, [])
    original, failing = MlflowClient.log_inputs, Failing(CONFLICTS[0], 2)

    def log_inputs(*args) -> None:
        failing()
        original(*args)

    monkeypatch.setattr(MlflowClient, "log_inputs", log_inputs)
    with experiment.run("name", {}, {}) as run:
        pass
    assert failing.calls == 3
    assert len(MlflowClient(store.uri).get_run(run.id).inputs.dataset_inputs) == 1


def test_an_experiment_that_another_host_creates_first_is_taken(tmp_path, new_store, monkeypatch):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    create = MlflowClient.create_experiment

    def late(self, name, **options) -> str:
        create(self, name, **options)
        return create(self, name, **options)

    monkeypatch.setattr(MlflowClient, "create_experiment", late)
    assert store.experiment("data", RECORD, []).id == store.experiment("data", RECORD, []).id


def test_an_experiment_that_cannot_be_created_is_an_error(tmp_path, new_store, monkeypatch):
    new_store(tmp_path)
    store = Store(None, tmp_path)
    monkeypatch.setattr(MlflowClient, "create_experiment", Failing("disk full", 1))
    with pytest.raises(TrackingError, match="disk full"):
        store.experiment("data", RECORD, [])

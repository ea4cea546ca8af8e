"""What a job of one's own data takes from them: λ and the number of held-out users."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest

from edlae_sweeps.datasets import InteractionsFile, TrainingData, load, protocol
from edlae_sweeps.errors import DataError
from edlae_sweeps.jobs import start
from edlae_sweeps.jobs.start import settle_start
from edlae_sweeps.methods import Closed
from edlae_sweeps.settings import Optuna, Settings, run_key, study_key


@pytest.fixture
def own(tmp_path: Path) -> InteractionsFile:
    """A table of 237 users."""
    return table(tmp_path, 237)


def table(folder: Path, users: int) -> InteractionsFile:
    random = np.random.default_rng(0)
    with (folder / "plays.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user", "item"])
        rows.writerows((user, item) for user in range(users) for item in random.permutation(30)[:8])
    return InteractionsFile(path=str(folder / "plays.csv"))


def test_a_tenth_of_the_users_is_held_out_on_each_side(own, tmp_path):
    data = load(own, tmp_path)
    assert [part.targets.shape[0] for part in (data.validation, data.test)] == [23, 23]
    assert data.train.shape[0] == 237 - 2 * 23
    named = InteractionsFile(path=own.path, heldout_users=23)
    assert load(named, tmp_path).digest == data.digest


def test_no_more_than_the_most_are_held_out(own, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "_MOST_HELD_OUT", 15)
    assert load(own, tmp_path).test.targets.shape[0] == 15


def test_too_few_users_for_a_tenth_are_refused_with_a_number_that_works(tmp_path):
    own = table(tmp_path, 60)
    with pytest.raises(DataError, match=r"heldout_users=null: 60 users are left .* such as dataset.heldout_users=15"):
        load(own, tmp_path)
    assert load(InteractionsFile(path=own.path, heldout_users=15), tmp_path).train.shape[0] == 30


def test_what_is_taken_from_the_data_is_told_and_gives_the_key_of_the_number(own, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(start, "_told", set())
    data = load(own, tmp_path)
    training = TrainingData(data.train)
    caplog.set_level(logging.INFO, "edlae_sweeps")
    job = settle_start(Settings(dataset=own, method=Closed(l2=None)), data, training)
    expected = float(f"{data.train.nnz / data.n_items:.3g}")
    assert job.method == Closed(l2=expected)
    users, strength = caplog.messages
    assert users == "dataset.heldout_users=23 was taken from the data (a tenth of the users, at most 10,000)"
    assert strength.startswith(f"method.l2={expected:g} was taken from the data (the mean of the diagonal ")
    named = Settings(dataset=InteractionsFile(path=own.path, heldout_users=23), method=Closed(l2=expected))
    assert run_key(job, data, 5) == run_key(named, data, 5)
    caplog.clear()
    assert settle_start(named, data, training) is named
    assert caplog.messages == []
    # The next job of a multirun says what it takes itself.
    settle_start(Settings(dataset=own, method=Closed(l2=None)), data, training)
    assert caplog.messages == [strength]


def test_a_search_starts_at_the_strength_of_the_data(own, tmp_path, caplog):
    data, tune = load(own, tmp_path), Optuna(search={"l2": [1, 1000]})
    with caplog.at_level(logging.INFO, "edlae_sweeps"):
        job = settle_start(Settings(dataset=own, method=Closed(l2=None), tune=tune), data, TrainingData(data.train))
    assert caplog.messages[-1].endswith("; the search starts there")
    named = Settings(dataset=own, method=job.method, tune=tune)
    assert study_key(job, tune, data) == study_key(named, tune, data)

import numpy as np
import pytest

from edlae_sweeps.datasets import Synthetic, load, summarize
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.memory import resident_memory

SMALL = {"heldout_users": 100, "name": "small", "n_users": 1000, "n_items": 300, "mean_events": 30, "topics": 10}


def events(**changes: object):
    return Synthetic(**{**SMALL, **changes}).read(None)


def test_the_seed_determines_the_events():
    first, again, other = events(), events(), events(seed=1)
    assert np.array_equal(first.users, again.users)
    assert np.array_equal(first.items, again.items)
    assert not np.array_equal(first.items[:1000], other.items[:1000])


def test_size_activity_and_popularity_follow_the_settings():
    drawn = events(n_users=4000, n_items=1000, mean_events=40.0)
    assert 20 < len(drawn.users) / 4000 < 40
    assert len(np.unique(drawn.users.astype(np.int64) * 1000 + drawn.items)) == len(drawn.users)
    counts = np.bincount(drawn.items, minlength=1000)
    assert counts.min() > 0
    assert (np.diff(drawn.users) >= 0).all()
    head, tail = np.sort(counts)[::-1][:100].sum(), np.sort(counts)[:500].sum()
    assert head > 1.5 * tail
    flat = np.bincount(events(n_users=4000, n_items=1000, exponent=0.0, topics=1000).items, minlength=1000)
    assert flat.max() < counts.max() / 3


def test_users_of_a_topic_share_items():
    # Items are more correlated with many topics than with one.
    def mean_correlation(topics: int) -> float:
        drawn = events(n_users=4000, topics=topics)
        X = np.zeros((4000, 300))
        X[drawn.users, drawn.items] = 1
        correlation = np.corrcoef(X.T)
        # Of each item with its nearest neighbours.
        return float(np.mean(np.sort(correlation, axis=1)[:, -10:-1]))

    assert mean_correlation(20) > 1.3 * mean_correlation(1)


def test_it_reports_progress():
    steps = []
    Synthetic(**SMALL).read(None, lambda *step: steps.append(step))
    assert steps == [(number, 10) for number in range(1, 11)]


def test_it_loads_and_summarises_like_any_data_set(tmp_path):
    data = load(Synthetic(**SMALL), tmp_path)
    summary = summarize(data)
    assert summary["items"] == data.n_items <= 300
    assert summary["training_users"] == data.train.shape[0] == summary["users"] - 200
    assert summary["density"] == pytest.approx(data.train.toarray().mean())
    assert summary["items_per_user"]["50%"] == np.median(data.train.toarray().sum(axis=1))
    assert summary["users_per_item"]["100%"] == data.train.toarray().sum(axis=0).max()
    assert set(summary["sha256"]) == set(data.parts())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_users": 0}, "dataset.n_users=0"), ({"n_items": 0}, "dataset.n_items=0"), ({"topics": 0}, "dataset.topics"),
        ({"mean_events": 0.5}, "dataset.mean_events=0.5"), ({"mean_events": 301.0}, "dataset.mean_events=301"),
        ({"exponent": -1.0}, "dataset.exponent=-1"), ({"seed": -1}, "dataset.seed=-1"), ({"name": ""}, "dataset.name"),
        ({"name": ".."}, "dataset.name=.."),
        ({"name": "/x"}, "dataset.name=/x"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Synthetic(**{**SMALL, **changes})


@pytest.mark.parametrize("changes", [{"topics": 2**31 - 1}, {"n_users": 2**31 - 1}, {"n_items": 2**31 - 1}])
def test_sizes_beyond_the_memory_are_refused_before_anything_is_drawn(monkeypatch, changes):
    monkeypatch.setattr("numpy.random.default_rng", lambda *_: pytest.fail("drawn"))
    ((name, value),) = changes.items()
    with pytest.raises(ConfigError, match=f"dataset.{name}={value}, .* GiB are free; choose smaller ones"):
        Synthetic(**{**SMALL, **changes}).read(None, memory=resident_memory() + 2**30)


def test_the_memory_that_the_process_has_already_is_not_free(monkeypatch):
    monkeypatch.setattr("numpy.random.default_rng", lambda *_: pytest.fail("drawn"))
    with pytest.raises(ConfigError, match=r" and 0\.0 GiB are free"):
        Synthetic(**SMALL).read(None, memory=resident_memory() // 2)

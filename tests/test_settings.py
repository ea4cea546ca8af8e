import copy
from types import SimpleNamespace

import pytest
from conftest import DEBIAN, closed

from edlae_sweeps.datasets import Debian
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.settings import DType, Off, OnError, Settings, Tracking, check_against_data, run_key


def settings(**changes: object) -> Settings:
    values = {
        "dataset": Debian(**DEBIAN), "method": closed(10.0, 0.1), "tune": Off(), "rank": 10,
        "dtype": DType.float32, "seed": 0,
        "save_model": False, "epoch_metrics": False, "threads": None, "memory": None,
        "repeat": None, "skip_finished": None,
        "dry_run": False, "on_error": OnError.stop, "data_dir": "data", "tracking": Tracking(None, "mlruns"),
    }  # fmt: skip
    return Settings(**{**values, **changes})


@pytest.mark.parametrize(
    ("rank", "expected"),
    [(1, (1,)), ("full", ("full",)), ([500, "full", 10, 10], (10, 500, "full")), (["full"], ("full",))],
)
def test_ranks(rank, expected):
    assert settings(rank=rank).ranks() == expected


@pytest.mark.parametrize(
    "rank", [0, -1, True, 2.5, 2.0, float("nan"), "", "Full", "10", None, [], [10, 0], [[10]], {"a": 1}]
)
def test_ranks_that_are_none(rank):
    with pytest.raises(ConfigError, match=r"rank=.*choose a whole number"):
        settings(rank=rank).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32}, "seed="),
        ({"tracking": Tracking(None, "")}, "tracking.dir is empty"),
        ({"tracking": Tracking("some/folder", "mlruns")}, "tracking.uri=some/folder"),
        ({"tracking": Tracking("redis://x", "mlruns")}, "tracking.uri=redis://x"),
        ({"dataset": Debian(**{**DEBIAN, "heldout_users": 0})}, "dataset.heldout_users=0"),
        ({"dataset": Debian(**{**DEBIAN, "min_item_events": -1})}, "dataset.min_item_events=-1"),
        ({"dataset": Debian(**{**DEBIAN, "split_seed": 2**32})}, "dataset.split_seed="),
        ({"dataset": Debian(**{**DEBIAN, "holdout_fraction": float("nan")})}, "dataset.holdout_fraction=nan"),
        ({"dataset": Debian(**{**DEBIAN, "holdout_fraction": 1.0})}, "dataset.holdout_fraction=1.0"),
    ],
)
def test_values_outside_their_range_are_named(changes, message):
    settings().check()
    with pytest.raises(ConfigError, match=message):
        settings(**changes).check()


@pytest.mark.parametrize("uri", ["http://h:5000", "sqlite:///x.db", "postgresql+psycopg2://u@h/d", "databricks"])
def test_tracking_uris_of_every_kind(uri):
    settings(tracking=Tracking(uri, "mlruns")).check()


def test_ranks_above_the_number_of_items():
    check_against_data((5, "full"), SimpleNamespace(n_items=5))
    with pytest.raises(ConfigError, match="rank=6: the data have 5 items"):
        check_against_data((6,), SimpleNamespace(n_items=5))


def test_run_key_changes_with_what_determines_the_result_and_with_nothing_else():
    data = SimpleNamespace(digest="d")
    key = run_key(settings(), data, 10)
    assert run_key(copy.deepcopy(settings()), data, 10) == key
    assert run_key(settings(data_dir="elsewhere", tracking=Tracking("http://h", "x"), rank=[10, 20]), data, 10) == key
    others = [
        run_key(settings(), SimpleNamespace(digest="e"), 10),
        run_key(settings(), data, 11),
        run_key(settings(), data, "full"),
        run_key(settings(method=closed(11.0, 0.1)), data, 10),
        run_key(settings(method=closed(10.0, 0.2)), data, 10),
        run_key(settings(dtype=DType.float64), data, 10),
        run_key(settings(seed=1), data, 10),
    ]
    assert len({key, *others}) == 1 + len(others)

"""Settings have the defaults of conf/, refuse what can't run, and hash to keys that say which results are the same."""

import dataclasses
from types import SimpleNamespace

import pytest

from edlae_sweeps.datasets import Debian
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Admm, Closed, Svd
from edlae_sweeps.settings import (
    Alone,
    Dask,
    Evaluation,
    Off,
    Optuna,
    Processes,
    Range,
    ReportSettings,
    Settings,
    Tracking,
    check_against_data,
    run_key,
    study_key,
)


def test_settings_alone_are_a_valid_job(data_dir):
    settings = Settings()
    assert (settings.dataset, settings.method, settings.tune) == (Debian(), Closed(), Off())
    assert (settings.ranks(), settings.device, settings.data_dir) == ((500,), "cpu", str(data_dir))


def test_the_store_comes_from_the_environment(monkeypatch):
    assert Tracking().uri is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert ReportSettings().tracking.uri == "http://127.0.0.1:1"


def test_settings_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().rank = 10


@pytest.mark.parametrize(
    ("rank", "expected"),
    [(1, (1,)), ("full", ("full",)), ([500, "full", 10, 10], (10, 500, "full")), (["full"], ("full",))],
)
def test_ranks_are_distinct_and_ordered(rank, expected):
    assert Settings(rank=rank).ranks() == expected


@pytest.mark.parametrize(
    "rank", [0, -1, True, 2.5, 2.0, float("nan"), "", "Full", "10", None, [], [10, 0], [[10]], {"a": 1}]
)
def test_invalid_ranks_are_refused(rank):
    with pytest.raises(ConfigError, match=r"rank=.*choose a whole number"):
        Settings(rank=rank)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Settings(seed=-1), "seed=-1"),
        (lambda: Settings(seed=2**32), "seed="),
        (lambda: Settings(seed="1"), "seed=1: choose a whole number"),
        (lambda: Settings(dtype="float16"), "dtype=float16: choose from float32, float64"),
        (lambda: Settings(device="tpu"), "device=tpu: choose from cpu, cuda, auto"),
        (lambda: Settings(on_error="ignore"), "on_error=ignore: choose from continue, stop"),
        (lambda: Settings(threads=0), "threads=0"),
        (lambda: Settings(memory=0), "memory=0"),
        (lambda: Settings(memory=float("inf")), "memory=inf: choose a number of GiB above 0, at most 1000000"),
        (lambda: Settings(repeat=2**63), "repeat=9223372036854775808: choose a whole number below 2"),
        (lambda: Settings(data_dir="a\0b"), "data_dir=a\0b: choose a text of UTF-8 without NUL"),
        (lambda: Settings(data_dir="\udcff"), "data_dir=\udcff: choose a text of UTF-8 without NUL"),
        (lambda: ReportSettings(datasets=[["a"]]), r"datasets=\[\['a'\]\]: choose a list, each entry a text"),
        (lambda: ReportSettings(datasets="a"), "datasets=a: choose a list, each entry a text of UTF-8 .* or null"),
        (lambda: Optuna(search="a"), "tune.search=a: choose a group of keys"),
        (lambda: Optuna(grid_points=1001), "tune.grid_points=1001: choose a whole number from 1 to 1000"),
        (lambda: Optuna(n_trials=10**24), "tune.n_trials=1000000000000000000000000"),
        (lambda: Settings(tune=Optuna(search={"l2": [1, 10**400]})), r"tune.search.l2=\[1"),
        (lambda: Settings(tune=Optuna(search={1: [1, 2]})), "tune.search.1: closed has no such parameter"),
        (lambda: Settings(repeat=0), "repeat=0"),
        (lambda: Settings(data_dir=""), "data_dir is empty"),
        (lambda: Settings(method=Svd(), tune=Optuna()), "method=svd has nothing to search; choose tune"),
        (lambda: Settings(tune=Optuna(search={"l2": None})), "give a range, such as 'tune.search.l2="),
        (lambda: Optuna(sampler="cma"), "tune.sampler=cma: choose from tpe, random, grid"),
        (lambda: Optuna(metric="ndcg"), "tune.metric=ndcg: choose ndcg_R or recall_R"),
        (lambda: Evaluation(metrics=["ndcg_10", "gini"]), "evaluation.metrics=gini: choose ndcg_R or recall_R"),
        (lambda: Optuna(n_trials=0), "tune.n_trials=0"),
        (lambda: Optuna(batch=0), "tune.batch=0"),
        (lambda: Processes(workers=0), "parallel.workers=0: choose 1 or more, or null"),
        (lambda: Dask(scheduler="tcp://h:1", workers=0), "parallel.workers=0"),
        (lambda: Dask(), "parallel.scheduler is not set: name the address of a Dask scheduler, such as tcp://"),
        (lambda: Optuna(timeout=float("inf")), "tune.timeout=inf"),
        (lambda: Tracking(dir=""), "tracking.dir is empty"),
        (lambda: Tracking(uri="some/folder"), "tracking.uri=some/folder"),
        (lambda: Tracking(uri="redis://x"), "tracking.uri=redis://x"),
    ],
)
def test_values_outside_their_range_are_named(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("uri", ["http://h:5000", "sqlite:///x.db", "postgresql+psycopg2://u@h/d", "databricks"])
def test_every_kind_of_tracking_uri_is_accepted(uri):
    assert Tracking(uri=uri).uri == uri


def test_ranks_above_the_number_of_items_are_refused():
    check_against_data((5, "full"), SimpleNamespace(n_items=5))
    with pytest.raises(ConfigError, match="rank=6: the data have 5 items"):
        check_against_data((6,), SimpleNamespace(n_items=5))


def test_the_search_space_has_the_ranges_on_their_scales():
    tune = Optuna(search={"l2": [1, 100], "dropout": (0, 0.5), "omega": None})
    assert Settings(method=Admm(), tune=tune).space() == {
        "l2": Range(1.0, 100.0, log=True),
        "dropout": Range(0.0, 0.5, log=False),
    }


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"l2": [3, 1]}, r"tune.search.l2=\[3, 1\]: choose \[low,high\], low above 0 and below high"),
        ({"l2": [0, 1]}, "low above 0"),
        ({"l2": [1]}, "tune.search.l2="),
        ({"l2": "12"}, "tune.search.l2=12"),
        ({"l2": [True, 2]}, "tune.search.l2="),
        ({"dropout": [0, 1]}, "method.dropout=1.0"),
        ({"omega": [1, 3]}, "tune.search.omega: closed has no such parameter"),
        ({"beta_iterations": [1, 3]}, "tune.search.beta_iterations: closed has no such parameter"),
    ],
)
def test_invalid_search_ranges_are_refused(search, message):
    with pytest.raises(ConfigError, match=message):
        Settings(tune=Optuna(search=search))


def test_run_key_depends_on_what_determines_the_result_and_on_nothing_else():
    data = SimpleNamespace(digest="d")
    base = Settings(method=Closed(l2=10, dropout=0.1), rank=10)
    key = run_key(base, data, 10)
    elsewhere = dataclasses.replace(
        base, data_dir="x", tracking=Tracking(uri="http://h", dir="x"), rank=[10, 20], device="cuda", threads=1
    )
    assert run_key(elsewhere, data, 10) == key
    keys = [
        run_key(base, SimpleNamespace(digest="e"), 10),
        run_key(base, data, 11),
        run_key(base, data, "full"),
        run_key(dataclasses.replace(base, method=Closed(l2=11, dropout=0.1)), data, 10),
        run_key(dataclasses.replace(base, method=Closed(l2=10, dropout=0.2)), data, 10),
        run_key(dataclasses.replace(base, dtype="float64"), data, 10),
        run_key(dataclasses.replace(base, seed=1), data, 10),
        run_key(dataclasses.replace(base, tune=Optuna(search={"l2": [1, 10]})), data, 10),
    ]
    assert len({key, *keys}) == 1 + len(keys)


def test_study_key_depends_on_the_points_of_a_search_but_not_on_their_number():
    data = SimpleNamespace(digest="d")

    def key(**options) -> str:
        settings = Settings(tune=Optuna(**{"search": {"l2": [1, 10]}, **options}))
        return study_key(settings, settings.tune, data)

    assert key() == key(n_trials=99) == key(search={"l2": (1.0, 10.0), "dropout": None}) == key(grid_points=9)
    keys = [
        key(metric="ndcg_100_tail"),
        key(sampler="grid"),
        key(seed=1),
        key(metric="recall_20"),
        key(search={"l2": [1, 11]}),
        key(start="r"),
    ]
    assert len({key(), *keys}) == 1 + len(keys)


def test_the_batch_is_part_of_a_search_but_not_who_evaluates_it():
    data = SimpleNamespace(digest="d")

    def keys(batch: int, parallel=None) -> tuple[str, str]:
        tune = Optuna(search={"l2": [1, 10]}, batch=batch)
        settings = Settings(tune=tune, parallel=parallel or Alone(), rank=10)
        return study_key(settings, tune, data), run_key(settings, data, 10)

    assert keys(1) == keys(1, Processes()) == keys(1, Dask(scheduler="tcp://h:1", workers=3))
    assert len({*keys(1), *keys(2), *keys(3)}) == 6

"""gram=auto|dense|products: what is chosen and why, and what a job from products records."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient
from scipy.sparse import csr_array, random_array

from edlae_sweeps.cli.compose import conf_dir, register, typed
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.jobs import gram, plan, run_job
from edlae_sweeps.jobs.gram import choose_gram, settle_gram
from edlae_sweeps.methods import Admm, Closed, Svd, Unconstrained
from edlae_sweeps.resources import GIB, Resources
from edlae_sweeps.settings import Optuna, Settings, recorded_settings, run_key, study_key

SMALL = ("dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12",
         "dataset.topics=5", "dataset.heldout_users=50")  # fmt: skip
DATA = SimpleNamespace(digest="0" * 64)


def sparse(items: int) -> TrainingData:
    return TrainingData(csr_array(random_array((1000, items), density=5 / items, format="csr", rng=0)))


def resources(gib: float) -> Resources:
    return Resources(threads=2, memory=int(gib * GIB))


@pytest.mark.parametrize("items", [5418, 17_769, 20_108, 41_140])
@pytest.mark.parametrize("method", [Closed(), Unconstrained(), Svd()], ids=repr)
def test_auto_is_dense_for_the_published_data_sets_where_it_fits(method, items):
    for rank in (10, 1000, 5000):
        assert choose_gram(Settings(method=method, rank=rank), sparse(items), resources(64))[0] == "dense"


def test_auto_is_products_where_dense_does_not_fit():
    settings = Settings(rank=10)
    kind, reason = choose_gram(settings, sparse(100_000), resources(16))
    assert kind == "products"
    assert "a dense G takes about" in reason
    assert "16.0 GiB are available" in reason


def test_auto_is_products_where_dense_takes_hours_and_they_do_not(monkeypatch):
    settings, data, plenty = Settings(rank=10), sparse(100_000), resources(1000)
    assert choose_gram(settings, data, plenty)[0] == "products"
    monkeypatch.setattr(gram, "_DENSE_RATE", 1e15)
    assert choose_gram(settings, data, plenty)[0] == "dense"


@pytest.mark.parametrize("settings", [Settings(rank=[10, "full"]), Settings(method=Admm(), rank=10)], ids=repr)
def test_auto_stays_dense_for_what_needs_a_dense_gram(settings):
    kind, reason = choose_gram(settings, sparse(100_000), resources(16))
    assert kind == "dense"
    assert "gram=products" in reason


def test_a_choice_by_name_stands_and_is_told(caplog):
    data = sparse(100)
    assert not settle_gram(Settings(rank=5, gram="dense"), data, resources(16))[1].by_products
    with caplog.at_level(logging.INFO, "edlae_sweeps"):
        settings, training = settle_gram(Settings(rank=5, gram="products"), data, resources(16))
    assert (settings.gram, training.by_products) == ("products", True)
    assert "gram=products" in caplog.text


@pytest.mark.parametrize(
    "options",
    [{"rank": "full"}, {"rank": [5, "full"]}, {"method": Admm(), "rank": 5}, {"method": Closed(beta="iterate")}],
    ids=str,
)
def test_products_are_refused_before_the_data_are_read(options):
    with pytest.raises(ConfigError, match=r"gram=products|choose gram=dense"):
        Settings(gram="products", **options)


def test_only_products_change_the_keys():
    def keys(**options) -> tuple[str, str]:
        settings = Settings(rank=10, tune=Optuna(search={"l2": (1, 10)}), **options)
        return run_key(settings, DATA, 10), study_key(settings, settings.tune, DATA)

    dense = keys()
    assert keys(gram="dense") == keys(method=Closed(probes=5, cg_tol=0.1, exact_items=3)) == dense
    products = keys(gram="products")
    assert set(products).isdisjoint(dense)
    assert set(keys(gram="products", method=Closed(probes=5))).isdisjoint(products)


@pytest.mark.parametrize(("gib", "kind"), [(64, "dense"), (4, "products")])
def test_the_keys_of_auto_are_those_of_what_it_decided(gib, kind):
    data = sparse(30_000)

    def keys(**options) -> tuple[str, str]:
        unsettled = Settings(rank=10, tune=Optuna(search={"l2": (1, 10)}), **options)
        settings, training = settle_gram(unsettled, data, resources(gib))
        assert training.by_products == settings.by_products == (kind == "products")
        return run_key(settings, DATA, 10), study_key(settings, settings.tune, DATA)

    assert keys() == keys(gram=kind)


@pytest.fixture
def job(tmp_path: Path, new_store) -> Callable:
    """Run a job in a store in tmp_path; return its results and its cells in MLflow."""

    def call(*overrides: str) -> tuple:
        register()
        new_store(tmp_path)
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            settings = typed(compose("config", [*SMALL, f"tracking.dir={tmp_path}", *overrides]), Settings)
        output = tmp_path / f"output{len(list(tmp_path.glob('output*')))}"
        output.mkdir()
        results = run_job(settings, output, {})
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return settings, results, client.search_runs(ids, "tags.kind = 'cell'")

    return call


def test_a_job_from_products_logs_how_and_can_be_fitted_again(job, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.workers.bench.load_gram", lambda *_: pytest.fail("G was made"))
    monkeypatch.setattr("edlae_sweeps.jobs.run.load_gram", lambda *_: pytest.fail("G was made"))
    settings, (result,), (run,) = job("rank=5", "gram=products", "method.probes=30", "save_model=true")
    assert run.data.tags["gram"] == run.data.params["gram"] == "products"
    assert run.data.params["probes"] == "30"
    assert {"cg/columns", "cg/iterations", "cg/residual", "probes/error", "train/objective"} <= run.data.metrics.keys()
    assert "gram=products probes=30" in run.info.run_name
    note = run.data.tags["mlflow.note.content"]
    assert "fitted from products with X alone, without an n×n array (cg_tol = 0.0003, probes = 30)" in note
    assert "The estimated relative error of d is" in note
    assert result.method == "closed (products)"
    config = {"seed": 0, "dataset": settings.dataset.__dict__}
    again = recorded_settings(run.data.params, config, settings.data_dir, settings.tracking)
    assert again.gram == "products"
    assert run_key(again, DATA, 5) == run_key(replace(settings, gram="products"), DATA, 5)
    assert np.isfinite(list(result.metrics.values())).all()


def test_a_dense_job_has_the_parameters_it_always_had(job):
    _, (result,), (run,) = job("rank=5")
    assert not {"gram", "probes", "cg_tol", "exact_items"} & (run.data.params.keys() | run.data.tags.keys())
    assert not {"gram", "probes"} & json.loads(result.json())["params"].keys()


def test_workers_and_a_search_go_by_products(job, tmp_path):
    search = ("rank=[2,5]", "gram=products", "tune=optuna", "tune.n_trials=2", "tune.search.l2=[1,100]")
    _, here, _ = job(*search)
    _, there, _ = job(*search, "parallel=processes", "parallel.workers=2", "tune.search.dropout=null")
    assert {result.tags["gram"] for result in (*here, *there)} == {"products"}
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    evaluations = client.search_runs(ids, "tags.kind = 'evaluation'")
    assert {run.data.params["gram"] for run in evaluations} == {"products"}


@pytest.mark.parametrize("kind", ["auto", "dense", "products"])
def test_a_dry_run_shows_both_ways_with_the_times_of_its_table(job, capsys, caplog, monkeypatch, kind):
    with caplog.at_level(logging.INFO, "edlae_sweeps"):
        # 12,000 × 2,000 scores are to be ranked twice, here within seconds.
        monkeypatch.setattr(plan, "_SECONDS_PER_SCORE", 4e-8)
        size = ("dataset.n_users=60000", "dataset.n_items=2000", "dataset.heldout_users=12000")
        assert job("rank=5", f"gram={kind}", "dry_run=true", *size)[1] == []
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("gram=")]
    costs = re.search(r"dense G takes about (\S+) GiB and (\S+) s, from products about (\S+) GiB and (\S+) s", line)
    shown = capsys.readouterr().out
    (row,) = [row for row in shown.splitlines() if "closed-k5" in row]
    _, fit, _, evaluation, _, memory, _ = row.split()
    assert int(evaluation) > 0
    if kind == "products":
        assert "gram=products" in shown.replace("\n", "")
        assert (memory, fit) == costs.groups()[2:]
    else:
        assert line.startswith("gram=dense: ")
        assert memory == costs.group(1)


def test_a_dry_run_of_what_needs_a_dense_gram_speaks_of_no_products(job, caplog):
    with caplog.at_level(logging.INFO, "edlae_sweeps"):
        job("rank=5", "method=admm", "dry_run=true")
    assert "products" not in caplog.text

"""Products with X against the dense closed form on real data, in float32: paired on the same users."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cases import ALL_CORES

from edlae_sweeps.datasets import MovieLens1M, Prepared, TrainingData, load
from edlae_sweeps.evaluation import METRICS, evaluate
from edlae_sweeps.methods import Closed, Relaxed, Unconstrained

RANKS = (10, 100, 500)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(debian, debian_gram) -> TrainingData:
    return TrainingData(debian.train, gram=lambda: debian_gram)


def measured(method, data: TrainingData, prepared: Prepared) -> dict:
    """Rank → test metrics of each user, and training metrics."""
    state = method.prepare(data, max(RANKS), ALL_CORES)
    models = {rank: method.fit(state, rank) for rank in RANKS}
    return {
        rank: (evaluate(model, prepared.test, resources=ALL_CORES), state.training_metrics(model))
        for rank, model in models.items()
    }


def check_default_budget(method, data: TrainingData, prepared: Prepared) -> None:
    dense, products = (measured(method, given, prepared) for given in (data, data.with_products()))
    for rank in RANKS:
        (expected, fit), (metrics, other) = dense[rank], products[rank]
        assert abs(np.mean(metrics.values["ndcg_100"] - expected.values["ndcg_100"])) <= 0.001
        assert other["objective"] == pytest.approx(fit["objective"], rel=0.005)


# The others share the products, and their own part is checked on small problems.
_OTHERS = (Unconstrained(l2=10, dropout=0.1), Relaxed(l2=10, dropout=0.1))


@pytest.mark.parametrize(
    "method",
    [Closed(l2=10, dropout=0.1), *(pytest.param(method, marks=pytest.mark.soak) for method in _OTHERS)],
    ids=repr,
)
def test_the_default_budget_loses_nothing_that_matters(method, data, debian):
    check_default_budget(method, data, debian)


@pytest.mark.realdata
def test_movielens_1m_in_both_ways(tmp_path):
    # EDLAE_SWEEPS_ARCHIVES is a folder with ml-1m.zip.
    source = Path(os.environ.get("EDLAE_SWEEPS_ARCHIVES", "")) / "ml-1m.zip"
    if not source.is_file():
        pytest.skip("EDLAE_SWEEPS_ARCHIVES is not a folder with ml-1m.zip")
    shutil.copy(source, tmp_path)
    prepared = load(MovieLens1M(), tmp_path)
    data = TrainingData(prepared.train)
    method = Closed(l2=100, dropout=0.33)
    check_default_budget(method, data, prepared)
    exactly = replace(method, exact_items=data.n_items, cg_tol=3e-5)
    exact = measured(exactly, data.with_products(), prepared)
    dense = measured(method, data, prepared)
    for rank in RANKS:
        for name in METRICS:
            assert exact[rank][0].summary()[name] == pytest.approx(dense[rank][0].summary()[name], abs=2e-4)


def test_exact_items_give_the_golden_metrics(golden, data, debian):
    method = Closed(l2=10, dropout=0.1, exact_items=data.n_items)
    products = measured(method, data.with_products(), debian)
    for row in (row for row in golden["results"] if row["method"] == "closed" and row["rank"] in RANKS):
        metrics, fit = products[row["rank"]]
        for name in METRICS:
            assert metrics.summary()[name] == pytest.approx(row[name], abs=2e-4)
        assert fit["squared_error"] == pytest.approx(row["train_se"], rel=1e-3)
        assert fit["objective"] == pytest.approx(row["objective_eq7"], rel=1e-3)

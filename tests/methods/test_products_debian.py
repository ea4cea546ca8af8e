"""Products with X against the dense closed form on the shipped data, in float32: paired on the same users."""

import numpy as np
import pytest
from cases import ALL_CORES

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.evaluation import METRICS, evaluate
from edlae_sweeps.methods import Closed, Relaxed, Unconstrained

RANKS = (10, 100, 500)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(debian, debian_gram) -> TrainingData:
    return TrainingData(debian.train, gram=lambda: debian_gram)


def measured(method, data: TrainingData, debian) -> dict:
    """Rank → test metrics of each user, and training metrics."""
    state = method.prepare(data, max(RANKS), ALL_CORES)
    models = {rank: method.fit(state, rank) for rank in RANKS}
    return {
        rank: (evaluate(model, debian.test, resources=ALL_CORES), state.training_metrics(model))
        for rank, model in models.items()
    }


@pytest.mark.parametrize(
    "method", [Closed(l2=10, dropout=0.1), Unconstrained(l2=10, dropout=0.1), Relaxed(l2=10, dropout=0.1)], ids=repr
)
def test_the_default_budget_loses_nothing_that_matters(method, data, debian):
    dense, products = (measured(method, given, debian) for given in (data, data.with_products()))
    for rank in RANKS:
        (expected, fit), (metrics, other) = dense[rank], products[rank]
        assert abs(np.mean(metrics.ndcg_100 - expected.ndcg_100)) <= 0.001
        assert other["objective"] == pytest.approx(fit["objective"], rel=0.005)


def test_exact_items_give_the_golden_metrics(golden, data, debian):
    method = Closed(l2=10, dropout=0.1, exact_items=data.n_items)
    products = measured(method, data.with_products(), debian)
    for row in (row for row in golden["results"] if row["method"] == "closed" and row["rank"] in RANKS):
        metrics, fit = products[row["rank"]]
        for name in METRICS:
            assert metrics.summary()[name] == pytest.approx(row[name], abs=2e-4)
        assert fit["squared_error"] == pytest.approx(row["train_se"], rel=1e-3)
        assert fit["objective"] == pytest.approx(row["objective_eq7"], rel=1e-3)

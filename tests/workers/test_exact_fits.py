"""Models that fit their training data exactly: the sums of squared errors cancel, and none is logged below 0."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Prepared, Synthetic, TrainingData, load
from edlae_sweeps.methods import Closed, Method, Svd, Unconstrained, ZeroDiag
from edlae_sweeps.models.records import Epochs
from edlae_sweeps.resources import GIB, Resources
from edlae_sweeps.workers import Bench, FitTask, fit_ranks

RESOURCES = Resources(threads=1, memory=64 * GIB)
# λ that keeps A positive definite and changes nothing else.
L2 = 1e-6
CASES = [
    (Svd(), (2, 3), "float32", False),
    (Svd(), (2, 3), "float32", True),
    (Svd(), (3,), "float64", True),
    (Unconstrained(l2=L2, dropout=0), (3,), "float32", True),
    (Closed(l2=L2, dropout=0), (2, 3), "float32", True),
    (Closed(l2=L2, dropout=0), ("full",), "float64", False),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    settings = Synthetic(n_users=600, n_items=60, mean_events=15, topics=5, heldout_users=100)
    return load(settings, tmp_path_factory.mktemp("data"))


def silent(_label: str) -> AbstractContextManager:
    return nullcontext(lambda _done, _total: None)


def rank_three(n: int) -> csr_array:
    """Users of three kinds, who have nothing in common: X (200, n) has rank 3."""
    kinds = np.random.default_rng(0).integers(0, 3, 200)
    return csr_array((kinds[:, None] == np.arange(n) % 3).astype(float))


def raw(method: Method, ranks: tuple, training: TrainingData) -> float:
    """The least squared error as it is summed."""
    low = [rank for rank in ranks if rank != "full"]
    state = method.prepare(training, max(low, default=0), RESOURCES)
    return min(state.training_metrics(method.fit(state, rank))["squared_error"] for rank in ranks)


def test_squared_errors_are_never_below_zero(data):
    lowest, logged = [], []
    for method, ranks, dtype, by_products in CASES:
        training = TrainingData(rank_three(data.n_items), dtype, by_products=by_products)
        lowest.append(raw(method, ranks, training))
        task = FitTask(method, ranks, tuple(map(str, ranks)), False, False, False)
        metrics = [fit.measured.metrics for fit in fit_ranks(Bench(data, training, RESOURCES), task, silent)]
        logged += [values[name] for values in metrics for name in ("train/squared_error", "train/objective")]
        # Nothing is left to compare with at rank 3: a ratio would be one of rounding errors.
        assert all(values["train/ratio"] > 0.99 for values in metrics if "train/ratio" in values)
    assert min(lowest) < 0
    assert min(logged) >= 0
    assert np.isfinite(logged).all()


def test_nor_are_those_of_epochs(data, monkeypatch):
    series = {"train/squared_error": [-1e-9, 1.0], "train/objective": [float("nan"), -1.0], "odd": [-1.0]}
    monkeypatch.setattr(Epochs, "series", lambda _: series)
    training = TrainingData(data.train, "float64")
    task = FitTask(ZeroDiag(epochs=2), (3,), ("cell",), False, False, False)
    (fit,) = fit_ranks(Bench(data, training, RESOURCES), task, silent)
    history = fit.measured.history
    assert history["train/squared_error"] == [0.0, 1.0]
    # What is no number stays visible.
    assert np.isnan(history["train/objective"][0])
    assert history["train/objective"][1] == 0.0
    assert history["odd"] == [-1.0]

"""iALS: what the library minimises, the solution for a user's items, and options."""

from importlib.util import find_spec

import numpy as np
import pytest
from cases import ALL_CORES, PLENTY, topics
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError, MissingExtra, SolverError
from edlae_sweeps.methods import Ials
from edlae_sweeps.models import Factorisation, factorisation

needs_implicit = pytest.mark.skipif(find_spec("implicit") is None, reason="needs the extra implicit")
X = topics(120, 40)


def solved(F: np.ndarray, x: np.ndarray, l2: float, alpha: float) -> np.ndarray:
    """argmin over p of Σ c_i(x_i − f_i·p)² + λ‖p‖², c_i = α where x_i = 1 and 1 elsewhere, from dense matrices."""
    c = np.where(x > 0, alpha, 1.0)
    return np.linalg.solve(F.T @ (c[:, None] * F) + l2 * np.eye(F.shape[1]), F.T @ (c * x))


def exact_sweep(F: np.ndarray, l2: float, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """P for F, and F for that P, row by row."""
    P = np.array([solved(F, x, l2, alpha) for x in X])
    return P, np.array([solved(P, x, l2, alpha) for x in X.T])


def objective(P: np.ndarray, F: np.ndarray, l2: float, alpha: float) -> float:
    """As the docstring has it."""
    weights = np.where(X > 0, alpha, 1.0)
    return float(np.sum(weights * (X - P @ F.T) ** 2) + l2 * (np.sum(P**2) + np.sum(F**2)))


@pytest.fixture
def item_factors(monkeypatch) -> list[np.ndarray]:
    """The F of each model that is made."""
    made, original = [], Factorisation.of
    monkeypatch.setattr(Factorisation, "of", lambda F, *rest: made.append(F.copy()) or original(F, *rest))
    return made


@needs_implicit
@pytest.mark.parametrize(("l2", "alpha"), [(3.0, 10.0), (1.0, 1.0)])
def test_training_ends_where_exact_least_squares_ends(item_factors, l2, alpha):
    Ials(l2=l2, alpha=alpha, epochs=1000).fit(TrainingData(X, "float64"), 4, resources=PLENTY)
    F = item_factors[-1].astype(np.float64)
    P, again = exact_sweep(F, l2, alpha)
    assert np.linalg.norm(F) > 1
    np.testing.assert_allclose(again, F, atol=1e-4 * np.abs(F).max())
    # Exact sweeps from elsewhere end no lower; both may end in another minimum.
    other = np.random.default_rng(0).random(F.shape)
    for _ in range(300):
        start, other = exact_sweep(other, l2, alpha)
    assert objective(P, F, l2, alpha) == pytest.approx(objective(start, other, l2, alpha), rel=0.01)


@needs_implicit
def test_few_epochs_are_close_to_exact_sweeps(item_factors):
    # Three steps of conjugate gradients solve for three factors.
    Ials(l2=2, alpha=5, epochs=8, seed=3).fit(TrainingData(X, "float64"), 3, resources=PLENTY)
    random = np.random.default_rng(3)
    random.random((len(X), 3))
    F = random.random((X.shape[1], 3)) * 0.01
    for _ in range(8):
        _, F = exact_sweep(F, 2, 5)
    np.testing.assert_allclose(item_factors[-1], F, atol=1e-4 * np.abs(F).max())


@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 12),
    k=st.integers(1, 8),
    l2=st.floats(0.01, 100),
    alpha=st.floats(0.1, 100),
    size=st.integers(1, 2000),
)
def test_hidden_units_solve_the_weighted_ridge_regression(seed, n, k, l2, alpha, size):
    random = np.random.default_rng(seed)
    F = random.standard_normal((n, k))
    # Users without items too, and batches of a few.
    fold_in = (random.random((9, n)) < random.random((9, 1))).astype(float)
    model = Factorisation.of(F, l2, alpha)
    expected = np.array([F @ solved(F, x, l2, alpha) for x in fold_in])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factorisation, "BATCH_BYTES", size)
        np.testing.assert_allclose(model.scores(csr_array(fold_in)), expected, rtol=1e-7, atol=1e-9)


def test_values_of_a_basket_do_not_matter():
    model = Factorisation.of(np.random.default_rng(0).standard_normal((6, 2)), 1.0, 3.0)
    basket = csr_array(np.array([[1.0, 0, 0, 1, 0, 0]]))
    np.testing.assert_array_equal(model.scores(7 * basket), model.scores(basket))


def test_a_penalty_that_is_too_small_is_one_line():
    with pytest.raises(SolverError, match=r"l2=1e-30: too small"):
        Factorisation.of(np.outer(np.arange(1.0, 6), [1.0, 1.0]), 1e-30, 1.0)


@needs_implicit
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_training_error_is_that_of_the_scores(dtype, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.methods.ials._ROWS", 50)
    method, data = Ials(l2=3, alpha=10), TrainingData(X, dtype)
    state = method.prepare(data, 5, PLENTY)
    model = method.fit(state, 5)
    metrics = state.training_metrics(model)
    assert list(metrics) == ["squared_error"]
    residual = X - model.scores(data.X)
    assert metrics["squared_error"] == pytest.approx(np.sum(residual**2), rel=1e-5)
    # It has learned something: with scores of 0 the weighted error is α for each entry.
    assert np.sum(np.where(X > 0, 10, 1) * residual**2) < 0.7 * 10 * X.sum()
    assert model.record.metrics() == {"train/epochs": 15}


@needs_implicit
def test_the_seed_determines_the_model_and_threads_do_not():
    def trained(seed: int, resources=PLENTY) -> np.ndarray:
        return Ials(l2=3, alpha=10, epochs=3, seed=seed).fit(X, 5, resources=resources).V

    assert np.array_equal(trained(1), trained(1))
    np.testing.assert_allclose(trained(1, ALL_CORES), trained(1), atol=1e-5)
    assert not np.allclose(trained(1), trained(2))


@needs_implicit
def test_each_epoch_is_seen():
    models, done = [], []
    method = Ials(l2=3, alpha=10, epochs=4)
    model = method.fit(X, 3, resources=PLENTY, observe=models.append, advance=lambda *pair: done.append(pair))
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert np.array_equal(models[-1].V, model.V)
    assert not np.array_equal(models[0].V, model.V)
    assert len(model.record.series()["time/elapsed_seconds"]) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"l2": 0}, r"l2=0\.0: choose a number above 0"), ({"alpha": 0}, r"alpha=0\.0"), ({"alpha": -1}, "alpha=-1"),
        ({"l2": float("nan")}, "l2=nan"), ({"epochs": 0}, "epochs=0: choose 1 or more"), ({"seed": -1}, "seed=-1"),
    ],
)  # fmt: skip
def test_options_outside_their_range_are_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method.{message}"):
        Ials(**changes)


def test_without_the_library_it_names_the_extra(monkeypatch):
    monkeypatch.setattr("edlae_sweeps.methods.ials.find_spec", lambda _: None)
    for work in (lambda: Ials().require("cpu"), lambda: Ials().fit(X, 3, resources=PLENTY)):
        with pytest.raises(MissingExtra, match=r"pip install 'edlae_sweeps\[implicit\]'") as caught:
            work()
        assert "\n" not in str(caught.value)


def test_it_has_low_ranks_and_a_cpu_only():
    with pytest.raises(ConfigError, match="rank=full: ials has low ranks only"):
        Ials().check_rank("full")
    if find_spec("implicit"):
        with pytest.raises(ConfigError, match="device=cuda: ials runs on the CPU"):
            Ials().require("cuda")

"""Updates of the full-rank model by users who come or leave, against a fit to all users."""

import numpy as np
import pytest
from cases import topics, training
from conftest import problems
from hypothesis import given
from hypothesis import strategies as st
from reference import edlae, penalty
from scipy.sparse import csr_array

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError, DataError, SolverError
from edlae_sweeps.linalg import semidefinite_root
from edlae_sweeps.methods import Closed, Relaxed, Unconstrained, update
from edlae_sweeps.models import FullRank, load_model

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
X = topics(400, 70)
NOBODY = np.zeros((2, 70))
# Users who come to the first 150.
NEW = {
    "one user": X[150:151],
    "many users": X[150:],
    "more users than their items": X[150:, :] * (np.arange(70) < 9),
    "the same user often": np.repeat(X[150:151], 30, axis=0),
    "none has an item": NOBODY,
    "some have no item": np.vstack([NOBODY, X[150:153], NOBODY]),
    "all items": np.ones((3, 70)),
    "counts, not ones": 3.5 * X[150:160],
}


def fit(rows: np.ndarray, dropout: float, dtype: str = "float64", **options) -> FullRank:
    return Closed(l2=5, dropout=dropout, **options).fit(training(rows, dtype), "full")


def assert_same(model: FullRank, expected: FullRank) -> None:
    tolerance = TOLERANCE[str(expected.dtype)]
    assert model.dtype == expected.dtype
    np.testing.assert_allclose(model.B, expected.B, rtol=0, atol=tolerance)
    np.testing.assert_allclose(model.d, expected.d, rtol=tolerance)
    np.testing.assert_allclose(model.item_counts, expected.item_counts, rtol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("rows", NEW.values(), ids=NEW)
def test_the_update_is_the_fit_to_all_users_and_removal_undoes_it(rows, dropout, dtype):
    before, everyone = fit(X[:150], dropout, dtype), fit(np.vstack([X[:150], rows]), dropout, dtype)
    kept = before.B.copy()
    after = update(before, csr_array(rows), dropout=dropout)
    assert_same(after, everyone)
    assert_same(update(after, rows, dropout=dropout, remove=True), before)
    # The model that was given is not changed.
    np.testing.assert_array_equal(before.B, kept)


@given(problems(), st.integers(0, 2**31), st.integers(0, 6))
def test_the_update_is_the_column_by_column_solution(problem, seed, users):
    rows, l2, dropout = problem
    new = (np.random.default_rng(seed).random((users, rows.shape[1])) < 0.5).astype(float)
    model = update(Closed(l2=l2, dropout=dropout).fit(training(rows), "full"), new, dropout=dropout)
    everyone = np.vstack([rows, new])
    np.testing.assert_allclose(model.B, edlae(everyone, penalty(everyone, l2, dropout)), atol=1e-8)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_larger_than_a_block(dropout):
    wide = topics(500, 700)
    model = update(fit(wide[:300], dropout), wide[300:], dropout=dropout)
    assert_same(model, fit(wide, dropout))
    C = model.B / model.d
    np.testing.assert_allclose(C, C.T, rtol=0, atol=1e-16)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_several_updates_in_a_row(dropout, dtype):
    model = fit(X[:100], dropout, dtype)
    for start in range(100, 400, 10):
        model = update(model, X[start : start + 10], dropout=dropout)
    for start in range(0, 100, 20):
        model = update(model, X[start : start + 20], dropout=dropout, remove=True)
    assert_same(model, fit(X[100:], dropout, dtype))


def test_a_saved_model_keeps_its_names_and_recommends(tmp_path):
    names = [f"item {j}" for j in range(70)]
    fitted = Closed(l2=5, dropout=0.3).fit(TrainingData(X[:200], "float64", names), "full")
    model = update(load_model(fitted.save(tmp_path / "model")), X[200:], dropout=0.3)
    everyone = Closed(l2=5, dropout=0.3).fit(TrainingData(X, "float64", names), "full")
    assert_same(model, everyone)
    expected = everyone.recommend(names[:3])
    assert [item for item, _ in model.recommend(names[:3])] == [item for item, _ in expected]
    assert model.popular() == everyone.popular()


def test_an_update_needs_the_dropout_of_the_fit():
    before, everyone = fit(X[:150], 0.3), fit(X, 0.3)
    assert np.abs(update(before, X[150:], dropout=0).B - everyone.B).max() > 0.01


def test_other_items_and_other_models_are_refused():
    model = fit(X, 0.0)
    with pytest.raises(DataError, match="X has 69 items, but the model has 70"):
        update(model, X[:, 1:], dropout=0)
    with pytest.raises(ConfigError, match="dropout=1"):
        update(model, X, dropout=1)
    for method in (Unconstrained(l2=5, dropout=0), Relaxed(l2=5, dropout=0, xi=0.3)):
        with pytest.raises(DataError, match="no full-rank EDLAE"):
            update(method.fit(training(X), "full"), X, dropout=0)
    with pytest.raises(DataError, match="no full-rank EDLAE"):
        update(FullRank(model.B, np.full(70, np.nan)), X, dropout=0)
    with pytest.raises(DataError, match="no full-rank EDLAE"):
        update(Closed(l2=5, dropout=0).fit(training(X), 3), X, dropout=0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_users_who_were_not_there_cannot_leave(dropout):
    model = fit(X[:100], dropout)
    strangers = np.ones((120, 70))
    with pytest.raises(DataError, match="more users leave than have item 0"):
        update(model, strangers, dropout=dropout, remove=True)
    # Without counts, the matrix tells.
    with pytest.raises(SolverError, match=r"not positive definite.*remove only users"):
        update(FullRank(model.B, model.d), strangers, dropout=dropout, remove=True)


def test_root_of_a_semidefinite_matrix():
    random = np.random.default_rng(0)
    for rank in (0, 1, 5, 20):
        rows = random.standard_normal((rank, 20))
        Z = semidefinite_root(rows.T @ rows)
        assert Z.shape == (rank, 20)
        np.testing.assert_allclose(Z.T @ Z, rows.T @ rows, atol=1e-12)

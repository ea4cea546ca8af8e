"""What holds for every linear method, type and shape of data."""

import tracemalloc

import numpy as np
import pytest
from cases import LINEAR, LINEAR_CASES, PLENTY, SHAPES, TRAINED, has_rank, topics, training
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import METHODS, Admm, AdmmPublished, Closed, Dan, Deql, Relaxed, Svd, Unconstrained, ZeroDiag
from edlae_sweeps.models import FullRank, LowRank


def test_every_registered_method_is_under_test():
    assert LINEAR.keys() | TRAINED.keys() == METHODS.keys()


@pytest.mark.parametrize("method", LINEAR_CASES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_every_rank(method, dtype, shape):
    X = SHAPES[shape].astype(dtype)
    n = X.shape[1]
    data = training(X, dtype)
    before = data.gram.copy()
    state = method.prepare(data, n, PLENTY)
    assert np.array_equal(data.gram, before)
    ranks = [rank for rank in (1, min(3, n), n, "full") if has_rank(method, rank, X)]
    for rank in ranks:
        model = method.fit(state, rank)
        scores = model.scores(csr_array(X))
        assert scores.shape == X.shape
        assert scores.dtype == dtype
        assert np.isfinite(scores).all()
        if rank == "full":
            assert isinstance(model, FullRank)
            assert model.B.shape == (n, n)
        else:
            assert isinstance(model, LowRank)
            assert model.U.shape == model.V.shape == (n, rank)
        metrics = state.training_metrics(model)
        assert np.isfinite([metrics["squared_error"], metrics["objective"]]).all()
        assert np.array_equal(data.gram, before)
    if "full" in ranks:
        # The same model without any low rank.
        alone = method.fit(data, "full", resources=PLENTY)
        np.testing.assert_allclose(alone.scores(csr_array(X)), scores, rtol=1e-5)


# One of each way to compute, with as few steps as reach the peak.
MEMORY_CASES = [
    Closed(),
    Closed(beta="column_max"),
    Closed(beta="iterate", beta_iterations=1),
    Closed(polish="v_step"),
    Closed(polish="lbfgs", polish_iterations=3),
    Admm(epochs=2),
    AdmmPublished(epochs=2),
    ZeroDiag(epochs=2),
    Unconstrained(),
    Relaxed(),
    Deql(),
    Dan(),
    Dan(cut="W", beta=0),
    Svd(),
    Svd(row_weights="inverse_activity"),
]


@pytest.mark.parametrize("method", MEMORY_CASES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", ["full", 40, 800])
def test_memory_estimate_matches_the_measured_peak(method, dtype, rank):
    n = 800
    X = topics(900, n)
    if not has_rank(method, rank, X):
        return
    data = training(csr_array(X), dtype)
    gram_bytes = data.gram.nbytes
    # Computed once by the first step that needs them.
    assert len(data.item_counts) == n
    tracemalloc.start()
    model = method.fit(data, rank, resources=PLENTY)
    measured = tracemalloc.get_traced_memory()[1] + gram_bytes
    tracemalloc.stop()
    estimate = method.estimate(data, [rank], PLENTY)
    # The blocks of a mirrored triangle do not grow with n.
    assert measured <= 1.02 * estimate.bytes + 5e6 * data.dtype.itemsize / 8
    assert estimate.bytes <= 1.5 * measured
    assert estimate.model_bytes == sum(array.nbytes for array in model.arrays().values())
    if rank != "full":
        assert estimate.model_bytes == model.size * data.dtype.itemsize


@pytest.mark.parametrize(
    ("l2", "dropout"),
    [(-1, 0), (1e16, 0), (float("nan"), 0), (float("inf"), 0), (1, 1), (1, -0.1), (1, float("nan")), (1, 1.5)],
)
def test_penalties_outside_their_range_are_refused(l2, dropout):
    with pytest.raises(ConfigError, match=r"method\.(l2|dropout)="):
        Closed(l2=l2, dropout=dropout)


@pytest.mark.parametrize("xi", [-0.1, 1.1, float("nan")])
def test_bounds_of_the_diagonal_outside_their_range_are_refused(xi):
    with pytest.raises(ConfigError, match=r"method\.xi="):
        Relaxed(xi=xi)


def test_svd_has_no_full_rank():
    with pytest.raises(ConfigError, match="svd at full rank is the identity"):
        Svd().check_rank("full")


def test_a_singular_problem_without_penalty_names_the_remedy():
    data = training(SHAPES["items never seen"])
    with pytest.raises(SolverError, match=r"raise method\.l2 or method\.dropout"):
        Closed(l2=0, dropout=0).prepare(data, 1, PLENTY)

"""The low-rank step in each of its layouts: the same model from two arrays by either solver, or from one."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from cases import PLENTY, topics

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import SolverError
from edlae_sweeps.methods import Closed, Dan, Deql, Relaxed, Unconstrained
from edlae_sweeps.methods.closed import low_rank
from edlae_sweeps.methods.closed.closed import column_max
from edlae_sweeps.methods.closed.in_place import solve_in_place
from edlae_sweeps.methods.closed.inverse import edlae_diagonal
from edlae_sweeps.methods.closed.low_rank import choose_layout, layout_bytes, solve_low_rank, zero_guess
from edlae_sweeps.resources import GIB, PROCESS_BYTES, Resources

# A dense solver takes more memory than the block method at this K.
N, K = 400, 60
MEMBERS = {
    "closed": Closed(l2=5, dropout=0.2, eig_tol=1e-10),
    "closed, column_max": Closed(l2=5, dropout=0.2, beta="column_max", eig_tol=1e-10),
    "unconstrained": Unconstrained(l2=5, dropout=0.2, eig_tol=1e-10),
    "relaxed": Relaxed(l2=5, dropout=0.2, xi=0.3, eig_tol=1e-10),
    "deql": Deql(l2=5, dropout=0.2, rho=0.7, eig_tol=1e-10),
    "dan": Dan(l2=5, dropout=0.2, alpha=0.3, beta=0, eig_tol=1e-10),
    "dan, cut W": Dan(l2=5, dropout=0.2, alpha=0.3, beta=0, cut="W", eig_tol=1e-10),
    # Rounding would swallow C beside M if d is next to nothing beside G.
    "unconstrained, tiny d": Unconstrained(l2=1e-3, dropout=0, eig_tol=1e-10),
}


@pytest.fixture(scope="module", name="X")
def training_matrix() -> np.ndarray:
    return topics(3 * N, N)


def memory_for(layout: str, n: int, k: int, itemsize: int) -> Resources:
    """Just enough memory for a layout."""
    return replace(PLENTY, memory=PROCESS_BYTES + layout_bytes(layout, n, k, itemsize))


@pytest.mark.parametrize("method", MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("layout", ["blocks", "lean"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float32", 2e-3)])
def test_layouts_give_the_same_model(method, layout, dtype, tolerance, X, monkeypatch):
    reference = replace(method, eig_tol=0).fit(TrainingData(X, "float64"), K, resources=PLENTY)
    assert reference.record.solver == "dense"
    data = TrainingData(X, dtype)
    before = data.gram.copy()
    monkeypatch.setattr(low_rank, "choose_layout", lambda *_: layout)
    state = method.prepare(data, K, PLENTY)
    model = method.fit(state, K)
    assert model.U.dtype == model.V.dtype == dtype
    assert model.U.flags.c_contiguous
    assert model.V.flags.c_contiguous
    W = reference.U @ reference.V.T
    np.testing.assert_allclose(model.U @ model.V.T, W, atol=tolerance * np.abs(W).max())
    assert model.record.solver == "block"
    assert model.record.lean == (layout == "lean")
    assert model.record.gap <= 1e-10 or dtype == "float32"
    assert np.array_equal(data.gram, before)
    assert (state.kept is None) == (layout == "lean")
    # The full rank is computed anew if it was not kept.
    alone = method.fit(data, "full", resources=PLENTY)
    np.testing.assert_allclose(method.fit(state, "full").B, alone.B, atol=1e-6)


@pytest.mark.parametrize(("layout", "tags"), [("dense", "dense"), ("blocks", "block"), ("lean", "block, lean")])
def test_memory_alone_chooses_the_layout(layout, tags, X):
    # At half of the spectrum the dense solver is the quicker one.
    data, method, k = TrainingData(X), MEMBERS["closed"], N // 2
    resources = memory_for(layout, N, k, 4)
    assert method.fit(data, k, resources=resources).record.tags() == {"eigensolver": tags}
    assert method.estimate(data, [k], resources).bytes == layout_bytes(layout, N, k, 4)


@pytest.mark.parametrize("layout", ["dense", "blocks", "lean"])
def test_ridge_without_penalty_is_the_identity_and_its_best_pair_that_of_svd(layout, X):
    # Five more users for each item make G invertible.
    data = TrainingData(np.vstack([X, *[np.eye(N)] * 5]), "float64")
    method = Unconstrained(l2=0, dropout=0, eig_tol=1e-10)
    model = method.fit(data, K, resources=memory_for(layout, N, K, 8))
    np.testing.assert_allclose(model.U, model.V, atol=1e-9)
    theta = np.linalg.eigvalsh(data.gram)[::-1][:K]
    np.testing.assert_allclose(np.einsum("ij,ij->j", model.V, data.gram @ model.V), theta, rtol=1e-6)


@pytest.mark.parametrize("layout", ["blocks", "dense"])
def test_full_rank_of_weighted_data_with_a_guess_of_the_diagonal(layout):
    X = np.random.default_rng(0).random((400, 80)) < 0.1
    X = X * np.where(np.arange(80) % 7, 1.0, 300.0)
    penalty = np.full(80, 5.0)
    G = (X.T @ X).astype("float32")
    _, full, _ = solve_in_place(G, penalty, 10, edlae_diagonal, column_max, 1e-8, layout)
    _, exact, _ = solve_low_rank(X.T @ X, penalty, 10, edlae_diagonal, column_max, 1e-8, 64 * GIB)
    assert np.abs(full.B - exact.B).max() < 5e-5


@pytest.mark.parametrize("kind", ["Fortran", "read-only", "strided"])
def test_g_may_be_any_array(kind, X):
    G, penalty = X.T @ X, np.full(N, 5.0)
    reference, *_ = solve_in_place(G.copy(), penalty, K, edlae_diagonal, zero_guess, 1e-8, "lean")
    given = {"Fortran": np.asfortranarray(G), "read-only": G.copy(), "strided": np.repeat(G, 2, axis=1)[:, ::2]}[kind]
    given.flags.writeable = kind != "read-only"
    model, *_ = solve_in_place(given, penalty, K, edlae_diagonal, zero_guess, 1e-8, "lean")
    np.testing.assert_allclose(model.U @ model.V.T, reference.U @ reference.V.T, atol=1e-9)
    assert np.array_equal(given, G)


@pytest.mark.parametrize("layout", ["dense", "blocks", "lean"])
def test_g_is_restored_if_it_can_not_be_inverted(layout, X):
    X = X.copy()
    X[:, 3] = 0
    data = TrainingData(X, "float64")
    before = data.gram.copy()
    with pytest.raises(SolverError, match="can't be inverted"):
        Closed(l2=0, dropout=0).prepare(data, K, memory_for(layout, N, K, 8))
    assert np.array_equal(data.gram, before)


def test_the_quickest_layout_that_fits():
    n, k, tolerance = 20_000, 500, 1e-7
    two, one = (layout_bytes(layout, n, k, 4) for layout in ("blocks", "lean"))
    rooms = {"plenty": 2 * two, "just two arrays": two, "less than two": two - 1, "less than one": 0}
    layouts = {name: choose_layout(n, k, 4, tolerance, room) for name, room in rooms.items()}
    assert layouts == {
        "plenty": "blocks",
        "just two arrays": "blocks",
        "less than two": "lean",
        "less than one": "lean",
    }
    assert one < 1.3 * 4 * n * n
    assert two < 2.2 * 4 * n * n
    # LAPACK if it is quicker and fits, or if no gap is allowed.
    assert choose_layout(500, 200, 8, tolerance, 8 * GIB) == "dense"
    assert choose_layout(500, 200, 8, tolerance, 0) == "lean"
    assert choose_layout(n, k, 4, 0.0, 0) == "dense"


@pytest.mark.parametrize("layout", ["blocks", "lean"])
def test_memory_estimate_of_a_layout_matches_the_measured_peak(layout):
    n, k = 1500, 8
    data, method = TrainingData(topics(3 * n, n)), Closed(l2=5, dropout=0.2)
    gram_bytes = data.gram.nbytes
    assert len(data.item_counts) == n
    resources = memory_for(layout, n, k, 4)
    tracemalloc.start()
    model = method.fit(data, k, resources=resources)
    measured = tracemalloc.get_traced_memory()[1] + gram_bytes
    tracemalloc.stop()
    assert model.record.lean == (layout == "lean")
    estimate = method.estimate(data, [k], resources).bytes
    assert measured <= 1.02 * estimate + 1e6
    assert estimate <= 1.3 * measured

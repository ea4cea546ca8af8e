"""The low-rank step in each of its layouts: the same model from three arrays, two, or one."""

import tracemalloc

import numpy as np
import pytest
from conftest import closed

from edlae_sweeps import machine
from edlae_sweeps.errors import SolverError
from edlae_sweeps.methods import Beta, Relaxed, Unconstrained
from edlae_sweeps.methods.low_rank import choose_layout, layout_bytes

N = 400
MEMBERS = {
    "closed": closed(5.0, 0.2, eig_tol=1e-10),
    "closed, column_max": closed(5.0, 0.2, Beta.column_max, eig_tol=1e-10),
    "unconstrained": Unconstrained(5.0, 0.2, 1e-10),
    "relaxed": Relaxed(5.0, 0.2, 1e-10, 0.3),
    # C can't be told from M where d is next to nothing beside G.
    "unconstrained, hardly": Unconstrained(1e-3, 0.0, 1e-10),
}


def gram(dtype: str = "float64", n: int = N) -> np.ndarray:
    """Of users who like some of a few topics: a spectrum that decays."""
    random = np.random.default_rng(0)
    chances = random.random((3 * n, 8)) ** 4 @ random.random((8, n)) ** 4
    X = (random.random((3 * n, n)) < 0.5 * chances / chances.max()).astype(dtype)
    return X.T @ X


def fit(method, G: np.ndarray, k: int, layout: str, monkeypatch):
    """The state of `factorise` and its model, in a layout."""
    monkeypatch.setattr("edlae_sweeps.methods.low_rank.choose_layout", lambda *_: layout)
    state = method.factorise(G, method.penalty(G), k)
    return state, method.at_rank(state, k)


@pytest.mark.parametrize("method", MEMBERS.values(), ids=MEMBERS)
@pytest.mark.parametrize("layout", ["blocks", "lean"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float32", 2e-3)])
def test_layouts_give_the_same_model(method, layout, dtype, tolerance, monkeypatch):
    reference_G = gram()
    _, reference = fit(method, reference_G, 20, "dense", monkeypatch)
    G = gram(dtype)
    state, model = fit(method, G, 20, layout, monkeypatch)
    assert model.U.dtype == model.V.dtype == dtype
    assert model.U.flags.c_contiguous
    assert model.V.flags.c_contiguous
    W = reference.U @ reference.V.T
    np.testing.assert_allclose(model.U @ model.V.T, W, atol=tolerance * np.abs(W).max())
    assert model.solved.solver == "block"
    assert model.solved.lean == (layout == "lean")
    assert model.solved.gap <= 1e-10 or dtype == "float32"
    assert np.array_equal(G, reference_G)
    assert (method.full_rank(state) is None) == (layout == "lean")
    # Where it was not kept, it is computed.
    np.testing.assert_allclose(
        method.at_rank(state, "full").B, method.at_rank(method.factorise(G, method.penalty(G), 0), "full").B, atol=1e-6
    )


@pytest.mark.parametrize("layout", ["dense", "blocks", "lean"])
def test_without_any_penalty_ridge_is_the_identity_and_its_best_pair_that_of_svd(layout, monkeypatch):
    G = gram() + 5 * np.eye(N)
    _, model = fit(Unconstrained(0.0, 0.0, 1e-10), G, 20, layout, monkeypatch)
    np.testing.assert_allclose(model.U, model.V, atol=1e-9)
    theta = np.linalg.eigvalsh(G)[::-1][:20]
    np.testing.assert_allclose(np.einsum("ij,ij->j", model.V, G @ model.V), theta, rtol=1e-6)


@pytest.mark.parametrize("layout", ["blocks", "dense"])
def test_full_rank_of_weighted_data_with_a_guess_of_the_diagonal(layout, monkeypatch):
    X = np.random.default_rng(0).random((400, 80)) < 0.1
    X = X * np.where(np.arange(80) % 7, 1.0, 300.0)
    method = closed(5.0, 0.0, Beta.column_max)
    state, _ = fit(method, (X.T @ X).astype("float32"), 10, layout, monkeypatch)
    exact, _ = fit(method, X.T @ X, 10, "dense", monkeypatch)
    assert np.abs(method.full_rank(state).B - method.full_rank(exact).B).max() < 5e-5


@pytest.mark.parametrize("kind", ["Fortran", "read-only", "strided"])
def test_g_may_be_any_array(kind, monkeypatch):
    G = gram()
    _, reference = fit(closed(5.0, 0.2), G, 20, "blocks", monkeypatch)
    given = {"Fortran": np.asfortranarray(G), "read-only": G.copy(), "strided": np.repeat(G, 2, axis=1)[:, ::2]}[kind]
    given.flags.writeable = kind != "read-only"
    _, model = fit(closed(5.0, 0.2), given, 20, "blocks", monkeypatch)
    np.testing.assert_allclose(model.U @ model.V.T, reference.U @ reference.V.T, atol=1e-9)
    assert np.array_equal(given, G)


def test_g_is_put_right_when_its_own_array_can_not_be_inverted(monkeypatch):
    G = gram()
    G[:, 3] = G[3] = 0
    before = G.copy()
    with pytest.raises(SolverError, match="can't be inverted"):
        fit(closed(0.0, 0.0), G, 20, "blocks", monkeypatch)
    assert np.array_equal(G, before)


def test_the_quickest_layout_that_fits():
    n, k, tolerance = 20_000, 500, 1e-7
    two, one = (layout_bytes(layout, n, k, 4) for layout in ("blocks", "lean"))
    left = {"plenty": two, "just two": two - 4 * n * n, "not two": two - 4 * n * n - 1, "hardly one": 0}
    chosen = {what: choose_layout(n, k, 4, tolerance, room + machine.PROCESS_BYTES) for what, room in left.items()}
    assert chosen == {"plenty": "blocks", "just two": "blocks", "not two": "lean", "hardly one": "lean"}
    assert one < 1.3 * 4 * n * n
    assert two < 2.1 * 4 * n * n
    # LAPACK where it is quicker, blocks where it does not fit, and LAPACK alone where nothing may be missed.
    assert choose_layout(500, 200, 8, tolerance, machine.GIB * 8) == "dense"
    assert choose_layout(500, 200, 8, tolerance, 0) == "lean"
    assert choose_layout(n, k, 4, 0.0, 0) == "dense"


@pytest.mark.parametrize("layout", ["blocks", "lean"])
def test_memory_estimate_of_a_layout_is_what_is_used(layout, monkeypatch):
    n, k = 1500, 8
    G = gram("float32", n)
    fit(closed(5.0, 0.2), gram("float32", 50), 5, layout, monkeypatch)
    tracemalloc.start()
    fit(closed(5.0, 0.2), G, k, layout, monkeypatch)
    measured = tracemalloc.get_traced_memory()[1] + G.nbytes
    tracemalloc.stop()
    estimate = layout_bytes(layout, n, k, 4)
    assert measured <= 1.02 * estimate + 1e6
    assert estimate <= 1.3 * measured

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import block_krylov, krylov, leading_eigenpairs, small, uses_blocks
from edlae_sweeps.linalg.small import small_eigenpairs


def with_eigenvalues(theta: np.ndarray, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    """M with the eigenvalues `theta`, and its eigenvectors in the same order."""
    Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((len(theta), len(theta))))
    return ((Q * theta) @ Q.T).astype(dtype), Q


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-10)])
@pytest.mark.parametrize("k", [1, 10, 60, 200])
@pytest.mark.parametrize("overwrite", [True, False])
def test_lapack_finds_known_eigenpairs(k, dtype, tolerance, overwrite):
    theta = np.linspace(100, 1, 200)
    m, Q = with_eigenvalues(theta, dtype)
    given_m = m.copy()
    pairs = leading_eigenpairs(given_m, k, 0.0, overwrite)
    np.testing.assert_allclose(pairs.values, theta[:k], rtol=tolerance)
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, Q[:, :k] @ Q[:, :k].T, atol=tolerance)
    assert pairs.vectors.shape == (200, k)
    assert pairs.vectors.dtype == dtype
    assert (pairs.gap, pairs.steps) == (0.0, 0)
    assert overwrite or np.array_equal(given_m, m)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("k", [1, 10, 100, 300])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_blocks_capture_energy_up_to_the_tolerance(k, decay, dtype, tolerance):
    theta = 1000 * np.arange(1, 1201) ** -decay
    m, _ = with_eigenvalues(theta, dtype)
    pairs = block_krylov(lambda Y: m @ Y, len(m), k, dtype, tolerance)
    assert pairs.steps > 0
    assert pairs.gap <= tolerance
    captured = np.trace(pairs.vectors.T.astype(float) @ m @ pairs.vectors)
    assert 1 - captured / theta[:k].sum() <= tolerance
    np.testing.assert_allclose(pairs.values.sum(), captured, rtol=1e-5)
    np.testing.assert_allclose(pairs.vectors.T @ pairs.vectors, np.eye(k), atol=1e-4 if dtype == "float32" else 1e-12)
    assert np.all(np.diff(pairs.values) <= 1e-6 * theta[0])


def test_the_estimated_gap_bounds_the_true_one():
    for decay in (0.3, 1.0, 3.0):
        theta = np.arange(1, 1001.0) ** -decay
        m, _ = with_eigenvalues(theta)
        for tolerance in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
            pairs = block_krylov(lambda Y, m=m: m @ Y, len(m), 50, "float64", tolerance)
            assert 1 - pairs.values.sum() / theta[:50].sum() <= max(pairs.gap, 1e-12)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
def test_the_tolerance_bounds_the_angles_too(tolerance):
    """The first eigenvalue has nearly all of the energy: the share that is missed says little of the others."""
    theta = np.concatenate([[1e6], 10 * np.arange(1, 1200.0) ** -0.5])
    m, Q = with_eigenvalues(theta)
    k = 40
    V = block_krylov(lambda Y: m @ Y, len(m), k, "float64", tolerance).vectors
    sines = 1 - np.sum((Q[:, :k].T @ V) ** 2, axis=0)
    assert np.mean(sines) <= tolerance


@given(st.integers(2, 60), st.data())
def test_blocks_handle_low_rank_matrices_of_every_size(n, data):
    """The Krylov space of the starting block is exhausted before the basis is large enough."""
    rank, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    X = np.random.default_rng(n).standard_normal((rank, n)) * 3.0 ** -np.arange(rank)[:, None]
    m = X.T @ X
    pairs = block_krylov(lambda Y: m @ Y, n, k, "float64", 1e-9)
    expected = np.linalg.eigvalsh(m)[::-1][:k]
    np.testing.assert_allclose(pairs.values.sum(), expected.sum(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(pairs.vectors.T @ pairs.vectors, np.eye(k), atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [2, 3, 5, 9])
def test_blocks_handle_large_matrices_of_a_rank_below_k(rank, dtype):
    for seed in range(10):
        X = (np.random.default_rng(seed).random((rank, 700)) < 0.05).astype(dtype)
        m = X.T @ X
        pairs = block_krylov(lambda Y, m=m: np.asfortranarray(m @ Y), 700, 10, dtype, 1e-8)
        expected = np.linalg.eigvalsh(m.astype(np.float64))[::-1][:10]
        np.testing.assert_allclose(pairs.values, expected, atol=1e-5 * expected[0])
        np.testing.assert_allclose(pairs.vectors.T @ pairs.vectors, np.eye(10), atol=1e-4)


@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0])
def test_eigenpairs_of_a_large_basis_are_checked_only_a_few_times(decay, monkeypatch):
    checks = []
    eigenpairs = krylov.Basis.eigenpairs
    monkeypatch.setattr(krylov.Basis, "eigenpairs", lambda self, k: (checks.append(self.m), eigenpairs(self, k))[1])
    theta = 1000 * np.arange(1, 2001) ** -decay
    m, _ = with_eigenvalues(theta, "float32")
    pairs = block_krylov(lambda Y: np.asfortranarray(m @ Y), len(m), 300, "float32", 1e-8)
    assert len([columns for columns in checks if columns >= 600]) <= 3 < pairs.steps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1500, 6000])
def test_the_workspace_is_the_measured_peak(n, dtype, monkeypatch):
    """At the smaller n the first look takes most memory, at the larger one the second look or V."""
    k, theta, widths = 450, (1 / np.arange(1, n + 1)).astype(dtype)[:, None], []

    def product(Y: np.ndarray) -> np.ndarray:
        widths.append(Y.shape[1])
        return np.asfortranarray(theta * Y)

    block_krylov(product, n, k, dtype, 1e-5)
    columns = sum(widths)
    assert columns > 1000
    monkeypatch.setattr(krylov, "basis_columns", lambda *_: columns)
    tracemalloc.start()
    block_krylov(product, n, k, dtype, 1e-5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = krylov.block_workspace(n, k, np.dtype(dtype).itemsize)
    assert 0.97 * expected < peak < 1.01 * expected


def test_an_unreachable_tolerance_is_an_error_with_a_remedy():
    # The eigenvalues are nearly equal, so that no direction stands out until the basis spans the whole space.
    theta = 1 + 1e-3 * np.linspace(1, 0, 4000)
    Q = np.random.default_rng(1).standard_normal(4000)
    Q /= np.linalg.norm(Q)

    def product(Y: np.ndarray) -> np.ndarray:
        Z = Y - 2 * np.outer(Q, Q @ Y)
        Z *= theta[:, None]
        return np.asfortranarray(Z - 2 * np.outer(Q, Q @ Z))

    with pytest.raises(SolverError, match=r"not 1e-12: raise method\.eig_tol"):
        block_krylov(product, 4000, 5, "float64", 1e-12)


def test_blocks_are_chosen_for_large_matrices_and_small_ranks():
    assert uses_blocks(20_108, 10, 1e-5, 4)
    assert uses_blocks(20_108, 5_000, 1e-5, 4)
    assert uses_blocks(5_418, 500, 1e-5, 4)
    assert not uses_blocks(5_418, 4_000, 1e-5, 4)
    assert not uses_blocks(20_108, 10, 0.0, 4)


def test_blocks_and_lapack_agree():
    theta = 1000 * np.arange(1, 1201) ** -1.0
    m, _ = with_eigenvalues(theta)
    assert uses_blocks(1200, 30, 1e-8, 8)
    blocks, dense = (leading_eigenpairs(m, 30, tolerance) for tolerance in (1e-8, 0.0))
    assert blocks.steps > 0
    np.testing.assert_allclose(blocks.values, dense.values, rtol=1e-7)


def spread(n: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """A float32 matrix with a few large and many small, close eigenvalues, and its exact eigenvectors."""
    m, _ = with_eigenvalues(np.concatenate([[1e5, 3e4, 1e4], np.linspace(30, 1, n - 3)]), "float32")
    m = np.triu(m) + np.triu(m, 1).T
    return m, np.linalg.eigh(m.astype(np.float64))[1][:, ::-1]


@pytest.mark.parametrize("tolerance", [0.0, 1e-12])
@pytest.mark.parametrize("k", [50, 300])
def test_the_cut_at_k_is_sharp_in_float32(k, tolerance):
    """LAPACK's divide and conquer in float32 would mix the last vector kept with the first one cut."""
    m, exact = spread()
    if tolerance:
        V = block_krylov(lambda Y: np.asfortranarray(m @ Y), len(m), k, "float32", tolerance).vectors
    else:
        V = leading_eigenpairs(m, k, 0.0).vectors
    assert np.linalg.norm(V - exact[:, :k] @ (exact[:, :k].T @ V), 2) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "k"), [(1, 1), (2, 1), (31, 31), (32, 5), (33, 33), (150, 40)])
def test_small_eigenpairs_are_those_of_the_whole_spectrum(m, k, dtype):
    H = with_eigenvalues(np.linspace(5, -3, m), dtype)[0]
    H = np.asfortranarray(H + H.T) / 2
    values, S = small_eigenpairs(H.copy(order="F"), k)
    expected = np.linalg.eigvalsh(H.astype(np.float64))[::-1][:k]
    precision = np.finfo(dtype).eps
    assert S.dtype == dtype
    np.testing.assert_allclose(values, expected, atol=100 * precision)
    np.testing.assert_allclose(S.T @ S, np.eye(k), atol=100 * precision)
    np.testing.assert_allclose(H @ S, S * values.astype(dtype), atol=200 * precision)


def test_small_eigenpairs_where_mrrr_gives_up(monkeypatch):
    """Two of three spectra of H made LAPACK's stemr fail in float32; in float64 none was seen."""
    m, exact = spread()
    drivers, tridiagonal = [], small.eigh_tridiagonal

    def failing(*args: object, lapack_driver: str, **options: object) -> object:
        drivers.append(lapack_driver)
        if lapack_driver == "stemr":
            raise small.LinAlgError("info = 22")
        return tridiagonal(*args, lapack_driver=lapack_driver, **options)

    monkeypatch.setattr(small, "eigh_tridiagonal", failing)
    _, V = small_eigenpairs(np.asfortranarray(m), 50)
    assert drivers == ["stemr", "stebz"]
    np.testing.assert_allclose(V.T @ V, np.eye(50), atol=1e-5)
    assert np.linalg.norm(V - exact[:, :50] @ (exact[:, :50].T @ V), 2) < 0.05


def test_small_eigenpairs_that_are_not_finite_are_refused():
    with pytest.raises(SolverError, match="not finite"):
        small_eigenpairs(np.full((40, 40), np.nan, order="F"), 2)


def test_ranks_out_of_range_are_refused():
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k = {k}"):
            leading_eigenpairs(np.eye(3), k, 1e-5)

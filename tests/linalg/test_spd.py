import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import spd as spd_module
from edlae_sweeps.linalg.spd import (
    invert_upper,
    lower_product,
    mirror_upper,
    set_above,
    upper_blocks,
    upper_product,
)
from edlae_sweeps.resources import blas_threads


def spd(n: int, dtype: str = "float64") -> np.ndarray:
    Z = np.random.default_rng(n).standard_normal((n + 5, n))
    return (Z.T @ Z + np.eye(n)).astype(dtype)


def inverted(a: np.ndarray) -> np.ndarray:
    """A⁻¹ in the array of A."""
    invert_upper(a)
    mirror_upper(a)
    return a


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-10)])
@pytest.mark.parametrize("n", [1, 2, 37, 1500])
def test_the_inverse_is_in_place(n, dtype, tolerance):
    a = spd(n, dtype)
    original = a.astype(np.float64)
    inverse = inverted(a)
    assert np.array_equal(inverse, inverse.T)
    np.testing.assert_allclose(original @ inverse, np.eye(n), atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_singular_matrices_are_refused(dtype):
    with pytest.raises(SolverError, match="not positive definite"):
        inverted(np.array([[1, 2], [2, 1]], dtype))
    duplicated = np.random.default_rng(0).random((50, 20)).astype(dtype)
    duplicated[:, 1] = duplicated[:, 0]
    with pytest.raises(SolverError, match=r"not positive definite|singular to float"):
        inverted(duplicated.T @ duplicated)


def test_a_nearly_singular_matrix_is_refused_for_its_condition():
    with pytest.raises(SolverError, match="singular to float64 precision"):
        inverted(np.diag([1.0, 1e-17]))


def test_entries_that_are_not_finite_are_refused():
    with pytest.raises(SolverError, match="not finite"):
        inverted(np.array([[1.0, np.nan], [np.nan, 1.0]]))


@pytest.mark.parametrize("n", [1, 5, 1024, 1025, 2500])
def test_mirror_upper_makes_the_matrix_symmetric(n):
    a = np.random.default_rng(n).random((n, n))
    expected = np.triu(a) + np.triu(a, 1).T
    mirror_upper(a)
    assert np.array_equal(a, expected)


@pytest.mark.parametrize("n", [1, 5, 700])
def test_one_array_stores_a_matrix_and_its_inverse(n):
    a = spd(n)
    both = a.copy()
    invert_upper(both)
    assert np.array_equal(np.tril(both, -1), np.tril(a, -1))
    inverse = np.linalg.inv(a)
    np.testing.assert_allclose(np.triu(both), np.triu(inverse), atol=1e-10)
    Y = np.asfortranarray(np.random.default_rng(0).standard_normal((n, 3)))
    np.testing.assert_allclose(upper_product(both, Y), inverse @ Y, atol=1e-9)
    np.testing.assert_allclose(lower_product(both, a.diagonal(), Y), a @ Y, atol=1e-9 * np.abs(a @ Y).max())


@pytest.mark.parametrize("n", [1, 5, 256, 257, 700])
def test_set_above_leaves_the_lower_triangle(n):
    a = np.random.default_rng(n).random((n, n))
    expected = np.tril(a) + np.triu(2 * a.T, 1)
    for rows, columns in upper_blocks(n):
        set_above(a, rows, columns, 2 * a[columns, rows].T)
    assert np.array_equal(a, expected)


def test_long_rows_use_one_thread(monkeypatch):
    """Reproducing the overflow in OpenBLAS takes gigabytes, so this tests the number of threads."""
    threads = []
    invert = spd_module._invert_upper
    monkeypatch.setattr(spd_module, "_invert_upper", lambda a: (threads.append(blas_threads()), invert(a))[1])
    monkeypatch.setattr(spd_module, "_SHARE_BYTES", 8 * 50)
    # Two threads, whatever the environment says: with one, both matrices would be safe.
    with threadpool_limits(2):
        for n in (100, 101):
            a = spd(n)
            np.testing.assert_allclose(inverted(a.copy()) @ a, np.eye(n), atol=1e-9)
        assert blas_threads() == 2
    assert threads == [2, 1]

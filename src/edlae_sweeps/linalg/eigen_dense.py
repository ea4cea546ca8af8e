"""Leading eigenpairs of a dense symmetric matrix by LAPACK."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh

from edlae_sweeps.linalg.spd import check_finite, unsolved

# Up to this share of the spectrum, computing only k pairs (evr: bisection and inverse iteration) is faster than
# divide and conquer for all of them (evd). Measured at n = 5,418 on two cores.
_SUBSET_FRACTION = 0.1


def dense_eigenpairs(m: NDArray[Any], k: int, overwrite: bool) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """The k largest eigenvalues θ (k,), descending, and orthonormal eigenvectors V (n, k) of a symmetric M (n, n).

    M is in C order; only its upper triangle is read. Tridiagonalisation takes 4n³/3 flops, half of them bound by
    memory. The rest is O(n²k) for evr, O(n³) for evd. Raises SolverError if M has entries that are not finite, or the
    solver does not converge.
    """
    check_finite(m.min(), m.max())
    try:
        values, vectors = _ascending(m, k, overwrite)
    except LinAlgError as error:
        raise unsolved(error) from None
    V = vectors[:, ::-1][:, :k].astype(m.dtype, order="C")
    return values[::-1][:k].astype(np.float64), V


def _ascending(m: NDArray[Any], k: int, overwrite: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """The k largest eigenvalues or all of them, ascending, and their vectors."""
    n = len(m)
    if k <= _SUBSET_FRACTION * n:
        wanted = (n - k, n - 1)
        values, vectors = eigh(m.T, overwrite_a=overwrite, check_finite=False, driver="evr", subset_by_index=wanted)
    else:
        # Always in float64. In float32, the vectors' error is the rounding of the largest eigenvalue divided by the
        # distance to the next one, which changed metrics of debian by up to 7e-4.
        wide = m.T.astype(np.float64, copy=False)
        values, vectors = eigh(wide, overwrite_a=overwrite or wide.dtype != m.dtype, check_finite=False, driver="evd")
    return values, vectors


def dense_products(n: int, k: int, itemsize: int) -> float:
    """LAPACK's time in n×n×n products, measured at n = 5,418 on two cores.

    A float64 product takes twice as long as a float32 one.
    """
    return 2.9 + 8 * k / n if k <= _SUBSET_FRACTION * n else 5.9 * 8 / itemsize


def dense_workspace(n: int, k: int, itemsize: int) -> int:
    """Peak bytes of LAPACK's results and workspace, beside an M that it overwrites."""
    if k <= _SUBSET_FRACTION * n:
        return (2 * n * k + 30 * n) * itemsize
    # In float64: a copy of M if M is float32, in which the vectors are stored, and workspace, freed before the leading
    # vectors are copied.
    copy = 0 if itemsize == 8 else n * n * 8
    return copy + max(2 * n * n * 8, n * k * itemsize) + 8 * n * 8


def eigenvalues(m: NDArray[Any]) -> NDArray[np.float64]:
    """All eigenvalues (n,) of a symmetric M (n, n) in C order, ascending; overwrites M. 4n³/3 flops."""
    check_finite(m.min(), m.max())
    try:
        values: NDArray[Any] = eigh(m.T, eigvals_only=True, overwrite_a=True, check_finite=False, driver="ev")
    except LinAlgError as error:
        raise unsolved(error) from None
    return values.astype(np.float64)

"""Leading eigenpairs of a symmetric matrix that is small beside the one it comes from, on the CPU."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh, eigh_tridiagonal, get_lapack_funcs

from edlae_sweeps.linalg.spd import check_finite

# Below this size a matrix is decomposed as a whole: faster than three calls of LAPACK.
_TINY = 32
_WORKSPACE = 64


def small_eigenpairs(H: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """The k leading eigenpairs of a symmetric H (m, m) in Fortran order: θ (k,), descending, and S (m, k).

    H is reduced to a tridiagonal T in its own type (LAPACK sytrd), whose k eigenpairs are computed in float64 (stemr,
    MRRR) and rotated back (ormqr): 4m³/3 + 2m²k flops, and O(mk) for T. In float32, MRRR fails for the spectra of this
    application, and divide and conquer, accurate relative to the largest eigenvalue alone, mixes vectors on both sides
    of the cut at k. T in float64 costs little, and S is orthonormal to the rounding of its type. Overwrites H, of which
    the lower triangle is read. Raises SolverError if H has entries that are not finite.
    """
    m = len(H)
    # LAPACK sorts in ascending order, so the leading pairs of H are the first ones of −H.
    np.negative(H, out=H)
    check_finite(H.min(), H.max())
    if m < _TINY:
        values, S = eigh(H.astype(np.float64), check_finite=False)
        return -values[:k], S[:, :k].astype(H.dtype)
    sytrd, ormqr = get_lapack_funcs(("sytrd", "ormqr"), (H,))
    reflectors, diagonal, beside, tau, _ = sytrd(H, lower=1, lwork=_WORKSPACE * m, overwrite_a=1)
    values, Z = _tridiagonal(diagonal.astype(np.float64), beside.astype(np.float64), k)
    S = Z.astype(H.dtype, order="F")
    # The float64 vectors are the largest array here.
    del Z
    # The reflectors leave the first row as it is.
    S[1:] = ormqr("L", "N", _below_first_row(reflectors), tau, S[1:], lwork=_WORKSPACE * k)[0]
    return -values, S


def _below_first_row(a: NDArray[Any]) -> NDArray[Any]:
    """a[1:, :-1] of an (m, m) array in Fortran order as the first m − 1 rows of a contiguous (m, m − 1) one.

    LAPACK does not read the last row, and SciPy copies what is not contiguous.
    """
    m = len(a)
    return a.T.reshape(-1)[1 : 1 + m * (m - 1)].reshape(m - 1, m).T


def _tridiagonal(
    diagonal: NDArray[np.float64], beside: NDArray[np.float64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The k smallest eigenvalues of a tridiagonal matrix, ascending, and their vectors (m, k)."""
    try:
        values, Z = eigh_tridiagonal(
            diagonal, beside, select="i", select_range=(0, k - 1), lapack_driver="stemr", check_finite=False
        )
    except LinAlgError:
        # MRRR gives up where it can't represent a cluster. Bisection and inverse iteration are slower and don't.
        values, Z = eigh_tridiagonal(
            diagonal, beside, select="i", select_range=(0, k - 1), lapack_driver="stebz", check_finite=False
        )
    return values, Z[:, :k]

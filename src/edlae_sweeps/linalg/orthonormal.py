"""Random and orthonormal blocks (n, b)."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs

# Cholesky QR is used only if each unit column is at least this far from the span of the columns before it.
DEPENDENT = 0.02


def normal(random: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[Any]:
    """Standard normal numbers, the same in float32 and float64, in Fortran order."""
    return np.asfortranarray(random.standard_normal(shape, dtype=np.float32).astype(dtype))


def orthonormal(Y: NDArray[Any]) -> NDArray[Any]:
    """An orthonormal basis (n, b) of the columns of Y. Overwrites Y.

    Cholesky QR of the scaled columns consists of matrix products and is at least twice as fast as Householder QR.
    Householder QR (LAPACK geqrf, orgqr) is used if the columns are nearly dependent.
    """
    Y /= np.maximum(np.linalg.norm(Y, axis=0), np.finfo(Y.dtype).tiny)
    trsm = get_blas_funcs("trsm", (Y,))
    potrf, geqrf, orgqr = get_lapack_funcs(("potrf", "geqrf", "orgqr"), (Y,))
    factor, info = potrf((Y.T @ Y).T, lower=0, overwrite_a=1)
    basis: NDArray[Any]
    if info == 0 and factor.diagonal().min() > DEPENDENT:
        basis = trsm(1, factor, Y, side=1, overwrite_b=1)
    else:
        workspace = 64 * Y.shape[1]
        factor, tau, _, _ = geqrf(Y, lwork=workspace, overwrite_a=1)
        basis = orgqr(factor, tau, lwork=workspace, overwrite_a=1)[0]
    return basis

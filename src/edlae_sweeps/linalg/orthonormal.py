"""Random and orthonormal blocks (n, b)."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Cholesky QR is used only if each unit column is at least this far from the span of the columns before it.
DEPENDENT = 0.02


def normal(random: np.random.Generator, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[Any]:
    """Standard normal numbers, the same in float32 and float64, in Fortran order."""
    return np.asfortranarray(random.standard_normal(shape, dtype=np.float32).astype(dtype))


def orthonormal(Y: NDArray[Any]) -> NDArray[Any]:
    """An orthonormal basis (n, b) of the columns of Y. Overwrites Y.

    Cholesky QR of the scaled columns consists of matrix products and is at least twice as fast as Householder QR, which
    is used if the columns are nearly dependent. NumPy does all of it: SciPy has a BLAS with threads of its own, and
    those of either library wait actively for 25 ms after a call, in which the other's next product takes twice as long.
    """
    Y /= np.maximum(np.linalg.norm(Y, axis=0), np.finfo(Y.dtype).tiny)
    try:
        L = np.linalg.cholesky(Y.T @ Y)
    except np.linalg.LinAlgError:
        L = None
    if L is None or not L.diagonal().min() > DEPENDENT:
        return np.linalg.qr(Y)[0]
    basis: NDArray[Any] = Y @ np.linalg.inv(L).T
    return basis

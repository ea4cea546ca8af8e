"""Cholesky factors: of a definite matrix, with products and solves, and of a semidefinite one."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from edlae_sweeps.linalg.spd import check_pivot, safe_threads

# Columns of the identity that are solved at once.
_COLUMNS = 512


class Factor:
    """L (n, n), lower triangular, with LLᵀ = G + dMat(penalty). Y and all results are (n, b); n²b flops each.

    Takes one n×n array of the type `dtype`, and n³/3 flops. Raises SolverError if the matrix is not positive definite.
    """

    def __init__(self, gram: NDArray[Any], penalty: NDArray[np.float64], dtype: DTypeLike) -> None:
        a = np.array(gram, dtype=dtype, order="C")
        np.einsum("ii->i", a)[:] += penalty.astype(dtype)
        (potrf,) = get_lapack_funcs(("potrf",), (a,))
        with safe_threads(len(a) * a.itemsize):
            # LAPACK is column-major: what is in C order is transposed there.
            self.L, info = potrf(a.T, lower=1, overwrite_a=1, clean=1)
        check_pivot(info, 0, len(a))
        self._trmm, self._trsm = get_blas_funcs(("trmm", "trsm"), (a,))

    def product(self, Y: NDArray[Any]) -> NDArray[Any]:
        """L Y."""
        result: NDArray[Any] = self._trmm(1, self.L, Y, lower=1)
        return result

    def transposed_product(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Lᵀ Y."""
        result: NDArray[Any] = self._trmm(1, self.L, Y, lower=1, trans_a=1)
        return result

    def solve(self, Y: NDArray[Any]) -> NDArray[Any]:
        """L⁻¹ Y."""
        result: NDArray[Any] = self._trsm(1, self.L, Y, lower=1)
        return result

    def transposed_solve(self, Y: NDArray[Any]) -> NDArray[Any]:
        """L⁻ᵀ Y."""
        result: NDArray[Any] = self._trsm(1, self.L, Y, lower=1, trans_a=1)
        return result

    def inverse_diagonal(self) -> NDArray[np.float64]:
        """diag (LLᵀ)⁻¹ (n,), the squared norms of the columns of L⁻¹."""
        n = len(self.L)
        diagonal = np.empty(n)
        for start in range(0, n, _COLUMNS):
            columns = slice(start, min(start + _COLUMNS, n))
            solved = self.solve(np.eye(n, columns.stop - start, -start, dtype=self.L.dtype, order="F"))
            diagonal[columns] = np.einsum("ij,ij->j", solved, solved, dtype=np.float64)
        return diagonal


def add_outer(T: NDArray[Any], total: NDArray[Any] | None = None) -> NDArray[Any]:
    """The upper triangle of `total` + TTᵀ (n, n), in the place of `total` if it is given; n²b flops for T (n, b).

    T is in Fortran order, `total` and the result are in C order. Nothing but a new total takes memory.
    """
    (syrk,) = get_blas_funcs(("syrk",), (T,))
    # BLAS is column-major: the upper triangle is the lower one of the transpose.
    more = {} if total is None else {"beta": 1, "c": total.T, "overwrite_c": 1}
    result: NDArray[Any] = syrk(1, T, lower=1, **more)
    return result.T


def semidefinite_root(a: NDArray[Any]) -> NDArray[Any]:
    """Z (q, n) with ZᵀZ = A, for a symmetric positive semidefinite A (n, n) of rank q, which may be overwritten.

    Cholesky with pivots (LAPACK pstrf), n²q flops at most. What is left of A below n·ε times its largest entry counts
    as zero.
    """
    (pstrf,) = get_lapack_funcs(("pstrf",), (a,))
    # By symmetry the transpose, which LAPACK need not copy.
    upper, pivots, rank, _ = pstrf(a.T, lower=0, overwrite_a=1)
    Z = np.empty((rank, len(a)), a.dtype)
    Z[:, pivots - 1] = np.triu(upper[:rank])
    return Z

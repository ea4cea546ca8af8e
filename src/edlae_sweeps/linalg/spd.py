"""Symmetric matrices stored in one triangle: inversion in place, products and solves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs
from threadpoolctl import threadpool_limits

from edlae_sweeps.errors import SolverError
from edlae_sweeps.resources import blas_threads

_BLOCK = 256
# Largest share of a row, in bytes per thread, for which OpenBLAS's parallel Cholesky is safe: it packs up to 448 rows
# at a time into a buffer of 32 MiB.
_SHARE_BYTES = 64 * 1024


def mirror_upper(a: NDArray[Any]) -> None:
    """Copy the upper triangle of `a` (n, n) to its lower triangle, in place.

    Copying by blocks keeps source and target in cache and needs no n×n temporary.
    """
    for rows, columns in upper_blocks(len(a)):
        set_above(a.T, rows, columns, a[rows, columns])


def upper_blocks(n: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the square blocks that cover the upper triangle of an (n, n) array."""
    for i in range(0, n, _BLOCK):
        for j in range(i, n, _BLOCK):
            yield slice(i, min(i + _BLOCK, n)), slice(j, min(j + _BLOCK, n))


def set_above(a: NDArray[Any], rows: slice, columns: slice, values: NDArray[Any]) -> None:
    """Write `values` to an upper block (rows, columns) of `a`; in a diagonal block, only above the diagonal."""
    if rows == columns:
        block = a[rows, rows]
        above = np.triu_indices(len(block), 1)
        block[above] = values[above]
    else:
        a[rows, columns] = values


def invert_spd(a: NDArray[Any]) -> NDArray[Any]:
    """A⁻¹ of a symmetric positive definite A (n, n). Overwrites `a` (C or Fortran order) and returns it.

    `invert_upper`, then an O(n²) mirror of the triangle: about 0.7 of the time of one n×n×n product, and no copy of
    `a`. Raises SolverError like `invert_upper`, and ValueError if `a` is not contiguous.
    """
    if not (a.flags.c_contiguous or a.flags.f_contiguous):
        raise ValueError("invert_spd works in place: pass a contiguous array")
    # A symmetric matrix in Fortran order is its own transpose in C order.
    rows = a if a.flags.c_contiguous else a.T
    invert_upper(rows)
    mirror_upper(rows)
    return a


def invert_upper(a: NDArray[Any]) -> None:
    """Replace the upper triangle of a symmetric positive definite A (n, n), in C order, by that of A⁻¹.

    Cholesky factorisation (LAPACK potrf, n³/3 flops) and inverse from the factor (potri, 2n³/3). The part below the
    diagonal is not changed, and is read only for the norm of A.

    Raises SolverError if A has entries that are not finite or is singular to working precision: a pivot ≤ 0, or a
    reciprocal condition number (1-norm, LAPACK pocon) below the dtype's machine epsilon.
    """
    with safe_threads(len(a) * a.itemsize):
        _invert_upper(a)


@contextmanager
def safe_threads(row_bytes: int) -> Iterator[None]:
    """Limit BLAS to one thread if rows of `row_bytes` are too long for OpenBLAS's parallel Cholesky.

    OpenBLAS's threads pack their shares of the rows into a buffer of fixed size without checking that they fit. If they
    don't, the threads overwrite other memory (OpenBLAS issues 1413 and 2562; seen at n = 41,140 in float32 with two
    threads).
    """
    with threadpool_limits(1 if row_bytes > blas_threads() * _SHARE_BYTES else None, user_api="blas"):
        yield


def _invert_upper(a: NDArray[Any]) -> None:
    """`invert_upper` with the current number of threads."""
    # LAPACK is column-major: the upper triangle of `a` is the lower triangle of its transpose.
    columns = a.T
    lange, potrf, pocon, potri = get_lapack_funcs(("lange", "potrf", "pocon", "potri"), (columns,))
    norm = lange("1", columns)
    if not np.isfinite(norm):
        raise SolverError("the matrix has entries that are not finite")
    factor, info = potrf(columns, lower=1, overwrite_a=1, clean=0)
    if info > 0:
        raise SolverError(f"not positive definite, pivot {info} of {len(a)} is not positive")
    rcond, _ = pocon(factor, norm, uplo="L")
    if rcond < np.finfo(a.dtype).eps:
        raise SolverError(f"singular to {a.dtype} precision, reciprocal condition {rcond:.1e}")
    potri(factor, lower=1, overwrite_c=1)


def upper_product(a: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
    """S Y (n, b) for the symmetric S (n, n) stored in the upper triangle of `a` (BLAS symm): 2n²b flops.

    `a` is in C order; Y and the result are in Fortran order.
    """
    product: NDArray[Any] = get_blas_funcs("symm", (a,))(1, a.T, Y, lower=1)
    return product


def lower_product(a: NDArray[Any], diagonal: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
    """Like `upper_product`, for an S stored below the diagonal of `a`, with its diagonal in `diagonal` (n,)."""
    product: NDArray[Any] = get_blas_funcs("symm", (a,))(1, a.T, Y, lower=0)
    product += (diagonal - a.diagonal()).astype(a.dtype)[:, None] * Y
    return product


def solve_spd(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """x (n,) with A x = b for a symmetric positive definite A (n, n) in C order: n³/3 flops. Overwrites `a`.

    LAPACK potrf and potrs; only the upper triangle of `a` is read. Raises SolverError if A is not positive definite.
    """
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), (a,))
    with safe_threads(len(a) * a.itemsize):
        factor, info = potrf(a.T, lower=1, overwrite_a=1, clean=0)
    if info > 0:
        raise SolverError(f"not positive definite, pivot {info} of {len(a)} is not positive")
    solution: NDArray[np.float64] = potrs(factor, b.astype(a.dtype), lower=1)[0].astype(np.float64)
    return solution

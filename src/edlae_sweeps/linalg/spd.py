"""Symmetric matrices of which one triangle is enough: inverse in place, products."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs
from threadpoolctl import threadpool_limits

from edlae_sweeps import machine
from edlae_sweeps.errors import SolverError

_BLOCK = 256
# Bytes of a row that fall to one thread, up to which OpenBLAS's parallel Cholesky is trusted: its buffer is 32 MiB, and
# up to 448 rows are packed at a time.
_SHARE_BYTES = 64 * 1024


def mirror_upper(a: NDArray[Any]) -> None:
    """Copy the upper triangle of the square array `a` (n, n) onto its lower one, in place, block by block.

    The blocks keep both sides of the copy in cache and need no n×n temporary.
    """
    for rows, columns in upper_blocks(len(a)):
        set_above(a.T, rows, columns, a[rows, columns])


def upper_blocks(n: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of square blocks that cover the upper triangle of (n, n)."""
    for i in range(0, n, _BLOCK):
        for j in range(i, n, _BLOCK):
            yield slice(i, min(i + _BLOCK, n)), slice(j, min(j + _BLOCK, n))


def set_above(a: NDArray[Any], rows: slice, columns: slice, values: NDArray[Any]) -> None:
    """Write an upper block (rows, columns) of `a`; of one on the diagonal, what stands above it alone."""
    if rows == columns:
        block = a[rows, rows]
        above = np.triu_indices(len(block), 1)
        block[above] = values[above]
    else:
        a[rows, columns] = values


def invert_spd(a: NDArray[Any]) -> NDArray[Any]:
    """A⁻¹ of a symmetric positive definite A (n, n), overwriting `a` (C or Fortran order) and returning it.

    `invert_upper` and the O(n²) mirror of its triangle: about 0.7 of the time of one n×n×n product, and no copy of `a`.
    """
    if not (a.flags.c_contiguous or a.flags.f_contiguous):
        raise ValueError("invert_spd works in place on a contiguous array")
    # LAPACK is column-major: a symmetric matrix in Fortran order is its transpose in C order, without a copy.
    rows = a if a.flags.c_contiguous else a.T
    invert_upper(rows)
    mirror_upper(rows)
    return a


def invert_upper(a: NDArray[Any]) -> None:
    """The upper triangle of A⁻¹ in place of that of a symmetric positive definite A (n, n), in C order.

    Cholesky (LAPACK potrf, n³/3 flops) and inverse from the factor (potri, 2n³/3). What stands below the diagonal is
    neither used, but for the norm of A, nor changed.

    Raises SolverError when A is singular to working precision: a pivot ≤ 0, or a reciprocal condition number
    (1-norm, LAPACK pocon) below the dtype's machine epsilon.
    """
    with safe_threads(len(a) * a.itemsize):
        _invert_upper(a)


@contextmanager
def safe_threads(row_bytes: int) -> Iterator[None]:
    """One thread for the Cholesky of a matrix whose rows of `row_bytes` are too long for those that there are.

    OpenBLAS's threads pack their share of the rows into a buffer of fixed size and do not look whether it fits: beyond,
    they write over other memory (OpenBLAS issues 1413 and 2562; seen at n = 41,140 in float32 with two threads).
    """
    threads = machine.blas_name_and_threads()[1]
    with threadpool_limits(1 if row_bytes > threads * _SHARE_BYTES else None, user_api="blas"):
        yield


def _invert_upper(a: NDArray[Any]) -> None:
    # The upper triangle of rows is the lower one of columns.
    columns = a.T
    lange, potrf, pocon, potri = get_lapack_funcs(("lange", "potrf", "pocon", "potri"), (columns,))
    norm = lange("1", columns)
    if not np.isfinite(norm):
        raise SolverError("it has entries that are not finite")
    factor, info = potrf(columns, lower=1, overwrite_a=1, clean=0)
    if info > 0:
        raise SolverError(f"not positive definite, pivot {info} of {len(a)} is not positive")
    rcond, _ = pocon(factor, norm, uplo="L")
    if rcond < np.finfo(a.dtype).eps:
        raise SolverError(f"singular to {a.dtype} precision, reciprocal condition {rcond:.1e}")
    potri(factor, lower=1, overwrite_c=1)


def upper_product(a: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
    """S Y (n, b) for the symmetric S (n, n) whose upper triangle is that of `a`, in C order (BLAS symm): 2n²b flops.

    Y is in Fortran order, and so is the result.
    """
    product: NDArray[Any] = get_blas_funcs("symm", (a,))(1, a.T, Y, lower=1)
    return product


def lower_product(a: NDArray[Any], diagonal: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
    """As `upper_product`, for the S that stands below the diagonal of `a` and has `diagonal` (n,) itself."""
    product: NDArray[Any] = get_blas_funcs("symm", (a,))(1, a.T, Y, lower=0)
    product += (diagonal - a.diagonal()).astype(a.dtype)[:, None] * Y
    return product


def solve_spd(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """x (n,) with A x = b for a symmetric positive definite A (n, n) in C order, which is overwritten (LAPACK potrf,
    potrs): n³/3 flops. Only the upper triangle of `a` is read. SolverError when A is not positive definite.
    """
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), (a,))
    with safe_threads(len(a) * a.itemsize):
        factor, info = potrf(a.T, lower=1, overwrite_a=1, clean=0)
    if info > 0:
        raise SolverError(f"not positive definite, pivot {info} of {len(a)} is not positive")
    solution: NDArray[np.float64] = potrs(factor, b.astype(a.dtype), lower=1)[0].astype(np.float64)
    return solution

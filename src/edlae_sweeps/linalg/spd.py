"""Symmetric matrices stored in one triangle: inversion in place, products and solves."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg.parts import team
from edlae_sweeps.resources import blas_threads, limited_threads

_BLOCK = 256
# Largest share of a row, in bytes per thread, for which OpenBLAS's parallel Cholesky is safe: it packs up to 448 rows
# at a time into a buffer of 32 MiB.
_SHARE_BYTES = 64 * 1024
# Below this n one thread passes over a triangle before others have started.
_FEW = 1024


def mirror_upper(a: NDArray[Any]) -> None:
    """Copy the upper triangle of `a` (n, n) to its lower triangle, in place.

    Copying by blocks keeps source and target in cache and needs no n×n temporary.
    """

    def copy(blocks: list[tuple[slice, slice]]) -> None:
        for rows, columns in blocks:
            set_above(a.T, rows, columns, a[rows, columns])

    with team(_threads(len(a))) as each:
        each(copy, _block_rows(len(a)))


def one_norm(a: NDArray[Any]) -> float:
    """‖S‖₁ of the symmetric S stored in the upper triangle of `a` (n, n); NaN or infinite if an entry is."""

    def sums(blocks: list[tuple[slice, slice]]) -> NDArray[np.float64]:
        """What these blocks and their mirror images add to the sums of the columns from the first of them."""
        first = blocks[0][0].start
        total = np.zeros(len(a) - first)
        for rows, columns in blocks:
            block = mirrored = np.abs(a[rows, columns])
            if rows == columns:
                block, mirrored = np.triu(block), np.triu(block, 1)
            total[columns.start - first : columns.stop - first] += block.sum(axis=0)
            total[: len(block)] += mirrored.sum(axis=1)
        return total

    with team(_threads(len(a))) as each:
        totals = each(sums, _block_rows(len(a)))
    norms = np.zeros(len(a))
    for total in totals:
        norms[len(a) - len(total) :] += total
    return float(norms.max())


def _threads(n: int) -> int:
    return 1 if n < _FEW else blas_threads()


def _block_rows(n: int) -> list[list[tuple[slice, slice]]]:
    """`upper_blocks`, one list for each row of blocks."""
    return [list(row) for _, row in groupby(upper_blocks(n), key=lambda block: block[0].start)]


def upper_blocks(n: int, size: int = _BLOCK) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the square blocks that cover the upper triangle of an (n, n) array."""
    for i in range(0, n, size):
        for j in range(i, n, size):
            yield slice(i, min(i + size, n)), slice(j, min(j + size, n))


def set_above(a: NDArray[Any], rows: slice, columns: slice, values: NDArray[Any]) -> None:
    """Write `values` to an upper block (rows, columns) of `a`; in a diagonal block, only above the diagonal."""
    if rows == columns:
        block = a[rows, rows]
        above = np.triu_indices(len(block), 1)
        block[above] = values[above]
    else:
        a[rows, columns] = values


def invert_upper(a: NDArray[Any]) -> None:
    """Replace the upper triangle of a symmetric positive definite A (n, n), in C order, by that of A⁻¹.

    Cholesky factorisation (LAPACK potrf, n³/3 flops) and inverse from the factor (potri, 2n³/3). The part below the
    diagonal is neither read nor changed.

    Raises SolverError if A has entries that are not finite or is singular to working precision: a pivot ≤ 0, or a
    reciprocal condition number (1-norm) below the dtype's machine epsilon.
    """
    norm = one_norm(a)
    check_norm(norm)
    with safe_threads(len(a) * a.itemsize):
        _invert_upper(a)
    check_condition(norm, one_norm(a), a.dtype)


def check_norm(norm: float) -> None:
    """Raise SolverError for the norm of a matrix whose entries are not all finite."""
    check_finite(norm)


def check_finite(*extremes: float) -> None:
    """Raise SolverError unless these are finite, the least and the largest entry of a matrix: NaN if one entry is."""
    if not all(map(math.isfinite, extremes)):
        raise SolverError("the matrix has entries that are not finite")


def unsolved(error: Exception) -> SolverError:
    """The error of an eigensolver that gave up."""
    return SolverError(f"the eigensolver does not converge: {str(error).splitlines()[0]}")


def check_pivot(pivot: int, before: int, n: int) -> None:
    """Raise SolverError unless `pivot` is 0; else it is the first one ≤ 0, counted from 1 after those `before`."""
    if pivot:
        raise SolverError(f"not positive definite, pivot {before + pivot} of {n} is not positive")


def check_condition(norm: float, inverse_norm: float, dtype: DTypeLike) -> None:
    """Raise SolverError if ‖A‖·‖A⁻¹‖ is too large for the type, or is not a number."""
    rcond = 1 / (norm * inverse_norm)
    if not rcond >= np.finfo(dtype).eps:
        raise SolverError(f"singular to {np.dtype(dtype)} precision, reciprocal condition {rcond:.1e}")


@contextmanager
def safe_threads(row_bytes: int) -> Iterator[None]:
    """Limit BLAS to one thread if rows of `row_bytes` are too long for OpenBLAS's parallel Cholesky.

    OpenBLAS's threads pack their shares of the rows into a buffer of fixed size without checking that they fit. If they
    don't, the threads overwrite other memory (OpenBLAS issues 1413 and 2562; seen at n = 41,140 in float32 with two
    threads). Raises MissingExtra if one thread takes threadpoolctl and it is not installed.
    """
    # Asking for the threads takes milliseconds, longer than a small matrix.
    if row_bytes <= _SHARE_BYTES or row_bytes <= blas_threads() * _SHARE_BYTES:
        yield
        return
    with limited_threads(1, "blas"):
        yield


def _invert_upper(a: NDArray[Any]) -> None:
    """`invert_upper` with the current number of threads, without its checks of norms."""
    # LAPACK is column-major: the upper triangle of `a` is the lower triangle of its transpose.
    potrf, potri = get_lapack_funcs(("potrf", "potri"), (a,))
    factor, info = potrf(a.T, lower=1, overwrite_a=1, clean=0)
    check_pivot(info, 0, len(a))
    potri(factor, lower=1, overwrite_c=1)


def upper_product(a: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
    """S Y (n, b) for the symmetric S (n, n) stored in the upper triangle of `a` (BLAS symm): 2n²b flops.

    `a` is in C order. Neither Y, in C or Fortran order, nor anything else is copied.
    """
    # BLAS is column-major: the upper triangle of `a` is the lower triangle of its transpose.
    return _symm(a.T, Y, lower=True)


def lower_product(a: NDArray[Any], diagonal: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
    """Like `upper_product`, for an S stored below the diagonal of `a`, with its diagonal in `diagonal` (n,)."""
    product = _symm(a.T, Y, lower=False)
    product += (diagonal - a.diagonal()).astype(a.dtype)[:, None] * Y
    return product


def _symm(a: NDArray[Any], Y: NDArray[Any], lower: bool) -> NDArray[Any]:
    """S Y (n, b) for the symmetric S in one triangle of `a`, in Fortran order, and Y in either."""
    symm = get_blas_funcs("symm", (a,))
    # (SY)ᵀ = YᵀS: what is in C order is transposed in Fortran order.
    if Y.flags.f_contiguous:
        product: NDArray[Any] = symm(1, a, Y, lower=lower)
        return product
    transposed: NDArray[Any] = symm(1, a, Y.T, side=1, lower=lower)
    return transposed.T


def solve_spd(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """x (n,) with A x = b for a symmetric positive definite A (n, n) in C order: n³/3 flops. Overwrites `a`.

    LAPACK potrf and potrs; only the upper triangle of `a` is read. Raises SolverError if A is not positive definite.
    """
    potrf, potrs = get_lapack_funcs(("potrf", "potrs"), (a,))
    with safe_threads(len(a) * a.itemsize):
        factor, info = potrf(a.T, lower=1, overwrite_a=1, clean=0)
    check_pivot(info, 0, len(a))
    solution: NDArray[np.float64] = potrs(factor, b.astype(a.dtype), lower=1)[0].astype(np.float64)
    return solution

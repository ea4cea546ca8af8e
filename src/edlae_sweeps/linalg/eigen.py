"""Leading eigenpairs of a dense symmetric matrix, by the algorithm that is expected to be the quicker one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from edlae_sweeps.linalg.krylov import (
    EIGENPAIRS_PRODUCTS,
    READING,
    Eigenpairs,
    basis_columns,
    block_krylov,
    block_width,
    block_workspace,
)
from edlae_sweeps.linalg.spd import upper_product

# Up to this share of the spectrum, k pairs alone (evr: bisection and inverse iteration) are quicker than divide and
# conquer for all of them (evd); measured at n = 5,418 on two cores.
_SUBSET_FRACTION = 0.1


def leading_eigenpairs(m: NDArray[Any], k: int, tolerance: float, overwrite: bool = False) -> Eigenpairs:
    """The k largest eigenvalues θ (k,), descending, and orthonormal eigenvectors V (n, k), of a symmetric M (n, n) in C
    order. The first k′ < k columns are the answer for k′.

    Dense LAPACK or `block_krylov`, whichever `uses_blocks` says; `tolerance` is the relative gap of captured energy Σθ
    that the latter may leave, and 0 asks for LAPACK. Only it needs room for M again, or overwrites M where allowed.
    """
    n = len(m)
    if not 1 <= k <= n:
        raise ValueError(f"k = {k} is outside 1..{n}")
    if uses_blocks(n, k, tolerance, m.itemsize):
        return block_krylov(lambda Y: upper_product(m, Y), n, k, m.dtype, tolerance)
    # Tridiagonalisation, 4n³/3 flops, half of them bound by memory; then O(n²k), or O(n³).
    if k <= _SUBSET_FRACTION * n:
        wanted = (n - k, n - 1)
        values, vectors = eigh(m.T, overwrite_a=overwrite, check_finite=False, driver="evr", subset_by_index=wanted)
    else:
        # In float64 always: in float32 its vectors are off by rounding of the largest eigenvalue over the distance to
        # the next, which moved metrics of debian by up to 7e-4.
        wide = m.T.astype(np.float64, copy=False)
        values, vectors = eigh(wide, overwrite_a=overwrite or wide.dtype != m.dtype, check_finite=False, driver="evd")
    V = vectors[:, ::-1][:, :k].astype(m.dtype, order="C")
    return Eigenpairs(values[::-1][:k].astype(m.dtype), V, 0.0, 0)


def uses_blocks(n: int, k: int, tolerance: float, itemsize: int) -> bool:
    """Whether the block method is expected to be quicker than LAPACK."""
    return tolerance > 0 and _block_products(n, k) < _dense_products(n, k, itemsize)


def eigen_products(n: int, k: int, tolerance: float) -> float:
    """Estimated time of `leading_eigenpairs` in products of n×n×n, in float32; in float64 it may be half of that."""
    return _block_products(n, k) if uses_blocks(n, k, tolerance, 4) else _dense_products(n, k, 4)


def _dense_products(n: int, k: int, itemsize: int) -> float:
    """As measured at n = 5,418 on two cores. A product in float64 takes twice as long as one in float32."""
    return 2.9 + 8 * k / n if k <= _SUBSET_FRACTION * n else 5.9 * 8 / itemsize


def _block_products(n: int, k: int) -> float:
    """Products with the columns of the basis, keeping it orthonormal, V, and the eigenpairs of H (m, m), twice."""
    m, b = basis_columns(n, k), block_width(k)
    return m / b * (b + READING) / n + 3 * (m / n) ** 2 + 2 * EIGENPAIRS_PRODUCTS * (m / n) ** 3


def eigen_workspace(n: int, k: int, itemsize: int, tolerance: float) -> int:
    """Bytes that `leading_eigenpairs` takes at most beside an M that it may overwrite, results included."""
    return (block_workspace if uses_blocks(n, k, tolerance, itemsize) else dense_workspace)(n, k, itemsize)


def dense_workspace(n: int, k: int, itemsize: int) -> int:
    """Bytes that LAPACK takes at most beside an M that it overwrites, for results and workspace."""
    if k <= _SUBSET_FRACTION * n:
        return (2 * n * k + 30 * n) * itemsize
    # All in float64: M, if it was not, whose place the vectors take, and workspace, gone when the leading are copied.
    copy = 0 if itemsize == 8 else n * n * 8
    return copy + max(2 * n * n * 8, n * k * itemsize) + 8 * n * 8

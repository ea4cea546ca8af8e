"""Leading eigenpairs of a dense symmetric matrix, by the algorithm expected to be faster."""

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

# Up to this share of the spectrum, computing only k pairs (evr: bisection and inverse iteration) is faster than
# divide and conquer for all of them (evd). Measured at n = 5,418 on two cores.
_SUBSET_FRACTION = 0.1


def leading_eigenpairs(m: NDArray[Any], k: int, tolerance: float, overwrite: bool = False) -> Eigenpairs:
    """The k largest eigenvalues θ (k,), descending, and orthonormal eigenvectors V (n, k) of a symmetric M (n, n).

    M is in C order; only its upper triangle is read. The first k′ < k columns of V are the eigenvectors for k′.

    `uses_blocks` chooses between dense LAPACK and `block_krylov`. `tolerance` is the relative gap of captured energy Σθ
    that `block_krylov` may leave; 0 selects LAPACK. Only LAPACK copies M, or overwrites it if `overwrite` is true.

    Raises ValueError if k is outside 1..n.
    """
    n = len(m)
    if not 1 <= k <= n:
        raise ValueError(f"k = {k} is outside 1..{n}")
    if uses_blocks(n, k, tolerance, m.itemsize):
        return block_krylov(lambda Y: upper_product(m, Y), n, k, m.dtype, tolerance)
    # Tridiagonalisation takes 4n³/3 flops, half of them bound by memory. The rest is O(n²k) for evr, O(n³) for evd.
    if k <= _SUBSET_FRACTION * n:
        wanted = (n - k, n - 1)
        values, vectors = eigh(m.T, overwrite_a=overwrite, check_finite=False, driver="evr", subset_by_index=wanted)
    else:
        # Always in float64. In float32, the vectors' error is the rounding of the largest eigenvalue divided by the
        # distance to the next one, which changed metrics of debian by up to 7e-4.
        wide = m.T.astype(np.float64, copy=False)
        values, vectors = eigh(wide, overwrite_a=overwrite or wide.dtype != m.dtype, check_finite=False, driver="evd")
    V = vectors[:, ::-1][:, :k].astype(m.dtype, order="C")
    return Eigenpairs(values[::-1][:k].astype(m.dtype), V, 0.0, 0)


def uses_blocks(n: int, k: int, tolerance: float, itemsize: int) -> bool:
    """True if the block method is expected to be faster than LAPACK."""
    return tolerance > 0 and _block_products(n, k) < _dense_products(n, k, itemsize)


def eigen_products(n: int, k: int, tolerance: float) -> float:
    """Estimated time of `leading_eigenpairs` in units of one n×n×n product, in float32; down to half in float64."""
    return _block_products(n, k) if uses_blocks(n, k, tolerance, 4) else _dense_products(n, k, 4)


def _dense_products(n: int, k: int, itemsize: int) -> float:
    """LAPACK's time, measured at n = 5,418 on two cores. A float64 product takes twice as long as a float32 one."""
    return 2.9 + 8 * k / n if k <= _SUBSET_FRACTION * n else 5.9 * 8 / itemsize


def _block_products(n: int, k: int) -> float:
    """Time of the products with M, of orthogonalisation, of V, and of two eigendecompositions of H (m, m)."""
    m, b = basis_columns(n, k), block_width(k)
    return m / b * (b + READING) / n + 3 * (m / n) ** 2 + 2 * EIGENPAIRS_PRODUCTS * (m / n) ** 3


def eigen_workspace(n: int, k: int, itemsize: int, tolerance: float) -> int:
    """Peak bytes of `leading_eigenpairs` beside an M that it may overwrite, results included."""
    return (block_workspace if uses_blocks(n, k, tolerance, itemsize) else dense_workspace)(n, k, itemsize)


def dense_workspace(n: int, k: int, itemsize: int) -> int:
    """Peak bytes of LAPACK's results and workspace, beside an M that it overwrites."""
    if k <= _SUBSET_FRACTION * n:
        return (2 * n * k + 30 * n) * itemsize
    # In float64: a copy of M if M is float32, in which the vectors are stored, and workspace, freed before the leading
    # vectors are copied.
    copy = 0 if itemsize == 8 else n * n * 8
    return copy + max(2 * n * n * 8, n * k * itemsize) + 8 * n * 8

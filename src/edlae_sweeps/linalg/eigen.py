"""Leading eigenpairs of a symmetric matrix that is an array, by the algorithm expected to be faster."""

from edlae_sweeps.linalg.backend import Array, backend_of
from edlae_sweeps.linalg.eigen_dense import dense_products, dense_workspace
from edlae_sweeps.linalg.krylov import (
    EIGENPAIRS_PRODUCTS,
    READING,
    Eigenpairs,
    block_krylov,
    block_width,
    block_workspace,
    expected_columns,
)


def leading_eigenpairs(m: Array, k: int, tolerance: float, overwrite: bool = False) -> Eigenpairs:
    """The k largest eigenvalues θ (k,), descending, and orthonormal eigenvectors V (n, k) of a symmetric M (n, n).

    M is stored in full, in C order. The first k′ < k columns of V are the eigenvectors for k′.

    `uses_blocks` chooses between a dense solver and `block_krylov`, which `tolerance` is for; 0 selects the dense one.
    Only this one copies M, or overwrites it if `overwrite` is true.

    Raises ValueError if k is outside 1..n.
    """
    n, backend = len(m), backend_of(m)
    if not 1 <= k <= n:
        raise ValueError(f"k = {k} is outside 1..{n}")
    if uses_blocks(n, k, tolerance, m.itemsize):
        return block_krylov(
            lambda Y: backend.symmetric_product(m, Y), n, k, backend.dtype(m), tolerance, backend=backend
        )
    values, vectors = backend.eigenpairs(m, k, overwrite)
    return Eigenpairs(values, vectors, 0.0, 0)


def uses_blocks(n: int, k: int, tolerance: float, itemsize: int) -> bool:
    """True if the block method is expected to be faster than LAPACK. It never is if its basis spans the whole space."""
    return tolerance > 0 and expected_columns(n, k) < n and _block_products(n, k) < dense_products(n, k, itemsize)


def eigen_products(n: int, k: int, tolerance: float) -> float:
    """Estimated time of `leading_eigenpairs` in units of one n×n×n product, in float32; down to half in float64."""
    return _block_products(n, k) if uses_blocks(n, k, tolerance, 4) else dense_products(n, k, 4)


def _block_products(n: int, k: int) -> float:
    """Time of the products with M, of orthogonalisation and V, and of the eigenpairs of H (m, m), once or twice."""
    m, b = expected_columns(n, k), block_width(k)
    return m / b * (b + READING) / n + 2 * (m / n) ** 2 + 1.5 * EIGENPAIRS_PRODUCTS * (m / n) ** 3


def eigen_workspace(n: int, k: int, itemsize: int, tolerance: float) -> int:
    """Peak bytes of `leading_eigenpairs` beside an M that it may overwrite, results included."""
    return (block_workspace if uses_blocks(n, k, tolerance, itemsize) else dense_workspace)(n, k, itemsize)

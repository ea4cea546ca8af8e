"""Leading eigenpairs of a dense symmetric matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

# Measured at n = 5,418 in float32 and float64 on two cores: MRRR for a subset of k pairs (evr) beats divide and conquer
# for all of them (evd) up to about a tenth of the spectrum, and is far behind at k = n.
_SUBSET_FRACTION = 0.1


def leading_eigenpairs(m: NDArray[Any], k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The k largest eigenvalues θ (k,), descending, and their orthonormal eigenvectors V (n, k), of a symmetric M (n,
    n).

    Overwrites `m`, of which only one triangle is read. The first k′ < k columns are the answer for k′.
    Cost: tridiagonalisation, 4n³/3 flops, half of them bound by memory; then O(n²k).
    """
    n = m.shape[0]
    if not 1 <= k <= n:
        raise ValueError(f"k = {k} is outside 1..{n}")
    if k <= _SUBSET_FRACTION * n:
        values, vectors = eigh(m.T, overwrite_a=True, check_finite=False, driver="evr", subset_by_index=(n - k, n - 1))
    else:
        values, vectors = eigh(m.T, overwrite_a=True, check_finite=False, driver="evd")
    return values[::-1][:k].copy(), np.ascontiguousarray(vectors[:, ::-1][:, :k])


def eigen_products(n: int, k: int) -> float:
    """Estimated time of `leading_eigenpairs` in products of n×n×n: as measured at n = 5,418 in float32 on two cores."""
    return 2.9 + 8 * k / n if k <= _SUBSET_FRACTION * n else 5.9


def eigen_workspace(n: int, k: int, itemsize: int) -> int:
    """Bytes that `leading_eigenpairs` takes at most beside M, for its results and the workspace of LAPACK."""
    if k <= _SUBSET_FRACTION * n:
        return (2 * n * k + 30 * n) * itemsize
    # The vectors take the place of M; the workspace is gone when the leading ones are copied.
    return (max(2 * n * n, n * k) + 8 * n) * itemsize

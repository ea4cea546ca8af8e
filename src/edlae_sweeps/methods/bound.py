"""The Proposition's bound, and the best output layer for given hidden units (Steck & Garcia 2021, Eqs. 1-6).

For X (m, n), any hidden units Z (m, k) of any encoder, and any linear output layer V (n, k), with weights w > 0:

    Σ_u w_u‖x_u − z_uVᵀ‖² ≥ Σ_{i>k} σ_i²(dMat(√w)X),   equal for Z = XQ, V = Q, the leading right singular vectors

The best V is the least-squares solution XᵀdMat(w)Z(ZᵀdMat(w)Z)⁻¹. All of this is in float64: a ratio to the bound below
1 would refute the Proposition, so it must not come from float32 rounding.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import eigen_workspace, leading_eigenpairs
from edlae_sweeps.models.objective import Vector, inner

# Up to this share of the spectrum products with X are cheaper than the whole matrix: on debian, k = 200, 0.6 s and 8 s.
_SUBSET_FRACTION = 0.1
# A smaller share of the energy, or of the strongest direction, is rounding.
_DEPENDENT = 1e-13

# Weights of the users in the squared error: all alike, or inversely proportional to the number of the user's items.
RowWeights = Literal["none", "inverse_activity"]


def row_weights(kind: RowWeights, X: csr_array) -> Vector:
    """w (m,) of mean 1: all equal, or w_u ∝ 1/(number of items of user u), with 1 item assumed if there is none."""
    if kind == "none":
        return np.ones(X.shape[0])
    w = 1 / np.maximum(1, np.diff(X.indptr))
    return np.asarray(w / w.mean())


def weighted_gram(X: csr_array, w: Vector, dtype: Any) -> NDArray[Any]:
    """XᵀdMat(w)X (n, n)."""
    gram: NDArray[Any] = (rooted(X, w).T @ rooted(X, w)).toarray().astype(dtype)
    return gram


def energy(X: csr_array, w: Vector) -> float:
    """Σ_u w_u‖x_u‖²."""
    return float(np.sum(rooted(X, w).data ** 2))


def leading_directions(X: csr_array, w: Vector, k: int) -> tuple[Vector, NDArray[np.float64]]:
    """The k largest σ² (k,) of dMat(√w)X, descending, and its right singular vectors Q (n, k)."""
    weighted = rooted(X, w)
    n = X.shape[1]
    if k > _SUBSET_FRACTION * n:
        pairs = leading_eigenpairs((weighted.T @ weighted).toarray(), k, 0.0, overwrite=True)
        return pairs.values, pairs.vectors
    across = weighted.T.tocsr()
    operator = LinearOperator((n, n), matvec=lambda x: across @ (weighted @ x), dtype=np.float64)
    # A fixed start with a component in every direction.
    try:
        values, vectors = eigsh(operator, k=k, v0=np.random.default_rng(0).standard_normal(n))
    except ArpackError as error:
        raise SolverError(
            f"the leading singular vectors of X did not converge: {error}; choose a smaller rank"
        ) from error
    order = np.argsort(-values)
    return values[order], vectors[:, order]


def bounds(X: csr_array, w: Vector, k: int) -> tuple[NDArray[np.float64], Vector]:
    """Q (n, k), and the bound Σ_{i>j} σ_i² (k,) of each rank j = 1..k."""
    values, Q = leading_directions(X, w, k)
    total = energy(X, w)
    tails = total - np.cumsum(values)
    # A tail this small is rounding, of either sign.
    tails[tails < _DEPENDENT * total] = 0
    return Q, tails


def bounds_bytes(n: int, k: int) -> int:
    """Estimated peak memory of `bounds` in bytes for X with n columns, without X itself."""
    if k > _SUBSET_FRACTION * n:
        # G sparse, at worst with an index for each number, while it becomes dense; then its eigenpairs.
        return 8 * n * n + max(12 * n * n, eigen_workspace(n, k, 8, 0.0))
    return 8 * n * (2 * (2 * k + 1) + k)


def output_layer(ZtZ: NDArray[np.float64], XtZ: NDArray[np.float64]) -> NDArray[np.float64]:
    """V (n, k), the least-squares solution XtZ·ZtZ⁺, from ZᵀdMat(w)Z (k, k) and XᵀdMat(w)Z (n, k).

    Units that are always zero or linearly dependent get no weight of their own.
    """
    scale = np.sqrt(ZtZ.diagonal())
    scale = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = eigh(ZtZ * scale * scale[:, None], check_finite=False)
    kept = values > _DEPENDENT * values[-1]
    root = scale[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    solution: NDArray[np.float64] = (XtZ @ root) @ root.T
    return solution


def squared_error(total: float, ZtZ: NDArray[np.float64], XtZ: NDArray[np.float64], V: NDArray[np.float64]) -> float:
    """‖X‖² − 2⟨XᵀZ, V⟩ + ⟨ZᵀZ, VᵀV⟩ for any V (n, k), with `total` = ‖X‖²; rows weighted in all three or none."""
    return total - 2 * inner(XtZ, V) + inner(ZtZ, V.T @ V)


def rooted(X: csr_array, w: Vector) -> csr_array:
    """dMat(√w)X in float64."""
    weighted = X.astype(np.float64)
    weighted.data = weighted.data * np.repeat(np.sqrt(w), np.diff(X.indptr))
    return csr_array(weighted)

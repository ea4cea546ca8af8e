"""A local optimum of Eq. 7 by L-BFGS, to compare the closed form and ADMM with."""

import numpy as np
from scipy.optimize import minimize


def eq7_with_gradient(
    G: np.ndarray, Lam: np.ndarray, U: np.ndarray, V: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Eq. 7 and its gradients in U and V (n, k), `Lam` being diag Λ.

    With W = UVᵀ − dMat β, R = AW − G and r = diag R: dF/dU = 2(R − dMat r)V, dF/dV = 2(R − dMat r)ᵀU.
    """
    g = G.diagonal()
    beta = np.sum(U * V, axis=1)
    GU = G @ U
    AU = GU + Lam[:, None] * U
    UAU, VtV = U.T @ AU, V.T @ V
    diag_AUV = np.sum(AU * V, axis=1)
    r = diag_AUV - (g + Lam) * beta - g
    # A(β∘V) + GV in one product.
    joint = G @ ((1 + beta)[:, None] * V) + (Lam * beta)[:, None] * V
    value = g.sum() - 2 * (np.sum(GU * V) - g @ beta) + np.sum(VtV * UAU) - 2 * beta @ diag_AUV + beta**2 @ (g + Lam)
    left = 2 * (AU @ VtV - joint - r[:, None] * V)
    right = 2 * (V @ UAU - beta[:, None] * AU - GU - r[:, None] * U)
    return value, left, right


def local_optimum(
    G: np.ndarray, Lam: np.ndarray, U: np.ndarray, V: np.ndarray, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """A stationary point U, V of Eq. 7, or what L-BFGS reaches in `iterations`, from `U` and `V`."""
    n, k = U.shape
    # Columns of equal weight on both sides, for a better-scaled problem.
    scale = np.sqrt(np.linalg.norm(U, axis=0) / np.linalg.norm(V, axis=0))
    start = np.concatenate([(U / scale).ravel(), (V * scale).ravel()]).astype(np.float64)

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        left, right = x.reshape(2, n, k).astype(G.dtype)
        value, dU, dV = eq7_with_gradient(G, Lam.astype(G.dtype), left, right)
        return float(value), np.concatenate([dU.ravel(), dV.ravel()]).astype(np.float64)

    result = minimize(
        function, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 20, "ftol": 1e-10}
    )
    left, right = result.x.reshape(2, n, k)
    return left, right

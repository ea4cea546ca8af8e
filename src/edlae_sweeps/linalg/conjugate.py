"""Solutions of A Z = Y for a positive definite A (n, n) that is only multiplied with blocks: conjugate gradients.

s = J^−½, J = diag A              (n,)     scale
Â = dMat(s)·A·dMat(s)             (n, n)   unit diagonal; eigenvalues at least those of dMat(s)·Λ·dMat(s) if A = G + Λ
P = I + W(Θ⁻¹ − I)Wᵀ              (n, n)   preconditioner: W (n, r), Θ (r,) are leading eigenpairs of Â (`deflation`)
C = A⁻¹ = dMat(s)·Â⁻¹·dMat(s)     (n, n)   never formed

Each column of a block has its own step lengths α and β and leaves the block when its residual is small enough. The
start is zero, so yᵀx = ‖x‖²_Â throughout: an entry of the diagonal of C converges with the square of the residual.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import SolverError

# Y (n, b) → the product of a symmetric operator with Y, a new array.
Multiply = Callable[[NDArray[Any]], NDArray[Any]]

# Columns that are solved together: wide enough that the sparse product reads whole cache lines, narrow enough that five
# arrays of this width fit into memory.
WIDTH = 64
_LIMIT = 2000


@dataclass
class Effort:
    """What all solutions together took, counted as they go.

    columns     right-hand sides
    iterations  products of A with one column
    most        iterations of the slowest column
    residual    the largest relative residual that was left
    """

    columns: int = 0
    iterations: int = 0
    most: int = 0
    residual: float = 0.0


@dataclass(frozen=True)
class Deflation:
    """W (n, r) orthonormal and θ (r,) > 0: leading eigenpairs of Â, which need not be accurate."""

    vectors: NDArray[Any]
    values: NDArray[Any]

    def __call__(self, R: NDArray[Any]) -> NDArray[Any]:
        """P R (n, b): 4nrb flops."""
        W, theta = self.vectors, self.values[:, None]
        result: NDArray[Any] = W @ ((1 / theta - 1) * (W.T @ R))
        result += R
        return result


@dataclass(frozen=True)
class Inverse:
    """C = A⁻¹ as products, from products with A.

    multiply   Y → AY
    diagonal   J (n,), positive
    deflation  P; None for the identity
    tolerance  the relative residual ‖Âx − y‖ / ‖y‖ that a column may leave
    """

    multiply: Multiply
    diagonal: NDArray[np.float64]
    deflation: Deflation | None
    tolerance: float
    effort: Effort = field(default_factory=Effort)

    def scaled(self, Y: NDArray[Any]) -> NDArray[Any]:
        """ÂY (n, b)."""
        s = self.scale(Y.dtype)
        product = self.multiply(s * Y)
        product *= s
        return product

    def scale(self, dtype: Any) -> NDArray[Any]:
        """s (n, 1), to scale rows by."""
        s: NDArray[Any] = (1 / np.sqrt(self.diagonal)).astype(dtype)[:, None]
        return s

    def __call__(self, Y: NDArray[Any]) -> NDArray[Any]:
        """CY (n, b)."""
        s = self.scale(Y.dtype)
        solution = self.solve(s * Y)
        solution *= s
        return solution

    def solve(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Â⁻¹Y (n, b), in blocks of `WIDTH` columns. Raises SolverError if a residual stays above `tolerance`."""
        solution = np.empty(Y.shape, dtype=Y.dtype)
        for first in range(0, Y.shape[1], WIDTH):
            columns = slice(first, first + WIDTH)
            solution[:, columns] = self._solve(np.ascontiguousarray(Y[:, columns]))
        return solution

    def _solve(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Â⁻¹Y for one block in C order."""
        solution = np.zeros_like(Y)
        norms = np.sqrt(_dots(Y, Y))
        active = np.flatnonzero(norms)
        X, R, direction, before = solution[:, active], Y[:, active], None, np.ones(len(active))
        norms = norms[active]
        if not len(active):
            return solution
        for iteration in range(1, _LIMIT + 1):
            Z = R if self.deflation is None else self.deflation(R)
            rho = _dots(R, Z)
            direction = Z.copy() if direction is None else _added(Z, direction, rho / before)
            product = self.scaled(direction)
            curvature = _dots(direction, product)
            if not np.all(curvature > 0):
                raise SolverError("G + Λ is not positive definite: raise method.l2 or method.dropout")
            step = (rho / curvature).astype(Y.dtype)
            X += step * direction
            product *= step
            R -= product
            residuals = np.sqrt(_dots(R, R)) / norms
            done = residuals <= self.tolerance
            before = rho
            if done.any():
                self._count(iteration, residuals[done])
                solution[:, active[done]] = X[:, done]
                kept = ~done
                X, R, direction = (np.ascontiguousarray(array[:, kept]) for array in (X, R, direction))
                active, norms, before = active[kept], norms[kept], before[kept]
            if not len(active):
                return solution
        raise SolverError(
            f"conjugate gradients left a residual of {residuals.max():.1e} after {_LIMIT} iterations, not "
            f"{self.tolerance:g}: raise method.l2, method.dropout or method.cg_tol"
        )

    def _count(self, iteration: int, residuals: NDArray[np.float64]) -> None:
        effort = self.effort
        effort.columns += len(residuals)
        effort.iterations += iteration * len(residuals)
        effort.most = max(effort.most, iteration)
        effort.residual = max(effort.residual, float(residuals.max()))


def solving_workspace(n: int, itemsize: int) -> int:
    """Peak bytes of `Inverse.solve` beside the right-hand sides and the solution."""
    return 9 * n * WIDTH * itemsize


def _added(Z: NDArray[Any], direction: NDArray[Any], beta: NDArray[np.float64]) -> NDArray[Any]:
    """Z + β∘direction, in the array of the direction."""
    direction *= beta.astype(Z.dtype)
    direction += Z
    return direction


def _dots(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Inner product (b,) of each pair of columns, accumulated in float64."""
    dots: NDArray[np.float64] = np.einsum("ij,ij->j", a, b, dtype=np.float64)
    return dots

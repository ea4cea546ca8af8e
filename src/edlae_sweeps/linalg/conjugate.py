"""Solutions of A Z = Y for A = G + Λ (n, n), where G is only multiplied with blocks: conjugate gradients.

J = diag A                        (n,)     scale
Â = J^−½·A·J^−½                   (n, n)   unit diagonal; eigenvalues at least min(Λ ⊘ J)
P = I + W(Θ⁻¹ − I)Wᵀ              (n, n)   preconditioner of Â: W (n, r), Θ (r,) are leading eigenpairs (`deflation`)
K = J^−½·P·J^−½                   (n, n)   the same for A: J⁻¹ + S(Θ⁻¹ − I)Sᵀ, S = J^−½·W
C = A⁻¹                           (n, n)   never formed

Each column of a block has its own step lengths α and β and leaves the block when its residual, ‖J^−½(y − Ax)‖, is small
enough. The start is zero, so yᵀx = ‖x‖²_A throughout: an entry of the diagonal of C converges with the square of the
residual. Beside the product an iteration passes over four blocks once or twice, in parts that stay in the cache and on
all threads: rᵀKr comes from ‖J^−½r‖² and Sᵀr, so K r itself is never stored.

Block conjugate gradients, whose columns share one Krylov space, were tried: 64 columns together took 19 iterations on
a synthetic n = 99,795, 64 alone with 64 eigenpairs 20, with 256 eigenpairs 16.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg.parts import WIDTH, Each, column_blocks, row_parts, team

# Y (n, b) → the product of a symmetric operator with Y, a new array.
Multiply = Callable[[NDArray[Any]], NDArray[Any]]

_LIMIT = 2000


@dataclass
class Effort:
    """What all solutions together took, counted as they go. `advance` is called with each new number of columns.

    columns     right-hand sides
    iterations  products of A with one column
    most        iterations of the slowest column
    residual    the largest relative residual that was left
    """

    advance: Callable[[int], None] | None = None
    columns: int = 0
    iterations: int = 0
    most: int = 0
    residual: float = 0.0

    def count(self, iteration: int, residuals: NDArray[np.float64]) -> None:
        """Count columns that were solved in `iteration` steps."""
        self.columns += len(residuals)
        self.iterations += iteration * len(residuals)
        self.most = max(self.most, iteration)
        self.residual = max(self.residual, float(residuals.max()))
        if self.advance is not None:
            self.advance(self.columns)


@dataclass(frozen=True)
class Deflation:
    """S = J^−½·W (n, r), W orthonormal, and θ (r,) > 0: leading eigenpairs of Â, which need not be accurate."""

    vectors: NDArray[Any]
    values: NDArray[Any]


@dataclass(frozen=True)
class Inverse:
    """C = A⁻¹ as products, from products with G.

    gram       Y → GY
    penalty    diag Λ (n,)
    diagonal   J (n,), positive
    tolerance  the relative residual that a column may leave
    deflation  P; None for the identity
    threads    of what is done beside the products with G
    """

    gram: Multiply
    penalty: NDArray[np.float64]
    diagonal: NDArray[np.float64]
    tolerance: float
    deflation: Deflation | None = None
    threads: int = 1
    effort: Effort = field(default_factory=Effort)

    def __call__(self, Y: NDArray[Any]) -> NDArray[Any]:
        """CY (n, b), in blocks of `WIDTH` columns. Raises SolverError if a residual stays above `tolerance`."""
        solution = np.empty(Y.shape, dtype=Y.dtype)
        with team(self.threads) as each:
            for columns in column_blocks(Y.shape[1]):
                solution[:, columns] = self._solve(np.ascontiguousarray(Y[:, columns]), each)
        return solution

    def scaled(self, Y: NDArray[Any]) -> NDArray[Any]:
        """ÂY (n, b)."""
        s = column(1 / np.sqrt(self.diagonal), Y.dtype)
        Y = s * Y
        result = self.gram(Y)
        Y *= column(self.penalty, Y.dtype)
        result += Y
        result *= s
        return result

    def scaled_inverse(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Â⁻¹Y = J^½·C·J^½·Y (n, b)."""
        root = column(np.sqrt(self.diagonal), Y.dtype)
        solution = self(root * Y)
        solution *= root
        return solution

    def _solve(self, Y: NDArray[Any], each: Each) -> NDArray[Any]:
        """CY for one block in C order."""
        solution, active = np.zeros_like(Y), np.flatnonzero(Y.any(axis=0))
        if not len(active):
            return solution
        block = _Block(self, np.take(Y, active, axis=1), each)
        at_start = block.squares
        for iteration in range(1, _LIMIT + 1):
            block.step()
            residuals = np.sqrt(block.squares / at_start)
            done = residuals <= self.tolerance
            if done.any():
                self.effort.count(iteration, residuals[done])
                solution[:, active[done]] = block.X[:, done]
                block.keep(~done)
                active, at_start = active[~done], at_start[~done]
            if not len(active):
                return solution
        raise SolverError(
            f"conjugate gradients left a residual of {residuals.max():.1e} after {_LIMIT} iterations, not "
            f"{self.tolerance:g}: raise method.l2, method.dropout or method.cg_tol"
        )


class _Block:
    """Columns that are being solved: x, the residual r = y − Ax and the direction p, each (n, b).

    squares  ‖J^−½r‖² (b,)
    inside   Sᵀr (r, b), if there is a deflation
    before   rᵀKr of the step before
    """

    def __init__(self, inverse: Inverse, R: NDArray[Any], each: Each) -> None:
        self.inverse, self.R, self._each, dtype = inverse, R, each, R.dtype
        self.X, self.P = np.zeros_like(R), np.zeros_like(R)
        self._weights, self._over_J = column(inverse.penalty, dtype), column(1 / inverse.diagonal, dtype)
        self._S, self._shrink = np.empty((len(R), 0), dtype), np.empty((0, 1), dtype)
        if inverse.deflation is not None:
            self._S = inverse.deflation.vectors
            self._shrink = column(1 / inverse.deflation.values - 1, dtype)
        self.before: NDArray[np.float64] | None = None
        self._measure(self._measured)

    def _measure(self, work: Callable[[slice], tuple[NDArray[Any], NDArray[Any]]]) -> None:
        """Set `squares` and `inside` to the sums over all parts."""
        squares, inside = zip(*self._each(work, row_parts(len(self.R))), strict=True)
        self.squares: NDArray[np.float64] = np.sum(squares, axis=0, dtype=np.float64)
        self.inside: NDArray[Any] = np.sum(inside, axis=0)

    def _measured(self, rows: slice) -> tuple[NDArray[Any], NDArray[Any]]:
        """What these rows of r contribute. So few products are exact enough in float32."""
        part = self.R[rows]
        return np.einsum("ij,ij->j", part, self._over_J[rows] * part), self._S[rows].T @ part

    def step(self) -> None:
        """p ← Kr + βp, x ← x + αp, r ← r − αAp."""
        X, R, P, dtype = self.X, self.R, self.P, self.R.dtype
        pull = self._shrink * self.inside
        rho = self.squares + np.einsum("ij,ij->j", self.inside, pull, dtype=np.float64)
        beta = (np.zeros_like(rho) if self.before is None else rho / self.before).astype(dtype)

        def turn(rows: slice) -> None:
            P[rows] *= beta
            P[rows] += self._over_J[rows] * R[rows]
            if len(pull):
                P[rows] += self._S[rows] @ pull

        self._each(turn, row_parts(len(R)))
        Q = self.inverse.gram(P)

        def curve(rows: slice) -> NDArray[Any]:
            Q[rows] += self._weights[rows] * P[rows]
            products: NDArray[Any] = np.einsum("ij,ij->j", P[rows], Q[rows])
            return products

        curvature = np.sum(self._each(curve, row_parts(len(R))), axis=0, dtype=np.float64)
        if not np.all(curvature > 0):
            raise SolverError("G + Λ is not positive definite: raise method.l2 or method.dropout")
        alpha = (rho / curvature).astype(dtype)

        def move(rows: slice) -> tuple[NDArray[Any], NDArray[Any]]:
            X[rows] += alpha * P[rows]
            Q[rows] *= alpha
            R[rows] -= Q[rows]
            return self._measured(rows)

        self.before = rho
        self._measure(move)

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the other columns."""
        self.X, self.R, self.P = (np.compress(kept, array, axis=1) for array in (self.X, self.R, self.P))
        self.squares, self.inside = self.squares[kept], np.compress(kept, self.inside, axis=1)
        if self.before is not None:
            self.before = self.before[kept]


def solving_workspace(n: int, itemsize: int) -> int:
    """Peak bytes of a product with `Inverse` beside the right-hand sides and the solution: x, r, p and Ap, twice."""
    return 8 * n * WIDTH * itemsize


def column(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """(n, 1), to scale rows by."""
    return values.astype(dtype)[:, None]

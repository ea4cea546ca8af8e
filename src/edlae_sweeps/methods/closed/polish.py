"""Lowering Eq. 7 of a model of rank k: the best V for its U, and L-BFGS over both.

With A = G + Λ, a = diag A, F = AU, β = rowsum(U∘V), ρ = rowsum(F∘V):

    Eq. 7 = tr G − 2Σρ + 2aᵀβ + ⟨VᵀV, UᵀF⟩ − 2βᵀρ + aᵀβ²
"""

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from edlae_sweeps.datasets import Advance, Gram
from edlae_sweeps.linalg import Factor
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.models import LowRank, Polished
from edlae_sweeps.models.objective import inner, pair_fit, row_sums

Polish = Literal["none", "v_step", "lbfgs"]
# Pairs of differences that L-BFGS keeps.
_PAIRS = 8
# A smaller share of the largest eigenvalue is rounding.
_DEPENDENT = 1e-12
# The rounding of Eq. 7 of an item in units of ε times its terms.
_ROUNDING = 8


class Factors(NamedTuple):
    """U, V (n, k)."""

    U: NDArray[Any]
    V: NDArray[Any]


def polished(
    gram: NDArray[Any], penalty: Vector, model: LowRank, kind: Polish, iterations: int, advance: Advance | None = None
) -> LowRank:
    """The model after L-BFGS, if that is asked for, and then the best V for its U. G (n, n) is on the CPU."""
    factors, done = Factors(model.U, model.V), 0
    before = objective(gram, penalty, factors)
    if kind == "lbfgs":
        factors, done = descend(gram, penalty, factors, iterations, advance)
    factors = best_decoder(gram, penalty, factors)
    after = objective(gram, penalty, factors)
    if model.record is None:
        raise ValueError("the model has no record of its fit")
    return replace(model, U=factors.U, V=factors.V, record=Polished(model.record, before, after, done))


def objective(gram: Gram, penalty: Vector, factors: Factors) -> float:
    """Eq. 7, by one product of G with n×k."""
    return pair_fit(gram.diagonal(), penalty, *factors, gram @ factors.U).objective


def best_decoder(gram: Gram, penalty: Vector, factors: Factors) -> Factors:
    """U with the V (n, k) that minimises Eq. 7 for it: one product of G with n×k, and O(nk²).

    With Q = UᵀF and x, y, w = rowsum(UQ⁻¹∘U), rowsum(UQ⁻¹∘F), rowsum(FQ⁻¹∘F), the rows of

        V = ((1 − y)∘FQ⁻¹ − (a − w)∘UQ⁻¹) ⊘ (x∘(a − w) + (1 − y)²)

    In float64 but for the product. Columns of U that depend on others get no weight of their own. Where the divisor
    vanishes the minimum need not be attained, and near that V is mostly rounding. So a row is taken only if it lowers
    Eq. 7 by more than the rounding of its terms.
    """
    U = factors.U.astype(np.float64)
    a = gram.diagonal().astype(np.float64) + penalty
    F = (gram @ factors.U).astype(np.float64) + penalty[:, None] * U
    UtF = U.T @ F
    values, vectors = eigh(UtF, check_finite=False)
    kept = values > _DEPENDENT * values[-1]
    root = vectors[:, kept] / np.sqrt(values[kept])
    U_root, F_root = U @ root, F @ root
    x, y, w = row_sums(U_root, U_root), row_sums(U_root, F_root), row_sums(F_root, F_root)
    rest = np.maximum(a - w, 0)
    divisor = (x * rest + (1 - y) ** 2)[:, None]
    V = ((1 - y)[:, None] * F_root - rest[:, None] * U_root) @ root.T
    V = np.divide(V, divisor, out=np.zeros_like(V), where=divisor > np.finfo(np.float64).eps)
    V = V.astype(factors.V.dtype)
    del U_root, F_root
    gain = _by_item(a, UtF, U, F, factors.V) - _by_item(a, UtF, U, F, V)
    for part in (UtF, U, F):
        np.abs(part, out=part)
    terms = _by_item(a, UtF, U, F, np.abs(V), sign=1)
    better = gain > _ROUNDING * np.finfo(factors.V.dtype).eps * terms
    return Factors(factors.U, np.where(better[:, None], V, factors.V))


def _by_item(
    a: Vector, UtF: NDArray[Any], U: NDArray[Any], F: NDArray[Any], V: NDArray[Any], sign: Literal[1, -1] = -1
) -> Vector:
    """Eq. 7 of each item (n,), but for g; with sign 1 and absolute values, the size of its terms."""
    V = V.astype(np.float64)
    beta, rho = row_sums(U, V), row_sums(F, V)
    cost: Vector = row_sums(V @ UtF, V) + sign * 2 * (1 + beta) * rho + (2 + beta) * beta * a
    return cost


def descend(
    gram: NDArray[Any], penalty: Vector, start: Factors, iterations: int, advance: Advance | None = None
) -> tuple[Factors, int]:
    """U, V after at most `iterations` of L-BFGS, and how many there were.

    The variables are Y = LᵀU and V, with A = LLᵀ: in these Eq. 7 is well scaled. An evaluation takes two products and
    two solves with L, 4n²k flops together:

        ½∇Y = Y(VᵀV) − Lᵀ((1 + β)∘V) + L⁻¹((a + a∘β − ρ)∘V)
        ½∇V = V(YᵀY) − (1 + β)∘F + (a + a∘β − ρ)∘U,   F = LY, U = L⁻ᵀY

    The infimum need not be attained: entries of β can grow without end, so the number of iterations is bounded.
    """
    # Most jobs need none of it, and it takes a while to import.
    from scipy.optimize import minimize

    problem, done = _Whitened(gram, penalty, start.U.shape), 0

    def count(_variables: NDArray[np.float64]) -> None:
        nonlocal done
        done += 1
        if advance is not None:
            advance(done, iterations)

    solved = minimize(
        problem.evaluate,
        problem.variables(start),
        jac=True,
        method="L-BFGS-B",
        callback=count,
        options={"maxiter": iterations, "maxcor": _PAIRS, "maxfun": 2 * iterations + 10},
    )
    return problem.factors(solved.x), done


class _Whitened:
    """Eq. 7 as a function of Y = LᵀU and V, one vector in float64; products are in the type of G."""

    def __init__(self, gram: NDArray[Any], penalty: Vector, shape: tuple[int, ...]) -> None:
        self._factor, self._dtype, self._shape = Factor(gram, penalty, gram.dtype), gram.dtype, shape
        g = gram.diagonal().astype(np.float64)
        self._a, self._total = g + penalty, float(g.sum())

    def variables(self, factors: Factors) -> NDArray[np.float64]:
        """The vector of U, V."""
        U, V = (np.asfortranarray(part, dtype=self._dtype) for part in factors)
        return _joined(self._factor.transposed_product(U), V)

    def factors(self, variables: NDArray[np.float64]) -> Factors:
        """U, V of a vector."""
        Y, V = self._parts(variables)
        return Factors(np.ascontiguousarray(self._factor.transposed_solve(Y)), np.ascontiguousarray(V))

    def evaluate(self, variables: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Eq. 7 and its gradient."""
        Y, V = self._parts(variables)
        a, factor = self._a, self._factor
        U, F = factor.transposed_solve(Y), factor.product(Y)
        beta, rho = row_sums(U, V), row_sums(F, V)
        YtY, VtV = Y.T @ Y, V.T @ V
        value = self._total - 2 * rho.sum() + 2 * a @ beta + inner(VtV, YtY) - 2 * beta @ rho + a @ beta**2
        grown, rest = _column(1 + beta, V), _column(a + a * beta - rho, V)
        of_Y = Y @ VtV - factor.transposed_product(grown * V) + factor.solve(rest * V)
        of_V = V @ YtY - grown * F + rest * U
        return float(value), 2 * _joined(of_Y, of_V)

    def _parts(self, variables: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Y and V (n, k), with contiguous columns, as BLAS has them."""
        Y, V = variables.astype(self._dtype).reshape(2, *reversed(self._shape))
        return Y.T, V.T


def _joined(Y: NDArray[Any], V: NDArray[Any]) -> NDArray[np.float64]:
    return np.concatenate([part.T.ravel() for part in (Y, V)]).astype(np.float64)


def polish_bytes(kind: Polish, n: int, k: int, itemsize: int) -> int:
    """Peak memory in bytes beside G and the model that is polished."""
    if kind == "none":
        return 0
    step = (7 * n * k + 2 * k * k) * 8
    if kind == "v_step":
        return step
    # L; and in float64 the variables with their gradients, the pairs of L-BFGS, and copies, as measured.
    return n * n * itemsize + max(step, (2 * _PAIRS + 20) * 2 * n * k * 8)


def polish_products(kind: Polish, n: int, k: int, iterations: int) -> float:
    """Estimated time in products of n×n×n; three products of n×n×k an iteration."""
    if kind == "none":
        return 0.0
    return 2 * k / n + (0.0 if kind == "v_step" else 0.3 + 3 * iterations * k / n)


def _column(values: Vector, like: NDArray[Any]) -> NDArray[Any]:
    return values.astype(like.dtype)[:, None]

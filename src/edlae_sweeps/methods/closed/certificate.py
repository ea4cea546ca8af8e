"""A lower bound on Eq. 7 over all models of rank k: how far from the optimum a model can be.

A = G + Λ = LLᵀ, C = A⁻¹, a = diag A, D = 1 ⊘ diag C, r = a∘diag C − 1 ≥ 0. The full-rank EDLAE B = I − C·dMat(D) has
Eq. 7 = Σ(D − Λ), and a model W = UVᵀ has F ≥ 0 more. With b_j = Lᵀe_j and c_j = L⁻¹e_j, b_iᵀb_j = A_ij, c_iᵀc_j = C_ij,
b_iᵀc_j = δ_ij; b̂_j and û_j ∝ c_j − b_j/a_j are orthonormal.

1. F = ‖Lᵀ(B − W + dMat(diag W))‖². Let Q (n, k) be an orthonormal basis of the range of LᵀW. The best W with this Q has

       F = Σ_j (a_j − D_j)·h_j / (h_j + (1 + r_j)(1 − h_j)),   h_j = dist²(û_j, span(Q, b_j))

2. With X = QQᵀ, x_j = û_jᵀXû_j and y_j = b̂_jᵀXb̂_j, Cauchy's inequality gives h_j ≥ 1 − x_j/(1 − y_j) where
   x_j + y_j < 1. So the share of item j in a_j − D_j is at least

       θ_j(x, y) = (1 − y)·ψ_j(x/(1 − y)),   ψ_j(m) = (1 − m)/(1 + r_j m);   0 where x + y ≥ 1

   It is convex, as the perspective of a convex function, and no larger convex function of x and y would do.
3. So F is at least the minimum of Σ_j (a_j − D_j)θ_j over 0 ⪯ X ⪯ I, tr X = k, a convex problem. Each tangent of it, at
   any m in [0, 1]ⁿ, is a bound:

       F ≥ Σ_j s_j − (the sum of the k largest eigenvalues of Σ_j t_j û_jû_jᵀ + s_j b̂_jb̂_jᵀ)
       t = (a − D)∘(1 + r) ⊘ (1 + r∘m)²,   s = (a − D)∘(1 + 2r∘m − r∘m²) ⊘ (1 + r∘m)²

Since any m will do, it is searched for in the type of G, by conditional gradients. Only the eigenvalues of the best
tangent are computed in float64, by LAPACK, and the bound holds to rounding there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, minimize

from edlae_sweeps.datasets import Advance
from edlae_sweeps.linalg import Eigenpairs, Factor, block_krylov, eigenvalues, leading_eigenpairs, uses_blocks
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.models.objective import row_sums

# Steps of conditional gradients, at most, and the relative distance to the best bound at which they stop.
_STEPS = 15
_CLOSE = 0.005
# From the fourth step on, the share of the newest tangent in the next one; the rest is the best tangent so far. The
# newest alone jump around the best: on debian at rank 100, F ≥ 16,943 after 12 steps, and 17,969 with this.
_FREE_STEPS = 3
_NEW = 0.3
# Accuracy of the eigenvalues during the search.
_TOLERANCE = 1e-4


def lower_bounds(
    gram: NDArray[Any], penalty: Vector, ranks: Sequence[int], advance: Advance | None = None
) -> dict[int, float]:
    """For each rank, a number that Eq. 7 of no model of that rank is below, to rounding in float64.

    gram     G (n, n) on the CPU, not changed
    penalty  diag Λ (n,)

    Takes up to 12 times the leading eigenpairs of an n×n operator for each rank, and all eigenvalues of an array in
    float64. `advance(done, total)` is called after each rank and step. Raises SolverError if A is singular.
    """
    searched = {}
    planes = Planes.of(gram, penalty, gram.dtype)
    for done, k in enumerate(ranks):
        searched[k] = _search(planes, k, lambda step, done=done: _told(advance, done * _STEPS + step, len(ranks)))
    # Free the factor before the next one, which is twice as large.
    del planes
    exact = Planes.of(gram, penalty, np.float64)
    unpenalised = float((exact.D - penalty).sum())
    return {k: unpenalised + max(0.0, exact.bound(tangent, k)) for k, tangent in searched.items()}


def certificate_bytes(n: int) -> int:
    """Peak memory of `lower_bounds` in bytes beside G: L, the vectors of all planes, and their sum, in float64."""
    return 3 * n * n * 8


def _told(advance: Advance | None, done: int, ranks: int) -> None:
    if advance is not None:
        advance(done, ranks * _STEPS)


@dataclass(frozen=True)
class Tangent:
    """The weights (n,) of û_jû_jᵀ and b̂_jb̂_jᵀ in a tangent of Σ(a_j − D_j)θ_j: t and s.

    A convex combination of tangents gives a bound as well.
    """

    of_u: Vector
    of_b: Vector

    def towards(self, other: "Tangent", share: float) -> "Tangent":
        """The combination with this share of the other."""
        return Tangent(
            (1 - share) * self.of_u + share * other.of_u,
            (1 - share) * self.of_b + share * other.of_b,
        )


@dataclass(frozen=True)
class Planes:
    """The planes of b_j and c_j: the factor L, diag A and diag C (n,)."""

    factor: Factor
    a: Vector
    inverse_diagonal: Vector

    @classmethod
    def of(cls, gram: NDArray[Any], penalty: Vector, dtype: Any) -> "Planes":
        """Factorise A in the type `dtype`."""
        factor = Factor(gram, penalty, dtype)
        return cls(factor, gram.diagonal().astype(np.float64) + penalty, factor.inverse_diagonal())

    @property
    def D(self) -> Vector:  # noqa: N802 - a vector of the paper
        """1 ⊘ diag C (n,)."""
        return 1 / self.inverse_diagonal

    @property
    def r(self) -> Vector:
        """a∘diag C − 1 (n,); 0 for an item that no user has along with another, whose plane is a line."""
        r = self.a * self.inverse_diagonal - 1
        r[r < 64 * np.finfo(self.factor.L.dtype).eps] = 0
        return r

    def cost(self, x: Vector, y: Vector) -> float:
        """Σ_j (a_j − D_j)θ_j(x_j, y_j)."""
        left, m = _split(x, y)
        return float(((self.a - self.D) * left * (1 - m) / (1 + self.r * m))[self.r > 0].sum())

    def tangent(self, x: Vector, y: Vector) -> Tangent:
        """The tangent at x, y; 0 for an item that costs nothing there."""
        r, (left, m) = self.r, _split(x, y)
        scale = np.where((r > 0) & (left > 0) & (m < 1), (self.a - self.D) / (1 + r * m) ** 2, 0.0)
        return Tangent(scale * (1 + r), scale * (1 + 2 * r * m - r * m**2))

    def eigenpairs(self, tangent: Tangent, k: int) -> Eigenpairs:
        """The k leading eigenpairs of Σ_j t_j û_jû_jᵀ + s_j b̂_jb̂_jᵀ, roughly."""
        n, dtype = len(self.a), self.factor.L.dtype
        if not uses_blocks(n, k, _TOLERANCE, dtype.itemsize):
            return leading_eigenpairs(self._sum(tangent), k, _TOLERANCE, overwrite=True)
        t, s = (weights.astype(dtype)[:, None] for weights in (self._scaled(tangent), tangent.of_b / self.a))
        a = self.a.astype(dtype)[:, None]

        def product(Y: NDArray[Any]) -> NDArray[Any]:
            of_b = self.factor.product(Y)
            of_u = t * (self.factor.transposed_solve(Y) - of_b / a)
            of_b *= s
            of_b -= of_u / a
            result = self.factor.solve(of_u)
            result += self.factor.transposed_product(of_b)
            return result

        return block_krylov(product, n, k, dtype, _TOLERANCE)

    def captured(self, V: NDArray[Any]) -> tuple[Vector, Vector]:
        """x and y (n,) of X = VVᵀ."""
        V = np.asfortranarray(V)
        of_b = self.factor.product(V)
        of_u = self.factor.transposed_solve(V) - of_b / self.a.astype(V.dtype)[:, None]
        kappa, r = self.inverse_diagonal - 1 / self.a, self.r
        x = np.divide(row_sums(of_u, of_u), kappa, out=np.zeros(len(r)), where=r > 0)
        return np.clip(x, 0, 1), np.clip(row_sums(of_b, of_b) / self.a, 0, 1)

    def bound(self, tangent: Tangent, k: int) -> float:
        """The bound on F from a tangent, by all eigenvalues of an array."""
        values = eigenvalues(self._sum(tangent))
        return float(tangent.of_b.sum() - np.sort(values)[-k:].sum())

    def _scaled(self, tangent: Tangent) -> Vector:
        """t ⊘ ‖c_j − b_j/a_j‖² (n,)."""
        r = self.r
        return np.divide(tangent.of_u * self.a, r, out=np.zeros(len(r)), where=r > 0)

    def _sum(self, tangent: Tangent) -> NDArray[Any]:
        """Σ_j t_j û_jû_jᵀ + s_j b̂_jb̂_jᵀ (n, n): TTᵀ + LᵀdMat(s ⊘ a)L with T = (L⁻¹ − LᵀdMat(1 ⊘ a))·dMat(√t/‖·‖)."""
        L, dtype = self.factor.L, self.factor.L.dtype
        T = self.factor.solve(np.eye(len(L), dtype=dtype, order="F"))
        T -= L.T / self.a.astype(dtype)
        T *= np.sqrt(self._scaled(tangent)).astype(dtype)
        total: NDArray[Any] = T @ T.T
        np.multiply(L.T, np.sqrt(tangent.of_b / self.a).astype(dtype), out=T)
        total += T @ T.T
        return total


def _split(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """1 − y, and m = x/(1 − y) up to 1, which it is where y = 1."""
    left = np.maximum(1 - y, 0)
    return left, np.minimum(np.divide(x, left, out=np.ones(len(x)), where=left > 0), 1)


def _search(planes: Planes, k: int, told: Any) -> Tangent:
    """The tangent with the best bound that conditional gradients meet, each step with the best mix of all X so far."""
    zero = np.zeros(len(planes.a))
    x, y = zero, zero
    met: list[tuple[Vector, Vector]] = []
    best, tangent = -np.inf, planes.tangent(zero, zero)
    for step in range(1, _STEPS + 1):
        now = planes.tangent(x, y)
        if step > _FREE_STEPS:
            now = tangent.towards(now, _NEW)
        pairs = planes.eigenpairs(now, k)
        bound = float(now.of_b.sum() - pairs.values.sum())
        if bound > best:
            best, tangent = bound, now
        met.append(planes.captured(pairs.vectors))
        told(step)
        if planes.cost(x, y) - best <= _CLOSE * planes.cost(x, y):
            break
        x, y = _best_mix(planes, met)
    return tangent


def _best_mix(planes: Planes, met: Sequence[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    """The convex combination of the pairs x, y with the least cost."""
    xs, ys = (np.stack(parts) for parts in zip(*met, strict=True))

    def cost(weights: Vector) -> tuple[float, Vector]:
        x, y = weights @ xs, weights @ ys
        slope = planes.tangent(x, y)
        return planes.cost(x, y), -(xs @ slope.of_u + ys @ slope.of_b)

    count = len(met)
    start = np.full(count, 1 / count)
    scale = max(planes.cost(start @ xs, start @ ys), 1e-300)
    solved = minimize(
        lambda w: tuple(part / scale for part in cost(w)),
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=LinearConstraint(np.ones((1, count)), 1, 1),
    )
    weights = np.clip(solved.x, 0, None)
    weights /= weights.sum()
    return weights @ xs, weights @ ys

"""A lower bound on Eq. 7 over all models of rank k: how far from the optimum a model can be.

A = G + Λ = LLᵀ, C = A⁻¹, a = diag A, D = 1 ⊘ diag C, r = a∘diag C − 1 ≥ 0. The vectors b_j = Lᵀe_j and c_j = L⁻¹e_j
have b_iᵀb_j = A_ij, c_iᵀc_j = C_ij, b_iᵀc_j = δ_ij. So b̂_j = b_j/√a_j is orthogonal to c_j − b_j/a_j, whose length is
√(r_j/a_j) and whose direction is û_j. An item with r_j = 0 has a_j = D_j, adds nothing to F below, and is left out.

Eq. 7 of W is Σ(D − Λ) + F, F = ‖Lᵀ(B − W + dMat(diag W))‖², with the full-rank EDLAE B = I − C·dMat(D). F is the sum
of F_j over its columns.

1. Let S be a space of k dimensions that holds all columns of LᵀW, and q that of item j. Column j of LᵀB is
   v = b_j − D_jc_j, and W_jj = c_jᵀq. So F_j = ‖v − Pq‖², where P = I − b_jc_jᵀ maps S to the vectors of S + span(b_j)
   that are orthogonal to c_j. With w the projection of û_j onto S + span(b_j), and μ_j = ‖w‖², one of these vectors is
   z = w − √r_j·μ_j·b̂_j. All that are orthogonal to z are orthogonal to v = √(D_jr_j/(1 + r_j))·(√r_j·b̂_j − û_j) too.
   So F_j ≥ ‖v‖² − (vᵀz)²/‖z‖², or ‖v‖² if z = 0. With ‖v‖² = a_j − D_j this is

       F_j ≥ (a_j − D_j)·ψ_j(μ_j),   ψ_j(μ) = (1 − μ)/(1 + r_jμ)

2. Let X be the projector onto S, x_j = û_jᵀXû_j, y_j = b̂_jᵀXb̂_j. If y_j < 1 then μ_j = x_j + (û_jᵀXb̂_j)²/(1 − y_j),
   at most x_j/(1 − y_j) by the Cauchy–Schwarz inequality. ψ_j falls, so where x_j + y_j < 1

       F_j ≥ (a_j − D_j)·ψ_j(x_j/(1 − y_j))

3. For any t_j ≥ 0 let s_j be the minimum of (a_j − D_j)ψ_j(μ) + t_jμ over 0 ≤ μ ≤ 1. Then

       F_j ≥ s_j(1 − y_j) − t_jx_j

   Where x_j + y_j < 1, the right side is (1 − y_j)(s_j − t_jμ) ≤ (1 − y_j)·(a_j − D_j)ψ_j(μ) at μ = x_j/(1 − y_j), and
   step 2 has this without the factor 1 − y_j ≤ 1. Elsewhere the right side is at most t_j(1 − y_j − x_j) ≤ 0, since
   s_j ≤ t_j, the value at μ = 1.
4. The sum over items is F ≥ Σs − tr(XM) with M = Σ_j t_jû_jû_jᵀ + s_jb̂_jb̂_jᵀ, and tr(XM) is at most the sum of the k
   largest eigenvalues of M (Ky Fan). So, for every t ≥ 0,

       F ≥ Σs − (the sum of the k largest eigenvalues of M)

Any t will do, and it is searched for in the type of G. For the best t alone, s and the eigenvalues are computed in
float64, by LAPACK: the bound holds to rounding there. The largest bound over t is the minimum of the convex function
Σ_j (a_j − D_j)(1 − y_j)·max(0, ψ_j(x_j/(1 − y_j))) over 0 ⪯ X ⪯ I, tr X = k. The search solves that problem by
conditional gradients; t is the slope of −x_j.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance
from edlae_sweeps.linalg import block_workspace, dense_workspace, uses_blocks
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.planes import TOLERANCE, Planes

# Steps of conditional gradients, at most, and the relative distance to the best bound at which they stop.
_STEPS = 15
_CLOSE = 0.005
# From the fourth step on, the share of the newest t in the next one; the rest is the best t so far. The newest alone
# jump around the best: on debian at rank 100, F ≥ 16,943 after 12 steps, and 17,969 with this.
_FREE_STEPS = 3
_NEW = 0.3


def lower_bounds(
    gram: NDArray[Any], penalty: Vector, ranks: Sequence[int], advance: Advance | None = None
) -> dict[int, float]:
    """For each rank, a number that Eq. 7 of no model of that rank is below.

    It holds to the rounding of C in float64, which grows with the condition number of A: a relative 1e-6 at 1e10.

    gram     G (n, n) on the CPU, not changed
    penalty  diag Λ (n,)

    Takes up to 15 times the leading eigenpairs of an n×n operator for each rank, and all eigenvalues of an array in
    float64. `advance(done, total)` is called after each step of a search. Raises SolverError if A is singular.
    """
    total, searched = len(ranks) * _STEPS, {}
    planes = Planes.of(gram, penalty, gram.dtype)
    for place, k in enumerate(ranks):

        def count(step: int, before: int = place * _STEPS) -> None:
            if advance is not None:
                advance(before + step, total)

        searched[k] = _search(planes, k, count)
    if gram.dtype != np.float64:
        # Free the factor before the next one, which is twice as large.
        del planes
        planes = Planes.of(gram, penalty, np.float64)
    unpenalised = float((planes.D - penalty).sum())
    return {k: unpenalised + max(0.0, planes.bound(t, k)) for k, t in searched.items()}


def certificate_bytes(n: int, k: int, itemsize: int) -> int:
    """Peak memory of `lower_bounds` in bytes beside G, for ranks up to k.

    Three arrays n×n in float64, of which one is L; or, in the type of G, L and what the search takes.
    """
    if uses_blocks(n, k, TOLERANCE, itemsize):
        eigenpairs = block_workspace(n, k, itemsize)
    else:
        eigenpairs = n * n * itemsize + max(n * n * itemsize, dense_workspace(n, k, itemsize))
    search = n * n * itemsize + max(eigenpairs, 4 * n * k * itemsize)
    return max(3 * n * n * 8, search)


def _search(planes: Planes, k: int, count: Callable[[int], None]) -> Vector:
    """The t with the best bound that conditional gradients meet, each step from the best mix of all X so far."""
    x = y = np.zeros(len(planes.a))
    met: list[tuple[Vector, Vector]] = []
    best, best_t = -np.inf, planes.slope(x, y)
    for step in range(1, _STEPS + 1):
        t = planes.slope(x, y)
        if step > _FREE_STEPS:
            t = (1 - _NEW) * best_t + _NEW * t
        pairs = planes.eigenpairs(t, k)
        bound = float(planes.offset(t).sum() - pairs.values.sum())
        if bound > best:
            best, best_t = bound, t
        met.append(planes.captured(pairs.vectors))
        # Free them before the next ones.
        del pairs
        count(step)
        if planes.cost(x, y) - best <= _CLOSE * planes.cost(x, y):
            break
        x, y = _best_mix(planes, met)
    return best_t


def _best_mix(planes: Planes, met: Sequence[tuple[Vector, Vector]]) -> tuple[Vector, Vector]:
    """The convex combination of the pairs x, y with the least cost."""
    if len(met) == 1:
        return met[0]
    # Most jobs need none of it, and it takes a while to import.
    from scipy.optimize import minimize

    xs, ys = (np.stack(parts) for parts in zip(*met, strict=True))
    count = len(met)
    start = np.full(count, 1 / count)
    scale = max(planes.cost(start @ xs, start @ ys), 1e-300)

    def cost(weights: Vector) -> tuple[float, Vector]:
        x, y = weights @ xs, weights @ ys
        t = planes.slope(x, y)
        return planes.cost(x, y) / scale, -(xs @ t + ys @ planes.offset(t)) / scale

    solved = minimize(
        cost,
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
    )
    weights = np.clip(solved.x, 0, None)
    weights /= weights.sum()
    return weights @ xs, weights @ ys

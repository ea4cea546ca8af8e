"""What is told of the learned weights UVᵀ: their diagonal, and how they stand to the full-rank solution."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.methods import FullRank, LowRank
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.objective import inner, row_sums

_QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}


def diagonal(model: LowRank) -> Vector:
    """diag(UVᵀ) (n,)."""
    return row_sums(model.U, model.V)


def diagonal_quantiles(beta: Vector) -> dict[str, float]:
    """Quantiles over the items of β = diag(UVᵀ)."""
    values = np.quantile(beta, list(_QUANTILES.values()))
    return {name: float(value) for name, value in zip(_QUANTILES, values, strict=True)}


def eq_11(gram: NDArray[Any], penalty: Vector, full: FullRank, model: LowRank) -> dict[str, float]:
    """Both sides of Eq. 11, for the full-rank EDLAE B and W = UVᵀ without its diagonal β:

        ‖Y − ZW‖² = ‖Y − ZB‖² + ‖Z(B − W)‖²,   Y = [X; 0], Z = [X; Λ^½]

    left   tr G − 2⟨G, W⟩ + ⟨W, AW⟩                     Eq. 7
    right  Σ_j(d_j − Λ_j) + ⟨B, AB⟩ − 2⟨W, AB⟩ + ⟨W, AW⟩, with B as it was computed: ⟨W, AB⟩ = ⟨AU, BV⟩ − βᵀdiag(AB)

    They agree as far as the inverse is exact. `approximation` is the last term of the equation, what a low rank costs.
    Two products of n×n by n×k.
    """
    U, V, B, d = model.U, model.V, full.B, full.d
    g, beta = gram.diagonal().astype(np.float64), diagonal(model)
    GU = gram @ U
    cross_G = row_sums(GU, V).sum() - g @ beta
    AU = GU
    AU += penalty.astype(GU.dtype)[:, None] * U
    energy = inner(V.T @ V, U.T @ AU) - 2 * beta @ row_sums(AU, V) + beta**2 @ (g + penalty)
    # AB = A − dMat(d), on the diagonal and under the trace with B.
    cross_A = inner(AU, B @ V) - beta @ (g + penalty - d)
    approximation = (g + penalty - d).sum() - 2 * cross_A + energy
    return {
        "left": float(g.sum() - 2 * cross_G + energy),
        "right": float((d - penalty).sum() + approximation),
        "approximation": float(approximation),
    }


def residual(full: FullRank, model: LowRank) -> dict[str, float]:
    """Mean squared entry of B − UVᵀ on the diagonal, where B is zero, and off it (Eq. 14 and Section 3.2).

    ‖B‖² − 2⟨BV, U⟩ + ⟨UᵀU, VᵀV⟩ in all: one product of n×n by n×k.
    """
    U, V, B = model.U, model.V, full.B
    n = len(B)
    on = float(np.sum(diagonal(model) ** 2))
    total = inner(B, B) - 2 * inner(B @ V, U) + inner(U.T @ U, V.T @ V)
    return {"diagonal": on / n, "off_diagonal": max(0.0, total - on) / max(1, n * (n - 1))}

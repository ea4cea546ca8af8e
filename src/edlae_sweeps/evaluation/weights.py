"""Diagnostics of the learned weights W = UVᵀ: their diagonal, and how they compare with the full-rank solution."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Gram
from edlae_sweeps.linalg import operator_of
from edlae_sweeps.models import FullRank, Model
from edlae_sweeps.models.objective import Vector, inner, row_sums

_QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}


def weight_metrics(
    gram: Gram, penalty: Vector, model: Model, edlae: FullRank | None, B: Gram | None = None
) -> dict[str, dict[str, float]]:
    """Metrics by group for a model with factors U and V; none for other models.

    diagonal  quantiles of diag(UVᵀ)
    eq11      both sides of Eq. 11, if the full-rank EDLAE that the model approximates is given
    residual  how far the model is from it on and off the diagonal (Eq. 14)

    `B` multiplies in place of the array of `edlae`. One product of G and one of B with n×k.
    """
    factors = model.factors()
    if factors is None:
        return {}
    quantiles = np.quantile(row_sums(*factors), list(_QUANTILES.values()))
    metrics = {"diagonal": {name: float(value) for name, value in zip(_QUANTILES, quantiles, strict=True)}}
    if edlae is not None:
        BV = (operator_of(edlae.B) if B is None else B) @ factors[1]
        metrics["eq11"] = eq_11(gram, penalty, edlae, *factors, BV)
        metrics["residual"] = residual(edlae, *factors, BV)
    return metrics


def diagonal(model: Model) -> Vector | None:
    """diag(UVᵀ) (n,) of a model with factors U and V; None for other models."""
    factors = model.factors()
    return None if factors is None else row_sums(*factors)


def eq_11(
    gram: Gram, penalty: Vector, full: FullRank, U: NDArray[Any], V: NDArray[Any], BV: NDArray[Any]
) -> dict[str, float]:
    """Both sides of Eq. 11, for the full-rank EDLAE B and W = UVᵀ without its diagonal β:

        ‖Y − ZW‖² = ‖Y − ZB‖² + ‖Z(B − W)‖²,   Y = [X; 0], Z = [X; Λ^½]

    left   tr G − 2⟨G, W⟩ + ⟨W, AW⟩                     Eq. 7
    right  Σ_j(d_j − Λ_j) + ⟨B, AB⟩ − 2⟨W, AB⟩ + ⟨W, AW⟩, from the computed B: ⟨W, AB⟩ = ⟨AU, BV⟩ − βᵀdiag(AB)

    They agree as far as the inverse is exact. `approximation` is the last term, the cost of the low rank.
    """
    d = full.d
    g, beta = gram.diagonal().astype(np.float64), row_sums(U, V)
    GU = gram @ U
    cross_G = row_sums(GU, V).sum() - g @ beta
    AU = GU
    AU += penalty.astype(GU.dtype)[:, None] * U
    energy = inner(V.T @ V, U.T @ AU) - 2 * beta @ row_sums(AU, V) + beta**2 @ (g + penalty)
    # AB = A − dMat(d), on the diagonal and under the trace with B.
    cross_A = inner(AU, BV) - beta @ (g + penalty - d)
    approximation = (g + penalty - d).sum() - 2 * cross_A + energy
    return {
        "left": float(g.sum() - 2 * cross_G + energy),
        "right": float((d - penalty).sum() + approximation),
        "approximation": float(approximation),
    }


def residual(full: FullRank, U: NDArray[Any], V: NDArray[Any], BV: NDArray[Any]) -> dict[str, float]:
    """Mean squared entry of B − UVᵀ on the diagonal, which is zero in B, and off it (Eq. 14, Section 3.2).

    ‖B‖² − 2⟨BV, U⟩ + ⟨UᵀU, VᵀV⟩ in all.
    """
    B, n = full.B, len(full.B)
    on = float(np.sum(row_sums(U, V) ** 2))
    total = inner(B, B) - 2 * inner(BV, U) + inner(U.T @ U, V.T @ V)
    return {"diagonal": on / n, "off_diagonal": max(0.0, total - on) / max(1, n * (n - 1))}

"""How well a linear model fits its training data, from the Gram matrix G = XᵀX alone.

With W = UVᵀ (or B), β = diag W, g = diag G, A = G + Λ (paper: Eq. 7; g, Λ as vectors):

    squared error  ‖X − XW‖²
    objective      ‖X − X(W − dMat β)‖² + ‖Λ^½(W − dMat β)‖²
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.linalg import Array, backend_of

Vector = NDArray[np.float64]
_ROWS = 256


@dataclass(frozen=True)
class TrainingFit:
    """‖X − XW‖² and the objective of Eq. 7, both sums over all entries."""

    squared_error: float
    objective: float


def pair_fit(g: NDArray[Any], penalty: Vector, U: Array, V: Array, GU: Array) -> TrainingFit:
    """The fit of U, V (n, k), given GU (n, k), in O(nk²) and accumulated in float64, since the sums cancel:

    tr G − 2⟨GU, V⟩ + ⟨VᵀV, UᵀGU⟩, and
    tr G − 2(⟨GU, V⟩ − gᵀβ) + ⟨VᵀV, UᵀAU⟩ − 2βᵀ·rowsum((AU)∘V) + Σ_j β_j²(g_j + Λ_j), with AU = GU + Λ∘U.
    """
    g = g.astype(np.float64)
    VtV = V.T @ V
    beta = row_sums(U, V)
    diag_GW = row_sums(GU, V)
    squared_error = g.sum() - 2 * diag_GW.sum() + inner(VtV, U.T @ GU)
    weighted = backend_of(U).column(penalty, U) * U
    objective = (
        squared_error
        + 2 * g @ beta
        + inner(VtV, U.T @ weighted)
        - 2 * beta @ (diag_GW + penalty * beta)
        + beta**2 @ (g + penalty)
    )
    return TrainingFit(float(squared_error), float(objective))


def full_rank_fit(gram: Any, penalty: Vector, B: NDArray[Any], d: Vector) -> TrainingFit:
    """The fit of B (n, n) with AB = A − dMat(d), from rows of G, in O(n²) and accumulated in float64:

    tr G − ⟨G, B⟩ + Σ_i B_ii(Λ_i − d_i) − Σ_ij Λ_i B_ij², and
    tr G − ⟨G, W⟩ − Σ_j β_j(A_jj(1 − β_j) − d_j) with W = B − dMat β.
    """
    g, beta = (matrix.diagonal().astype(np.float64) for matrix in (gram, B))
    inner_GB = sum(inner(gram[rows], B[rows]) for rows in row_blocks(len(B)))
    squared_error = g.sum() - inner_GB + beta @ (penalty - d) - penalty @ row_sums(B, B)
    objective = g.sum() - (inner_GB - g @ beta) - beta @ ((g + penalty) * (1 - beta) - d)
    return TrainingFit(float(squared_error), float(objective))


def row_sums(a: Array, b: Array) -> Vector:
    """diag(a bᵀ), accumulated in float64."""
    return backend_of(a).row_sums(a, b)


def inner(a: Array, b: Array) -> float:
    """⟨a, b⟩ = Σ_ij a_ij b_ij, accumulated in float64."""
    return float(row_sums(a, b).sum())


def row_blocks(n: int, size: int = _ROWS) -> Iterator[slice]:
    """Slices of `size` rows that cover n rows, for temporaries of a few rows instead of n×n."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))

"""Low-rank EDLAE by ADMM (Steck 2020), lean: the black line of Figure 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.full_rank import Problem, apply_inverse
from edlae_sweeps.methods.iteration import Iterate, Iterative
from edlae_sweeps.methods.objective import pair_fit, row_sums


@dataclass
class AdmmSettings(Iterative):
    """What both ways of computing the iterates share: ω, and the update of β and γ."""

    omega: float

    def check(self) -> None:
        super().check()
        if not 0 < self.omega <= 1e15:
            raise ConfigError(f"method.omega={self.omega}: choose a number above 0, up to 1e15")

    def weights(self, beta: Vector, gamma: Vector, penalty: Vector, dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """1 + β and Ω(β−γ) as columns (n, 1)."""
        columns = (1 + beta, (penalty + self.omega) * (beta - gamma))
        return columns[0].astype(dtype)[:, None], columns[1].astype(dtype)[:, None]

    def update(
        self, diag_GW: Vector, diag_W: Vector, gamma: Vector, g: Vector, penalty: Vector
    ) -> tuple[Vector, Vector]:
        """β and γ (n,) of the next epoch, from diag(GW) and diag W, W = UVᵀ."""
        beta = np.maximum(0, (diag_GW - g + (penalty + self.omega) * (diag_W + gamma)) / (g + self.omega))
        return beta, gamma + diag_W - beta


@dataclass
class Admm(AdmmSettings):
    """Minimises Eq. 7 over U, V (n, k), with a copy β of diag(UVᵀ), its multiplier γ, and Ω = Λ + ωI. An epoch is

        V ← qr((1+β)∘(GU) + Ω(β−γ)∘U)
        U ← C·(G·((1+β)∘V) + Ω(β−γ)∘V)
        β ← max(0, (diag(GUVᵀ) − diag G + Ω(diag(UVᵀ) + γ)) / (diag G + ω))
        γ ← γ + diag(UVᵀ) − β

    which is the published update in an orthonormal basis of V. Neither UVᵀ nor any other n×n array is formed:
    diag(GUVᵀ) is the row sum of (GU)∘V, and GU serves the next epoch. An epoch is three products of n×n by n×k (6n²k
    flops; the start takes a fourth) and O(nk²) for the basis and the objective.

    Where it converges it does so slowly, and it nearly always diverges in the end: the best iterate is kept.
    """

    name: ClassVar[str] = "admm"

    def iterates(self, state: Problem, k: int) -> Iterator[Iterate]:
        gram, penalty, g = state.gram, state.penalty, state.gram.diagonal().astype(np.float64)
        dtype = gram.dtype
        beta, gamma = np.zeros(len(g)), np.zeros(len(g))
        U = self.start(len(g), k, dtype)
        GU = gram @ U
        while True:
            grow, pull = self.weights(beta, gamma, penalty, dtype)
            V = qr(grow * GU + pull * U, mode="economic", overwrite_a=True, check_finite=False)[0]
            U = apply_inverse(state.full, gram @ (grow * V) + pull * V)
            GU = gram @ U
            beta, gamma = self.update(row_sums(GU, V), row_sums(U, V), gamma, g, penalty)
            yield U, V, pair_fit(g, penalty, U, V, GU)

    def epoch_products(self, n: int, k: int) -> float:
        # Both matrices are read in full whatever the rank, and the basis costs half as much again as the products.
        return 0.05 + 5 * k / n

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """G, B; n×k: U, V, GU, the best U, V, and two of the product in hand; and k×k of the objective."""
        return (2 * n * n + 7 * n * max_rank + 3 * max_rank**2) * itemsize

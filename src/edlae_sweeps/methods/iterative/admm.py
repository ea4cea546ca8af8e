"""Low-rank EDLAE by ADMM (Steck 2020), lean: the black line of Figure 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import Array, backend_of
from edlae_sweeps.methods.about import Look
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.inverse import apply_inverse
from edlae_sweeps.methods.iterative.edlae import EdlaeState, FromEdlae
from edlae_sweeps.methods.iterative.epochs import Iterate
from edlae_sweeps.models.objective import pair_fit, row_sums
from edlae_sweeps.options import Options


@dataclass(frozen=True, kw_only=True, repr=False)
class AdmmOptions(Options):
    """What both ways of computing the iterates share: ω, and the update of β and γ."""

    omega: float = 500.0

    def check(self) -> None:
        super().check()
        if not 0 < self.omega <= 1e15:
            raise ConfigError(f"method.omega={self.omega}: choose a number above 0, up to 1e15")

    def weights(self, beta: Vector, gamma: Vector, penalty: Vector, like: Array) -> tuple[Array, Array]:
        """1 + β and Ω(β−γ) as columns (n, 1) in the type of `like`."""
        column = backend_of(like).column
        return column(1 + beta, like), column((penalty + self.omega) * (beta - gamma), like)

    def update(
        self, diag_GW: Vector, diag_W: Vector, gamma: Vector, g: Vector, penalty: Vector
    ) -> tuple[Vector, Vector]:
        """β and γ (n,) of the next epoch, from diag(GW) and diag W, W = UVᵀ."""
        beta = np.maximum(0, (diag_GW - g + (penalty + self.omega) * (diag_W + gamma)) / (g + self.omega))
        return beta, gamma + diag_W - beta


@dataclass(frozen=True, kw_only=True, repr=False)
class Admm(AdmmOptions, FromEdlae):
    """Minimises Eq. 7 over U, V (n, k), with a copy β of diag(UVᵀ), its multiplier γ, and Ω = Λ + ωI. An epoch is

        V ← qr((1+β)∘(GU) + Ω(β−γ)∘U)
        U ← C·(G·((1+β)∘V) + Ω(β−γ)∘V)
        β ← max(0, (diag(GUVᵀ) − diag G + Ω(diag(UVᵀ) + γ)) / (diag G + ω))
        γ ← γ + diag(UVᵀ) − β

    This is the published update in an orthonormal basis of V. It forms neither UVᵀ nor any other n×n array:
    diag(GUVᵀ) is the row sum of (GU)∘V, and the next epoch uses the same GU. An epoch takes three products of n×n by
    n×k (6n²k flops; the start takes a fourth) and O(nk²) for the basis and the objective.

    l2         λ ≥ 0
    dropout    p, at least 0 and below 1
    omega      ω > 0, the weight of β
    epochs     at most; nearly every setting diverges in the end, so the best iterate is kept
    tolerance  stop when the objective changes by no more than this, relative to itself
    seed       of the random start
    """

    name: ClassVar[str] = "admm"
    look: ClassVar[Look] = Look(
        "ADMM", {"color": "black", "linestyle": "-", "marker": "o"}, in_paper=True, by_epoch=True
    )

    l2: float | None = 400.0

    def iterates(self, state: EdlaeState, k: int) -> Iterator[Iterate]:
        gram, penalty, g = state.gram, state.penalty, state.data.item_counts
        backend = backend_of(gram)
        beta, gamma = np.zeros(len(g)), np.zeros(len(g))
        U = backend.array(self.start(len(g), k, state.data.dtype))
        GU = gram @ U
        while True:
            grow, pull = self.weights(beta, gamma, penalty, U)
            # Twice: the update of U relies on VᵀV = I, and one pass of Cholesky QR may leave 1e-3 in float32.
            V = backend.orthonormal(backend.orthonormal(grow * GU + pull * U))
            U = apply_inverse(state.full, gram @ (grow * V) + pull * V)
            GU = gram @ U
            beta, gamma = self.update(row_sums(GU, V), row_sums(U, V), gamma, g, penalty)
            yield Iterate(U, V, pair_fit(g, penalty, U, V, GU))

    def epoch_products(self, n: int, k: int) -> float:
        # Both matrices are read in full whatever the rank; the basis costs half as much as the products.
        return 0.05 + 5 * k / n

    def peak_bytes(self, n: int, k: int, itemsize: int) -> int:
        """G, B; n×k: U, V, GU, the best U, V, and two temporaries; and k×k of the objective."""
        return (2 * n * n + 7 * n * k + 3 * k**2) * itemsize

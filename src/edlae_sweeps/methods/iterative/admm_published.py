"""ADMM at the cost of the published notebook (Steck 2020): a variant to time for Table 1, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import invert_general
from edlae_sweeps.methods.about import Look
from edlae_sweeps.methods.base import State
from edlae_sweeps.methods.iterative.admm import AdmmOptions
from edlae_sweeps.methods.iterative.epochs import Iterate, Iterative
from edlae_sweeps.models.objective import pair_fit, row_sums
from edlae_sweeps.resources import Resources


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class InverseState(State):
    """C = A⁻¹ (n, n)."""

    C: NDArray[Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class AdmmPublished(AdmmOptions, Iterative[InverseState]):
    """The iterates of `admm`, computed as they were for Table 1. `admm` is the method to use.

    C is a general inverse (NumPy's, in float64 whatever the type), and an epoch is, as the updates are written,

        Vᵀ ← (Uᵀ(A+Ω)U)⁻¹ Uᵀ(G·dMat(1+β) + dMat(Ω(β−γ)))
        H ← V(VᵀV)⁻¹;  U ← C(G·dMat(1+β) + dMat(Ω(β−γ)))H
        β, γ as in `admm`, with all of G(UVᵀ) formed for its diagonal

    2n³ + 10n²k flops, and three n×n arrays beside G. It needs rank(G) ≥ k, and has no `rank=full`. Options as of
    `admm`.
    """

    name: ClassVar[str] = "admm_published"
    limit: ClassVar[None] = None
    look: ClassVar[Look] = Look("ADMM as published", {}, role="timed")

    l2: float | None = 400.0

    @property
    def on_device(self) -> bool:
        return False

    @override
    def _prepare(
        self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None
    ) -> InverseState:
        penalty = self.penalty(data.item_counts)
        A = data.gram.copy()
        np.einsum("ii->i", A)[:] += penalty
        return InverseState(data=data, penalty=penalty, max_rank=max_rank, resources=resources, C=invert_general(A))

    def iterates(self, state: InverseState, k: int) -> Iterator[Iterate]:
        gram, penalty, C, g = state.data.gram, state.penalty, state.C, state.data.item_counts
        dtype = gram.dtype
        twice = (2 * penalty + self.omega).astype(dtype)[:, None]
        beta, gamma = np.zeros(len(g)), np.zeros(len(g))
        U = self.start(len(g), k, dtype)
        GU = gram @ U
        while True:
            grow, pull = self.weights(beta, gamma, penalty, U)
            inverse = invert_general(U.T @ (GU + twice * U))
            V = (grow * (U.T @ gram).T + pull * U) @ inverse
            H = V @ invert_general(V.T @ V)
            U = C @ (gram @ (grow * H) + pull * H)
            diag_GW = (gram @ (U @ V.T)).diagonal().astype(np.float64)
            beta, gamma = self.update(diag_GW, row_sums(U, V), gamma, g, penalty)
            GU = gram @ U
            yield Iterate(U, V, pair_fit(g, penalty, U, V, GU))

    def epoch_products(self, n: int, k: int) -> float:
        return 1.05 + 7 * k / n

    def peak_bytes(self, n: int, k: int, itemsize: int) -> int:
        """G, A and the general inverse, which is taken in float64; or G, C, UVᵀ, GUVᵀ, and n×k, k×k as in `admm`."""
        return max(2 * n * n * itemsize + 2 * n * n * 8, (4 * n * n + 7 * n * k + 4 * k**2) * itemsize)

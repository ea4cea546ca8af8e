"""ADMM at the cost of the published notebook (Steck 2020): a variant to be timed, for Table 1, and for nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.linalg import invert_general
from edlae_sweeps.methods.admm import AdmmSettings
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.iteration import Iterate
from edlae_sweeps.methods.objective import pair_fit, row_sums

State = tuple[NDArray[Any], Vector, NDArray[Any]]


@dataclass
class AdmmPublished(AdmmSettings):
    """The iterates of `admm`, computed as they were for Table 1. `admm` is the method to use.

    C is a general inverse (NumPy's, in float64 whatever the type), and an epoch is, as the updates are written,

        Vᵀ ← (Uᵀ(A+Ω)U)⁻¹ Uᵀ(G·dMat(1+β) + dMat(Ω(β−γ)))
        H ← V(VᵀV)⁻¹;  U ← C(G·dMat(1+β) + dMat(Ω(β−γ)))H
        β, γ as in `admm`, with the whole of G(UVᵀ) formed for its diagonal

    2n³ + 10n²k flops, and three n×n arrays beside G. It needs rank(G) ≥ k, and has no `rank=full`.
    """

    name: ClassVar[str] = "admm_published"
    limit: ClassVar[None] = None

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> State:  # noqa: ARG002 - one for all
        A = gram.copy()
        np.einsum("ii->i", A)[:] += penalty
        return gram, penalty, invert_general(A)

    def full_rank(self, state: State) -> None:  # noqa: ARG002 - only C is kept
        return None

    def iterates(self, state: State, k: int) -> Iterator[Iterate]:
        gram, penalty, C = state
        dtype, g = gram.dtype, gram.diagonal().astype(np.float64)
        twice = (2 * penalty + self.omega).astype(dtype)[:, None]
        beta, gamma = np.zeros(len(g)), np.zeros(len(g))
        U = self.start(len(g), k, dtype)
        GU = gram @ U
        while True:
            grow, pull = self.weights(beta, gamma, penalty, dtype)
            inverse = invert_general(U.T @ (GU + twice * U))
            V = (grow * (U.T @ gram).T + pull * U) @ inverse
            H = V @ invert_general(V.T @ V)
            U = C @ (gram @ (grow * H) + pull * H)
            diag_GW = (gram @ (U @ V.T)).diagonal().astype(np.float64)
            beta, gamma = self.update(diag_GW, row_sums(U, V), gamma, g, penalty)
            GU = gram @ U
            yield U, V, pair_fit(g, penalty, U, V, GU)

    def epoch_products(self, n: int, k: int) -> float:
        return 1.05 + 7 * k / n

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """G, A and the general inverse, which is taken in float64; or G, C, UVᵀ, GUVᵀ, and n×k, k×k as in `admm`."""
        return max(2 * n * n * itemsize + 2 * n * n * 8, (4 * n * n + 7 * n * max_rank + 4 * max_rank**2) * itemsize)

"""Closed-form low-rank EDLAE: Algorithm 1 of Steck & Garcia (2021)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.methods.base import Method, Model, Rank
from edlae_sweeps.methods.family import Factors, cut, factorise_family, family_peak_bytes
from edlae_sweeps.methods.penalty import check_penalty, penalty


@dataclass
class Closed(Method):
    """The full-rank EDLAE first, then its best approximation of rank k in the metric of A = G + Λ (Eqs. 12–17).

    Approximates the minimiser of Eq. 7, ‖X − X(W − dMat(diag W))‖² + ‖Λ^½(W − dMat(diag W))‖² over W = UVᵀ:

        C = A⁻¹;  B = I − C·dMat(1 ⊘ diag C);  V = eig_k(BᵀAB);  U = BV

    `rank=full` is B itself, the exact full-rank EDLAE; with `dropout` 0 it is EASE (Steck 2019).
    """

    name: ClassVar[str] = "closed"
    nested: ClassVar[bool] = True

    l2: float
    dropout: float

    def check(self) -> None:
        check_penalty(self.l2, self.dropout)

    def penalty(self, gram: NDArray[Any]) -> NDArray[np.float64]:
        return penalty(gram, self.l2, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: NDArray[np.float64], max_rank: int) -> Factors:
        return factorise_family(gram, penalty, max_rank, choose=lambda diag_C: 1 / diag_C)

    def at_rank(self, state: Factors, rank: Rank) -> Model:
        return cut(state, rank)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        return family_peak_bytes(n, max_rank, itemsize)

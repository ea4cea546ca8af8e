"""Relaxed diagonal (RLAE, RDLAE; 2023): between EDLAE and ridge, in full and in low rank."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods.base import Method, Model, Rank
from edlae_sweeps.methods.family import Diagonal, Factors, cut, factorise_family, family_peak_bytes
from edlae_sweeps.methods.penalty import check_penalty, penalty


@dataclass
class Relaxed(Method):
    """The ridge objective ‖X − XB‖² + ‖Λ^½B‖² subject to diag B ≤ ξ, then its best approximation of rank k.

        B = I − C·dMat(max(Λ, (1−ξ) ⊘ diag C));  V = eig_k(BᵀAB);  U = BV

    ξ = 0 is EDLAE (`closed`), ξ = 1 ridge (`unconstrained`). `rank=full` is RDLAE, or RLAE without dropout.
    """

    name: ClassVar[str] = "relaxed"
    nested: ClassVar[bool] = True

    l2: float
    dropout: float
    xi: float

    def check(self) -> None:
        check_penalty(self.l2, self.dropout)
        if not 0 <= self.xi <= 1:
            raise ConfigError(f"method.xi={self.xi}: choose a bound of the diagonal from 0 (EDLAE) to 1 (ridge)")

    def penalty(self, gram: NDArray[Any]) -> Diagonal:
        return penalty(gram, self.l2, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: Diagonal, max_rank: int) -> Factors:
        return factorise_family(gram, penalty, max_rank, lambda diag_C: np.maximum(penalty, (1 - self.xi) / diag_C))

    def at_rank(self, state: Factors, rank: Rank) -> Model:
        return cut(state, rank)

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        return family_peak_bytes(n, max_rank, itemsize)

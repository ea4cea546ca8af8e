"""Relaxed diagonal (RLAE, RDLAE; 2023): between EDLAE and ridge, in full and in low rank."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods.about import Look
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.methods.closed.by_products import Probed


@dataclass(frozen=True, kw_only=True, repr=False)
class Relaxed(Probed):
    """The ridge objective ‖X − XB‖² + ‖Λ^½B‖² subject to diag B ≤ ξ, then its best approximation of rank k.

        B = I − C·dMat(max(Λ, (1−ξ) ⊘ diag C));  V = eig_k(BᵀAB);  U = BV

    l2       λ ≥ 0
    dropout  p, at least 0 and below 1
    eig_tol  what the eigensolver may miss, from 0 (LAPACK) to 0.01; see `EigenOptions`
    xi       ξ, from 0, EDLAE (`closed`), to 1, ridge (`unconstrained`)
    cg_tol, probes, exact_items  see `Probed`; only with G as products

    `rank=full` is RDLAE, or RLAE without dropout.
    """

    name: ClassVar[str] = "relaxed"
    limit: ClassVar[str] = "relaxed"
    look: ClassVar[Look] = Look("relaxed diagonal", {"color": "darkorange", "linestyle": "-.", "marker": "v"})

    xi: float = 0.1

    def check(self) -> None:
        super().check()
        if not 0 <= self.xi <= 1:
            raise ConfigError(f"method.xi={self.xi}: choose a bound of the diagonal from 0 (EDLAE) to 1 (ridge)")

    def choose(self, diag_C: Vector, penalty: Vector) -> Vector:
        return np.maximum(penalty, (1 - self.xi) / diag_C)

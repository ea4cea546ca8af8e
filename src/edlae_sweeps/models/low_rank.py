"""The linear model of rank k."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.objective import pair_fit, row_sums


@dataclass(frozen=True, eq=False, repr=False)
class LowRank(Model):
    """Scores X U Vᵀ with encoder U (n, k) and decoder V (n, k)."""

    U: NDArray[Any]
    V: NDArray[Any]

    @property
    def n_items(self) -> int:
        return len(self.U)

    @property
    def rank(self) -> int:
        """k."""
        return int(self.U.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.U.dtype

    def cut(self, k: int) -> "LowRank":
        """The model of the first k columns: that of rank k where ranks are nested."""
        U, V = (np.ascontiguousarray(factor[:, :k]) for factor in (self.U, self.V))
        return replace(self, U=U, V=V)

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        scores: NDArray[Any] = (fold_in @ self.U) @ self.V.T
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"U": self.U, "V": self.V}

    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """From WᵀW = V(UᵀU)Vᵀ."""
        VS = self.V @ (self.U.T @ self.U)
        return VS @ self.V[column], row_sums(VS, self.V)

    def factors(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self.U, self.V

    def contributions(self, basket: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """U_i · V_j."""
        products: NDArray[Any] = self.U[basket] @ self.V[items].T
        return products

    def training_metrics(self, gram: Gram, penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """One product of G with n×k."""
        return vars(pair_fit(gram.diagonal(), penalty, self.U, self.V, gram @ self.U))

    def _shape(self) -> list[str]:
        return [f"rank {self.rank}"]

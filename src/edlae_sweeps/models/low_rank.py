"""The linear model of rank k."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram
from edlae_sweeps.linalg import Array, backend_of
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.best import Encode
from edlae_sweeps.models.objective import pair_fit, row_sums
from edlae_sweeps.models.records import Record

# Rows of V in one product.
_ROWS = 16_384


@dataclass(frozen=True, eq=False, repr=False)
class LowRank(Model):
    """Scores X U Vᵀ with encoder U (n, k) and decoder V (n, k)."""

    U: NDArray[Any]
    V: NDArray[Any]

    @classmethod
    def on_host(cls, U: Array, V: Array, record: Record | None = None) -> "LowRank":
        """The model of U and V wherever they were computed."""
        return cls(*(backend_of(factor).host(factor) for factor in (U, V)), record=record)

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

    def encode(self, fold_in: csr_array) -> NDArray[Any]:
        """Hidden units (users, k) of fold-in interactions (users, n): X U, from the rows of U of their items alone."""
        # With another type, the product would first convert the whole of U.
        hidden: NDArray[Any] = fold_in.astype(self.dtype, copy=False) @ self.U
        return hidden

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        scores: NDArray[Any] = self.encode(fold_in) @ self.V.T
        return scores

    def halves(self) -> tuple[Encode, NDArray[Any]]:
        return self.encode, self.V

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"U": self.U, "V": self.V}

    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """From WᵀW = V(UᵀU)Vᵀ. The first call reads U and computes the norms in O(nk²); the others take O(nk)."""
        S, squares = self._inner_products
        return self.V @ (S @ self.V[column]), squares

    @cached_property
    def _inner_products(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """S = UᵀU (k, k), and diag VSVᵀ (n,), computed without another array of n × k."""
        S = self.U.T @ self.U
        blocks = (self.V[start : start + _ROWS] for start in range(0, self.n_items, _ROWS))
        return S, np.concatenate([row_sums(block @ S, block) for block in blocks])

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

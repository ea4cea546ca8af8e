"""A symmetric linear model without its diagonal: the cosine of two rows for each pair of items."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.best import Encode, best_columns
from edlae_sweeps.models.objective import pair_fit, row_sums


@dataclass(frozen=True, eq=False, repr=False)
class Cosine(Model):
    """Scores X(AAᵀ − I), with rows of A (n, k) of length 1, so that an item adds nothing to its own score.

    Items that a user does not have get the scores XAAᵀ, a product of two factors.
    """

    A: NDArray[Any]

    @property
    def n_items(self) -> int:
        return len(self.A)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.A.dtype

    def encode(self, fold_in: csr_array) -> NDArray[Any]:
        """Hidden units (users, k) of fold-in interactions (users, n): XA."""
        hidden: NDArray[Any] = fold_in.astype(self.dtype, copy=False) @ self.A
        return hidden

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        scores: NDArray[Any] = self.encode(fold_in) @ self.A.T
        users = np.repeat(np.arange(len(scores)), np.diff(fold_in.indptr))
        scores[users, fold_in.indices] -= fold_in.data
        return scores

    def halves(self) -> tuple[Encode, NDArray[Any]]:
        """XA and A: their product is the scores of all items but those of `fold_in`, which the diagonal lowers."""
        return self.encode, self.A

    def recommend_many(
        self, rows: csr_array, k: int = 10, exclude_known: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        if exclude_known or k < 1:
            return super().recommend_many(rows, k, exclude_known)
        # Only all scores at once have the diagonal.
        return best_columns(_Whole(self), self.dtype, rows, min(k, self.n_items), exclude_known)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"A": self.A}

    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """From W² = A(AᵀA − 2I)Aᵀ + I."""
        S, squares = self._inner_products
        products = self.A @ (S @ self.A[column])
        products[column] += 1
        return products, squares

    @cached_property
    def _inner_products(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """S = AᵀA − 2I (k, k), and diag W² (n,)."""
        S = self.A.T @ self.A - 2 * np.eye(self.A.shape[1], dtype=self.dtype)
        return S, row_sums(self.A @ S, self.A) + 1

    def contributions(self, basket: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """a_i·a_j, and a_i·a_i − 1 for an item itself."""
        products: NDArray[Any] = self.A[basket] @ self.A[items].T
        products -= basket[:, None] == items
        return products

    def training_metrics(self, gram: Gram, penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """Of AAᵀ − I, with one product of G with n×k: since diag AAᵀ = 1, what Eq. 7 takes off the diagonal is I."""
        g, GA = gram.diagonal(), gram @ self.A
        squared_error, objective = (
            pair_fit(g, weights, self.A, self.A, GA).objective for weights in (np.zeros(len(g)), penalty)
        )
        return {"squared_error": squared_error, "objective": objective}

    def _shape(self) -> list[str]:
        return [f"rank {self.A.shape[1]}"]


@dataclass(frozen=True)
class _Whole:
    """A model by its scores alone."""

    model: Model

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        return self.model.scores(fold_in)

    def halves(self) -> None:
        return None

"""A weighted matrix factorisation: a user's hidden units are the solution of a ridge regression."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram
from edlae_sweeps.errors import SolverError
from edlae_sweeps.imports import override
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.best import Encode
from edlae_sweeps.models.objective import row_sums

# Bytes of the rows of V that are gathered at once, for the items of a batch of users.
BATCH_BYTES = 16 * 1024**2


@dataclass(frozen=True, eq=False, repr=False)
class Factorisation(Model):
    """Scores ZVᵀ, V (n, k), where the hidden units z of a user with items S minimise a weighted ridge regression.

    With item factors F (n, k), a weight α > 0 of each item of S and 1 of each other item:

        p = argmin Σ_{i∈S} α(1 − f_i·p)² + Σ_{i∉S} (f_i·p)² + λ‖p‖²,   scores Fp

    V = FL⁻ᵀ with LLᵀ = FᵀF + λI makes the matrix of the unweighted regression the identity, and z = Lᵀp:

        z = α(I + (α−1)V_SᵀV_S)⁻¹V_Sᵀ1 = αV_Sᵀ(I + (α−1)V_SV_Sᵀ)⁻¹1,   V_S (|S|, k)

    so that λ is no part of the model, and a user costs |S|²k flops if |S| < k. S are the entries of `fold_in`, whatever
    their values.
    """

    V: NDArray[Any]
    alpha: float

    @classmethod
    def of(cls, factors: NDArray[Any], l2: float, alpha: float) -> "Factorisation":
        """The model of item factors F (n, k) that were fitted with λ = `l2` > 0; computed in float64, in the type of F.

        Raises SolverError if FᵀF + λI is not positive definite in float64.
        """
        F = factors.astype(np.float64)
        try:
            L = np.linalg.cholesky(F.T @ F + l2 * np.eye(F.shape[1]))
        except np.linalg.LinAlgError as error:
            raise SolverError(f"l2={l2:g}: too small for the scale of the item factors; raise it") from error
        return cls(np.ascontiguousarray(np.linalg.solve(L, F.T).T, dtype=factors.dtype), alpha)

    @property
    def n_items(self) -> int:
        return len(self.V)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.V.dtype

    def encode(self, fold_in: csr_array) -> NDArray[Any]:
        """Z (users, k) of fold-in interactions (users, n)."""
        hidden = np.zeros((fold_in.shape[0], self.V.shape[1]), dtype=self.dtype)
        for users, V_S in self._gathered(fold_in):
            hidden[users] = self._solved(V_S)
        return hidden

    def _gathered(self, fold_in: csr_array) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Users with items in batches of similar |S|, and their V_S (users, items, k), filled up with rows of 0.

        A row of 0 adds nothing to V_SᵀV_S or V_Sᵀ1.
        """
        sizes = np.diff(fold_in.indptr)
        order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
        start, k = 0, self.V.shape[1]
        while start < len(order):
            widest = int(sizes[order[start]])
            users = order[start : start + max(1, BATCH_BYTES // (widest * k * self.dtype.itemsize))]
            filled = np.arange(widest) < sizes[users, None]
            V_S = np.zeros((len(users), widest, k), dtype=self.dtype)
            V_S[filled] = self.V[fold_in[users].indices]
            yield users, V_S
            start += len(users)

    def _solved(self, V_S: NDArray[Any]) -> NDArray[Any]:
        """z (users, k) from V_S (users, items, k), by the smaller of the two systems.

        All eigenvalues of V_SᵀV_S are below 1, so those of either matrix are between 1 and α.
        """
        across = V_S.transpose(0, 2, 1)
        ones = np.ones((*V_S.shape[:2], 1), dtype=self.dtype)
        if V_S.shape[1] <= V_S.shape[2]:
            hidden = across @ np.linalg.solve(self._system(V_S @ across), ones)
        else:
            hidden = np.linalg.solve(self._system(across @ V_S), across @ ones)
        solved: NDArray[Any] = self.alpha * hidden[:, :, 0]
        return solved

    def _system(self, products: NDArray[Any]) -> NDArray[Any]:
        """I + (α−1)·products, for a batch of square matrices, in their place."""
        products *= self.alpha - 1
        diagonal = np.arange(products.shape[-1])
        products[..., diagonal, diagonal] += 1
        return products

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        scores: NDArray[Any] = self.encode(fold_in) @ self.V.T
        return scores

    def halves(self) -> tuple[Encode, NDArray[Any]]:
        return self.encode, self.V

    def arrays(self) -> dict[str, NDArray[Any]]:
        """V, and `alpha`, a single value."""
        return {"V": self.V, "alpha": np.array(self.alpha)}

    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """From the scores of a basket of one item i: a_i·v_i·v_j with a_i = α/(1 + (α−1)‖v_i‖²)."""
        S, squares = self._inner_products
        return self.V @ (S @ self.V[column]), squares

    @cached_property
    def _inner_products(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """S = VᵀdMat(a²)V (k, k), and diag VSVᵀ (n,)."""
        a = self.alpha / (1 + (self.alpha - 1) * row_sums(self.V, self.V))
        weighted = a.astype(self.dtype)[:, None] * self.V
        S = weighted.T @ weighted
        return S, row_sums(self.V @ S, self.V)

    @override
    def contributions(self, basket: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """α(I + (α−1)V_SV_Sᵀ)⁻¹V_S·v_j: terms of this basket's scores (Hu et al. 2008, Section 5)."""
        V_S = self.V[basket]
        terms: NDArray[Any] = self.alpha * np.linalg.solve(self._system(V_S @ V_S.T), V_S @ self.V[items].T)
        return terms

    @override
    def training_metrics(self, gram: Gram, penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """None from G, since scores are not linear in X: the state has them."""
        return {}

    def _shape(self) -> list[str]:
        return [f"rank {self.V.shape[1]}", f"alpha {self.alpha:g}"]

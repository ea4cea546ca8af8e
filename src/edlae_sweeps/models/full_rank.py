"""The linear model of full rank."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram
from edlae_sweeps.errors import DataError
from edlae_sweeps.linalg import backend_of
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.objective import full_rank_fit, row_sums


@dataclass(frozen=True, eq=False, repr=False)
class FullRank(Model):
    """Scores X B, where B (n, n) solves A B = A − dMat(d), A = G + Λ, as every full-rank member of the family does.

    d (n,) is NaN where there is none: B solves another equation (`deql`, `dan`), or comes from an older file. Then it
    scores, but `training_metrics` refuses; the state of `deql` and `dan` has theirs.
    """

    B: NDArray[Any]
    d: NDArray[np.float64]

    @property
    def n_items(self) -> int:
        return len(self.B)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.B.dtype

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """Reads only the rows of B of items in `fold_in`: B may be mapped from a file and larger than memory."""
        # With another type, the product would first convert the whole of B.
        scores: NDArray[Any] = fold_in.astype(self.dtype, copy=False) @ self.B
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"B": self.B, "d": self.d}

    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """From BᵀB."""
        return self.B.T @ self.B[:, column], row_sums(self.B.T, self.B.T)

    def contributions(self, basket: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """B_ij."""
        entries: NDArray[Any] = self.B[np.ix_(basket, items)]
        return entries

    def training_metrics(self, gram: Gram, penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """O(n²), from A B = A − dMat(d). Raises ValueError unless G is a dense array, here or on a device."""
        if not hasattr(gram, "__getitem__"):
            raise ValueError("the training error of a full-rank model needs G as a dense array")
        if np.isnan(self.d).any():
            raise DataError(
                "this model has no d, which its training error is computed from: fit it again, and take "
                "training_metrics from the state"
            )
        return vars(full_rank_fit(gram, penalty, self.B, self.d))

    def on_host(self) -> "FullRank":
        """The same model with B as an array of NumPy, wherever it was computed."""
        return replace(self, B=backend_of(self.B).host(self.B))

    def _shape(self) -> list[str]:
        return ["full rank"]

"""What a method is, and the two kinds of model that come of one.

A method is its settings and two steps: `factorise` does the O(n³) work once for each penalty, `at_rank` cuts a model of
one rank from its result.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Rank = int | Literal["full"]


@dataclass(frozen=True)
class LowRank:
    """Scores X U Vᵀ with encoder U (n, k) and decoder V (n, k)."""

    U: NDArray[Any]
    V: NDArray[Any]

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores of every item, from fold-in interactions (users, n)."""
        scores: NDArray[Any] = (fold_in @ self.U) @ self.V.T
        return scores


@dataclass(frozen=True)
class FullRank:
    """Scores X B, where B (n, n) solves A B = A − dMat(d), A = G + Λ: what all full-rank members of the family obey."""

    B: NDArray[Any]
    d: NDArray[np.float64]

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores of every item, from fold-in interactions (users, n)."""
        scores: NDArray[Any] = fold_in @ self.B
        return scores


Model = LowRank | FullRank


@dataclass
class Method(ABC):
    """Settings and algorithm of one method; `name` is its choice in `method=NAME`.

    What passes from `factorise` to `at_rank` is the method's own business, typed in its file.
    """

    name: ClassVar[str]
    # True where the models of all ranks come of one factorisation, for next to nothing each.
    nested: ClassVar[bool]

    @abstractmethod
    def penalty(self, gram: NDArray[Any]) -> NDArray[np.float64]:
        """diag Λ (n,) of this method's settings."""

    @abstractmethod
    def factorise(self, gram: NDArray[Any], penalty: NDArray[np.float64], max_rank: int) -> Any:
        """The work that all ranks share. `gram` (n, n) is left as it is; `max_rank` = 0 asks for `full` alone."""

    @abstractmethod
    def at_rank(self, state: Any, rank: Rank) -> Model:
        """The model of one rank k ≤ max_rank, or of the method's own full-rank limit."""

    @abstractmethod
    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """Estimated peak memory of both steps in bytes, the Gram matrix included."""

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError for a setting outside its range."""

    def check_rank(self, rank: Rank) -> None:  # noqa: B027 - most methods have every rank
        """Raise ConfigError for a rank that this method does not have."""

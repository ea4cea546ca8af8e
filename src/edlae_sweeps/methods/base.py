"""What a method is, and the two kinds of model that come of one.

A method is its settings and two steps: `factorise` does the O(n³) work once for each penalty, `at_rank` cuts a model of
one rank from its result, or iterates to it. What can't do with the Gram matrix takes its first step by `learn`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.linalg import Eigenpairs
from edlae_sweeps.methods.network import Network

Rank = int | Literal["full"]
Vector = NDArray[np.float64]
# advance(done, total), called as a long computation goes on.
Advance = Callable[[int, int], None]


def low_ranks(ranks: Sequence[Rank]) -> list[int]:
    """The ranks that are numbers."""
    return [rank for rank in ranks if rank != "full"]


@dataclass(frozen=True)
class TrainingFit:
    """‖X − XW‖² and the objective of Eq. 7, both sums over all entries."""

    squared_error: float
    objective: float


@dataclass(frozen=True)
class Reached:
    """The squared error that a method minimised (with its weights of rows, if any), and the least that its rank allows:
    the bound of the Proposition.
    """

    loss: float
    bound: float


Ended = Literal["epochs", "converged", "diverged"]


@dataclass(frozen=True)
class History:
    """An iterative method, epoch by epoch from 1: how well it fits, and the seconds since its start.

    `kept` is the epoch whose iterate became the model, the best by objective; `ended` says why there was no further
    one.
    """

    fits: tuple[TrainingFit, ...]
    seconds: tuple[float, ...]
    kept: int
    ended: Ended

    def series(self) -> dict[str, list[float]]:
        """Values by epoch, under the names that they have in a store."""
        return {
            "train/objective": [fit.objective for fit in self.fits],
            "train/squared_error": [fit.squared_error for fit in self.fits],
            "time/elapsed_seconds": list(self.seconds),
        }


@dataclass(frozen=True)
class Solved:
    """How the eigenvectors behind a model were found: by LAPACK (`dense`) or by products with blocks (`block`).

    `gap` is the estimated share of the captured energy Σθ that is missed, `steps` the number of such products. `lean`
    says that memory was short, and the full-rank model was not kept.
    """

    solver: Literal["dense", "block"]
    gap: float
    steps: int
    lean: bool = False

    @classmethod
    def by(cls, pairs: Eigenpairs, lean: bool = False) -> "Solved":
        """What the eigensolver says."""
        return cls("block" if pairs.steps else "dense", pairs.gap, pairs.steps, lean)


@dataclass(frozen=True)
class LowRank:
    """Scores X U Vᵀ with encoder U (n, k) and decoder V (n, k); `history` if it was iterated to, `solved` if not."""

    U: NDArray[Any]
    V: NDArray[Any]
    history: History | None = None
    solved: Solved | None = None

    def cut(self, k: int) -> "LowRank":
        """The first k columns: the model of rank k where ranks are nested."""
        U, V = (np.ascontiguousarray(factor[:, :k]) for factor in (self.U, self.V))
        return LowRank(U, V, solved=self.solved)

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores of every item, from fold-in interactions (users, n)."""
        scores: NDArray[Any] = (fold_in @ self.U) @ self.V.T
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the model is made of, by name."""
        return {"U": self.U, "V": self.V}


@dataclass(frozen=True)
class FullRank:
    """Scores X B, where B (n, n) solves A B = A − dMat(d), A = G + Λ: what all full-rank members of the family obey."""

    B: NDArray[Any]
    d: Vector

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores of every item, from fold-in interactions (users, n)."""
        scores: NDArray[Any] = fold_in @ self.B
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the model is made of, by name."""
        return {"B": self.B}


Model = LowRank | FullRank | Network
# What is told of each iterate of an iterative method; its time does not count.
Observe = Callable[[Any], None]


@dataclass
class Method(ABC):
    """Settings and algorithm of one method; `name` is its choice in `method=NAME`.

    What passes from `factorise` to `at_rank` is the method's own business, typed in its file.
    """

    name: ClassVar[str]
    # Parameters that are searched on a logarithmic scale.
    log_scale: ClassVar[frozenset[str]] = frozenset({"l2", "omega"})
    # The method whose full-rank model `rank=full` is; None where there is no full rank.
    limit: ClassVar[str | None]

    # Parameter → [low, high] to search between, or None to leave it as it is set.
    search: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def require(self) -> None:  # noqa: B027 - most methods need nothing
        """Raise MissingExtra or ConfigError where this installation or this machine lacks what the method needs."""

    @property
    def nested(self) -> bool:
        """Whether the models of all ranks come of one factorisation, for next to nothing each."""
        return True

    @abstractmethod
    def penalty(self, gram: NDArray[Any]) -> Vector:
        """diag Λ (n,) of this method's settings."""

    @abstractmethod
    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:
        """The work that all ranks share. `gram` (n, n) is left as it is; `max_rank` = 0 asks for `full` alone."""

    def learn(self, X: csr_array, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:  # noqa: ARG002
        """`factorise`, for who has the interactions X (m, n) at hand as well: some methods can't do without."""
        return self.factorise(gram, penalty, max_rank)

    def reached(self, state: Any, model: Any) -> Reached | None:  # noqa: ARG002 - of most there is no bound
        """How near a model came to the bound of the Proposition; None where a method minimises something else."""
        return None

    @abstractmethod
    def at_rank(self, state: Any, rank: Rank, advance: Advance | None = None) -> Model:
        """The model of one rank k ≤ max_rank, or of the full-rank limit; `advance` follows the epochs, if any."""

    def full_rank(self, state: Any) -> FullRank | None:  # noqa: ARG002 - for those that have one
        """The full-rank solution of this method's limit where `state` holds it: for nothing, unlike `at_rank`."""
        return None

    @abstractmethod
    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """Estimated peak memory of both steps in bytes, the Gram matrix included, as they would go now; `max_rank` as
        in `factorise`."""

    @abstractmethod
    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        """Estimated time of both steps for these ranks, in products of n×n×n: what a dry run tells."""

    def events_cost(self, users: int, events: int, ranks: Sequence[Rank]) -> float:  # noqa: ARG002 - most need G alone
        """Estimated seconds that the training data themselves take, beside `cost`."""
        return 0.0

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError for a setting outside its range."""

    def params(self) -> dict[str, Any]:
        """What makes two models of the same data differ: every setting but where to search."""
        return {name: value for name, value in asdict(self).items() if name != "search"}

    def model_size(self, n: int, rank: Rank) -> int:
        """How many numbers a model is made of."""
        return n * n if rank == "full" else 2 * n * rank

    def check_rank(self, rank: Rank) -> None:
        """Raise ConfigError for a rank that this method does not have."""
        if rank == "full" and self.limit is None:
            raise ConfigError(f"rank=full: {self.name} has low ranks only; choose a whole number, or another method")


class ByEpoch(Method):
    """A method that comes to each rank by epochs of its own, each of which can be looked at."""

    @property
    def nested(self) -> bool:
        return False

    @abstractmethod
    def at_rank(self, state: Any, rank: Rank, advance: Advance | None = None, observe: Observe | None = None) -> Model:
        """The model of one rank; `advance` follows the epochs, `observe` is shown the model of each."""

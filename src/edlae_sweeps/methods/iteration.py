"""What the iterative methods share: running their epochs, keeping the best iterate, noticing that it gets worse."""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods.base import (
    Advance,
    ByEpoch,
    Ended,
    FullRank,
    History,
    LowRank,
    Model,
    Observe,
    Rank,
    TrainingFit,
    Vector,
    low_ranks,
)
from edlae_sweeps.methods.full_rank import INVERSE_PRODUCTS, Problem, solve_edlae
from edlae_sweeps.methods.penalty import check_penalty, penalty

_log = logging.getLogger(__name__)
# An objective this many times the best one is on its way to infinity: nothing better was ever seen to follow.
_DIVERGED = 1.5

# U, V (n, k) after an epoch, and how they fit.
Iterate = tuple[NDArray[Any], NDArray[Any], TrainingFit]


@dataclass
class Iterative(ByEpoch):
    """A method that shares the full-rank EDLAE between ranks and comes to each of them by epochs of its own."""

    limit: ClassVar[str | None] = "closed"

    l2: float
    dropout: float
    epochs: int
    tolerance: float
    seed: int

    def check(self) -> None:
        check_penalty(self.l2, self.dropout)
        if self.epochs < 1:
            raise ConfigError(f"method.epochs={self.epochs}: choose 1 or more")
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"method.tolerance={self.tolerance}: choose a relative change, at least 0 and below 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"method.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return penalty(gram, self.l2, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:  # noqa: ARG002 - one for all
        return Problem(gram, penalty, solve_edlae(gram, penalty))

    def at_rank(self, state: Any, rank: Rank, advance: Advance | None = None, observe: Observe | None = None) -> Model:
        self.check_rank(rank)
        if rank == "full":
            full: FullRank = state.full
            return full
        return run_epochs(self.name, self.iterates(state, rank), self.epochs, self.tolerance, advance, observe)

    def full_rank(self, state: Any) -> FullRank | None:
        full: FullRank | None = state.full
        return full

    @abstractmethod
    def iterates(self, state: Any, k: int) -> Iterator[Iterate]:
        """The iterate after each epoch, without end; SolverError when a step can't be computed."""

    @abstractmethod
    def epoch_products(self, n: int, k: int) -> float:
        """Estimated time of an epoch in products of n×n×n."""

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        return INVERSE_PRODUCTS + self.epochs * sum(self.epoch_products(n, rank) for rank in low_ranks(ranks))

    def start(self, n: int, k: int, dtype: Any) -> NDArray[Any]:
        """A standard normal (n, k): its scale is a matter of the basis alone."""
        return np.random.default_rng(self.seed).standard_normal((n, k)).astype(dtype)


def run_epochs(
    name: str,
    iterates: Iterator[Iterate],
    epochs: int,
    tolerance: float,
    advance: Advance | None = None,
    observe: Observe | None = None,
) -> LowRank:
    """The best iterate by objective among at most `epochs`; `observe` is shown each.

    Ends early when the objective changes by no more than `tolerance` relative to itself (0: when it stands still), and
    when it diverges: not finite, far above its best, or a step that can't be computed. That is told in a warning and in
    the history. Raises SolverError when the first epoch fails already.
    """
    fits: list[TrainingFit] = []
    seconds: list[float] = []
    kept, U, V = 0, None, None
    ended: Ended = "epochs"
    elapsed = 0.0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        found = _next(name, iterates)
        elapsed += time.perf_counter() - start
        if found is None:
            ended = "diverged"
            break
        fits.append(found[2])
        seconds.append(elapsed)
        if observe is not None:
            observe(LowRank(found[0], found[1]))
        objective = fits[-1].objective
        if kept == 0 or objective < fits[kept - 1].objective:
            kept, U, V = epoch, found[0], found[1]
        if advance is not None:
            advance(epoch, epochs)
        if objective > _DIVERGED * fits[kept - 1].objective:
            ended = "diverged"
            break
        if epoch > 1 and abs(objective - fits[-2].objective) <= tolerance * objective:
            ended = "converged"
            break
    if U is None or V is None:
        raise SolverError(f"{name} diverges in its first epoch: raise method.l2, or choose dtype=float64")
    if ended == "diverged":
        _log.warning("%s diverged in epoch %d: its best iterate, that of epoch %d, is kept", name, epoch, kept)
    return LowRank(U, V, History(tuple(fits), tuple(seconds), kept, ended))


def _next(name: str, iterates: Iterator[Iterate]) -> Iterate | None:
    """The next iterate; None when it is not finite or can't be computed."""
    try:
        # What overflows is noticed by the objective.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            U, V, fit = next(iterates)
    except SolverError as error:
        _log.info("%s: %s", name, error)
        return None
    return (U, V, fit) if math.isfinite(fit.objective) and math.isfinite(fit.squared_error) else None

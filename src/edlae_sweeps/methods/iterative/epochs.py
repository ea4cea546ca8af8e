"""What the iterative methods share: running epochs, keeping the best iterate, noticing divergence."""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.imports import override
from edlae_sweeps.linalg import Array
from edlae_sweeps.methods.about import Estimate, Rank, linear_bytes, low_ranks
from edlae_sweeps.methods.base import Method, Observe, S
from edlae_sweeps.methods.closed.inverse import INVERSE_PRODUCTS
from edlae_sweeps.methods.shared import Penalised, Seeded
from edlae_sweeps.models import Ended, Epochs, LowRank, Model, TrainingFit
from edlae_sweeps.resources import Resources

_log = logging.getLogger(__name__)
# An objective this many times the best one diverges: no better one was ever seen to follow.
_DIVERGED = 1.5


class Iterate(NamedTuple):
    """U, V (n, k) after an epoch, and how they fit."""

    U: Array
    V: Array
    fit: TrainingFit


@dataclass(frozen=True, kw_only=True, repr=False)
class Iterative(Penalised, Seeded, Method[S]):
    """A method that reaches each rank by epochs of its own. Λ = λI + p/(1−p)·dMat(diag G)."""

    limit: ClassVar[str | None] = "closed"

    epochs: int = 10
    tolerance: float = 0.0

    @property
    def nested(self) -> bool:
        return False

    def check(self) -> None:
        super().check()
        if self.epochs < 1:
            raise ConfigError(f"method.epochs={self.epochs}: choose 1 or more")
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"method.tolerance={self.tolerance}: choose a relative change, at least 0 and below 1")

    def _fit(self, state: S, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        (k,) = low_ranks([rank])
        return run_epochs(self.name, self.iterates(state, k), self.epochs, self.tolerance, advance, observe)

    @abstractmethod
    def iterates(self, state: S, k: int) -> Iterator[Iterate]:
        """The iterate after each epoch, without end; SolverError if a step can't be computed."""

    @abstractmethod
    def epoch_products(self, n: int, k: int) -> float:
        """Estimated time of an epoch in products of n×n×n."""

    @abstractmethod
    def peak_bytes(self, n: int, k: int, itemsize: int) -> int:
        """Estimated peak memory in bytes, the Gram matrix included; k = 0 for the full rank alone."""

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        n, itemsize = data.n_items, data.dtype.itemsize
        products = INVERSE_PRODUCTS + self.epochs * sum(self.epoch_products(n, k) for k in low_ranks(ranks))
        sizes = [0, *low_ranks(ranks)]
        peak = max(self.peak_bytes(n, k, itemsize) for k in sizes)
        return Estimate(products, 0.0, peak, linear_bytes(data, ranks))

    def start(self, n: int, k: int, dtype: Any) -> NDArray[Any]:
        """A standard normal (n, k); its scale changes the basis alone."""
        return np.random.default_rng(self.seed).standard_normal((n, k)).astype(dtype)


@dataclass
class _Progress:
    """The epochs so far, and the best iterate by objective."""

    fits: list[TrainingFit] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    kept: int = 0
    best: Iterate | None = None

    def add(self, iterate: Iterate, elapsed: float) -> None:
        self.fits.append(iterate.fit)
        self.seconds.append(elapsed)
        if self.best is None or iterate.fit.objective < self.best.fit.objective:
            self.kept, self.best = len(self.fits), iterate

    def ended(self, tolerance: float) -> Ended | None:
        """Why there is no further epoch; None if there is one."""
        objective = self.fits[-1].objective
        if objective > _DIVERGED * self.fits[self.kept - 1].objective:
            return "diverged"
        if len(self.fits) > 1 and abs(objective - self.fits[-2].objective) <= tolerance * objective:
            return "converged"
        return None


def run_epochs(
    name: str,
    iterates: Iterator[Iterate],
    epochs: int,
    tolerance: float,
    advance: Advance | None = None,
    observe: Observe | None = None,
) -> LowRank:
    """The best iterate by objective among at most `epochs`; `observe` is called with each.

    Stops early if the objective changes by no more than `tolerance` relative to itself (0: if it does not change), or
    if it diverges: not finite, far above its best, or a step that can't be computed. A divergence is logged as a
    warning and recorded. Raises SolverError if the first epoch fails.
    """
    progress, elapsed = _Progress(), 0.0
    ended: Ended | None = None
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        iterate = _next(name, iterates)
        elapsed += time.perf_counter() - start
        if iterate is None:
            ended = "diverged"
            break
        progress.add(iterate, elapsed)
        if observe is not None:
            observe(LowRank.on_host(iterate.U, iterate.V))
        if advance is not None:
            advance(epoch, epochs)
        ended = progress.ended(tolerance)
        if ended is not None:
            break
    best = progress.best
    if best is None:
        raise SolverError(f"{name} diverges in its first epoch: raise method.l2, or choose dtype=float64")
    if ended == "diverged":
        _log.warning("%s diverged in epoch %d: keeping its best iterate, that of epoch %d", name, epoch, progress.kept)
    record = Epochs(tuple(progress.fits), tuple(progress.seconds), progress.kept, ended or "epochs")
    return LowRank.on_host(best.U, best.V, record)


def _next(name: str, iterates: Iterator[Iterate]) -> Iterate | None:
    """The next iterate; None if it is not finite or can't be computed."""
    try:
        # The objective shows what overflows.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            iterate = next(iterates)
    except SolverError as error:
        _log.info("%s: %s", name, error)
        return None
    fit = iterate.fit
    return iterate if math.isfinite(fit.objective) and math.isfinite(fit.squared_error) else None

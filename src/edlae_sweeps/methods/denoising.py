"""Emphasised denoising itself: low-rank EDLAE by the stochastic training that Eq. 7 is the expectation of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods.base import Advance, ByEpoch, LowRank, Observe, Rank, Vector, low_ranks
from edlae_sweeps.methods.extra import Device, require_torch
from edlae_sweeps.methods.iteration import Iterate, run_epochs
from edlae_sweeps.methods.objective import pair_fit
from edlae_sweeps.methods.penalty import check_penalty, penalty

# Of an epoch, for each user and number of U and V that it touches.
_SECONDS_PER_WEIGHT = 4e-9

# Events of a user, generously, for what memory a batch takes.
_USUAL_EVENTS = 50


@dataclass(frozen=True)
class Problem:
    """X (m, n), G = XᵀX (n, n) and diag Λ (n,)."""

    X: csr_array
    gram: NDArray[Any]
    penalty: Vector


@dataclass
class Denoising(ByEpoch):
    """Minimises the expected loss of emphasised denoising (Vincent 2010, full emphasis) over U, V (n, k), by Adam.

    Entries of X are dropped with probability p, kept ones divided by 1−p; the loss is the squared error of X̃UVᵀ in the
    dropped entries alone. Its expectation is p · Eq. 7 with λ = 0 (Steck 2020), by which each epoch is measured and the
    best one kept: another way to what `closed` and `admm` come to from G, with their λ at 0. p = 0 drops nothing, and
    is refused. The learning rate falls to 0 by a half cosine.
    """

    name: ClassVar[str] = "denoising"
    limit: ClassVar[None] = None
    log_scale: ClassVar[frozenset[str]] = frozenset({"learning_rate"})

    dropout: float
    epochs: int
    batch: int
    learning_rate: float
    device: Device
    seed: int

    def check(self) -> None:
        check_penalty(0, self.dropout)
        if self.dropout == 0:
            raise ConfigError("method.dropout=0: only what is dropped is learned from; choose a probability above 0")
        for key in ("epochs", "batch"):
            if getattr(self, key) < 1:
                raise ConfigError(f"method.{key}={getattr(self, key)}: choose 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"method.learning_rate={self.learning_rate}: choose a number above 0, up to 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"method.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")

    def require(self) -> None:
        require_torch(self.name, self.device)

    def params(self) -> dict[str, Any]:
        """Where it is computed makes no difference to a model but rounding."""
        return {name: value for name, value in super().params().items() if name != "device"}

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return penalty(gram, 0, self.dropout)

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:  # noqa: ARG002
        raise TypeError(f"{self.name} learns from the interactions, which G does not tell: call learn with X")

    def learn(self, X: csr_array, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Problem:  # noqa: ARG002
        return Problem(csr_array(X, dtype=gram.dtype), gram, penalty)

    def at_rank(
        self, state: Problem, rank: Rank, advance: Advance | None = None, observe: Observe | None = None
    ) -> LowRank:
        self.check_rank(rank)
        iterates = self.iterates(state, low_ranks([rank])[0])
        return run_epochs(self.name, iterates, self.epochs, 0, advance, observe)

    def iterates(self, state: Problem, k: int) -> Iterator[Iterate]:
        """U, V after each epoch, and how they fit."""
        from edlae_sweeps.methods.denoiser import Denoiser

        denoiser = Denoiser(state.X, k, self.dropout, self.batch, self.seed, self.device)
        g = state.gram.diagonal()
        for epoch in range(self.epochs):
            denoiser.epoch([self.learning_rate * _cosine(epoch + part, self.epochs) for part in denoiser.parts()])
            U, V = denoiser.factors()
            yield U, V, pair_fit(g, state.penalty, U, V, state.gram @ U)

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        """That of measuring Eq. 7; the training is in `events_cost`."""
        return float(self.epochs * sum(low_ranks(ranks)) / n)

    def events_cost(self, users: int, events: int, ranks: Sequence[Rank]) -> float:
        """All epochs, from what two cores took on debian."""
        return float(self.epochs * _SECONDS_PER_WEIGHT * (3 * events + 10 * users) * sum(low_ranks(ranks)))

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """G; U, V with gradients and two moments, their best and their last, GU and ΛU; rows of V for every event of a
        batch, with their products and gradients.
        """
        return (n * n + 14 * n * max_rank + 4 * self.batch * _USUAL_EVENTS * max_rank) * itemsize


def _cosine(done: float, epochs: int) -> float:
    """From 1 to 0."""
    return float(0.5 * (1 + np.cos(np.pi * done / epochs)))

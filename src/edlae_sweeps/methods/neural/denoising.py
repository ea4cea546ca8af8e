"""Emphasised denoising itself: low-rank EDLAE by the stochastic training whose expected loss is Eq. 7."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, linear_bytes, low_ranks
from edlae_sweeps.methods.base import Observe, State
from edlae_sweeps.methods.iterative.epochs import Iterate, run_epochs
from edlae_sweeps.methods.neural.torch_extra import Trained
from edlae_sweeps.methods.shared import check_dropout, penalty
from edlae_sweeps.models import Model
from edlae_sweeps.models.objective import pair_fit
from edlae_sweeps.resources import Resources

# For each user and number of U and V that it touches, in one epoch.
_SECONDS_PER_WEIGHT = 4e-9
# Events of a user, generously, for the memory of a batch.
_USUAL_EVENTS = 50


@dataclass(frozen=True, kw_only=True, repr=False)
class Denoising(Trained[State]):
    """Minimises the expected loss of emphasised denoising (Vincent 2010, full emphasis) over U, V (n, k), by Adam.

    Entries of X are dropped with probability p, and kept ones divided by 1−p; the loss is the squared error of X̃UVᵀ in
    the dropped entries alone. Its expectation is p · Eq. 7 with λ = 0 (Steck 2020). Eq. 7 measures each epoch, and the
    best one is kept: another way to what `closed` and `admm` compute from G with λ = 0. The learning rate falls to 0 by
    a half cosine.

    dropout        p, above 0 and below 1
    epochs         all are run
    batch          users of a batch
    learning_rate  of Adam at the start
    seed           of the random start, the order of the users and the masks
    """

    name: ClassVar[str] = "denoising"
    look: ClassVar[Look] = Look("denoising", {"color": "purple", "linestyle": "--", "marker": "P"})

    dropout: float = 0.33

    def check(self) -> None:
        super().check()
        check_dropout(self.dropout)
        if self.dropout == 0:
            raise ConfigError("method.dropout=0: training needs dropped entries; choose a probability above 0")

    @override
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> State:
        if max_rank == 0:
            self.check_rank("full")
        diagonal = penalty(data.item_counts, 0, self.dropout)
        return State(data=data, penalty=diagonal, max_rank=max_rank, resources=resources)

    def _fit(self, state: State, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        (k,) = low_ranks([rank])
        return run_epochs(self.name, self.iterates(state, k), self.epochs, 0, advance, observe)

    def iterates(self, state: State, k: int) -> Iterator[Iterate]:
        """U, V after each epoch, and how they fit."""
        # PyTorch is an extra.
        from edlae_sweeps.methods.neural.denoiser import Denoiser

        denoiser = Denoiser(state.data.X, k, self.dropout, self.batch, self.seed, state.resources)
        gram, g = state.data.operator(state.resources), state.data.item_counts
        for epoch in range(self.epochs):
            denoiser.epoch([self.learning_rate * _cosine(epoch + part, self.epochs) for part in denoiser.parts()])
            U, V = denoiser.factors()
            yield Iterate(U, V, pair_fit(g, state.penalty, U, V, gram @ U))

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """Products: measuring Eq. 7. Seconds: the training.

        Memory: G; U, V with gradients and two moments, their best and their last, GU and ΛU; rows of V for every event
        of a batch, with their products and gradients.
        """
        n, k, low = data.n_items, largest_rank(ranks), low_ranks(ranks)
        users, events = data.shape[0], data.events
        seconds = float(self.epochs * _SECONDS_PER_WEIGHT * (3 * events + 10 * users) * sum(low))
        peak = (n * n + 14 * n * k + 4 * min(self.batch, data.X.shape[0]) * _USUAL_EVENTS * k) * data.dtype.itemsize
        return Estimate(self.epochs * sum(low) / n, seconds, peak, linear_bytes(data, ranks))


def _cosine(done: float, epochs: int) -> float:
    """From 1 to 0."""
    return float(0.5 * (1 + np.cos(np.pi * done / epochs)))

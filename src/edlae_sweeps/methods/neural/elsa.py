"""ELSA, a symmetric linear autoencoder with unit rows (Vančura et al. 2022)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import SolverError
from edlae_sweeps.imports import override
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, low_ranks
from edlae_sweeps.methods.base import Observe, State
from edlae_sweeps.methods.clock import Clock
from edlae_sweeps.methods.neural.torch_extra import Trained
from edlae_sweeps.models import Cosine, Passes
from edlae_sweeps.resources import Resources

# For each user, item and rank in one epoch, and for each user and item.
_SECONDS_PER_PRODUCT, _SECONDS_PER_ENTRY = 1e-10, 8e-9


@dataclass(frozen=True, kw_only=True, repr=False)
class Elsa(Trained[State]):
    """Minimises the mean of ‖y/‖y‖ − x/‖x‖‖² over users, y = max(0, x(AAᵀ − I)), by NAdam.

    The rows of A (n, k) are those of a free matrix divided by their lengths: diag(AAᵀ) = 1, no item predicts itself.
    There is no penalty, and no weight of an item as a whole. The maximum with 0 is that of the authors' code for their
    experiments; their library, `elsarec`, leaves it out, which on debian costs .035 of nDCG@100 at rank 100. Scores are
    x(AAᵀ − I), as published. A batch of b users takes O(b·n·k).

    epochs         all are run, and the last is kept
    batch          users of a batch
    learning_rate  of NAdam, above 0 and up to 1
    seed           of the random start and of the order of the users
    """

    name: ClassVar[str] = "elsa"
    look: ClassVar[Look] = Look("ELSA", {"color": "olive", "linestyle": (0, (1, 1)), "marker": "*"})

    epochs: int = 10
    batch: int = 256
    learning_rate: float = 0.1

    @override
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> State:
        if max_rank == 0:
            self.check_rank("full")
        return State(data=data, penalty=np.zeros(data.n_items), max_rank=max_rank, resources=resources)

    def _fit(self, state: State, rank: Rank, advance: Advance | None, observe: Observe | None) -> Cosine:
        # PyTorch is an extra.
        from edlae_sweeps.methods.neural.elsa_training import UnitRows

        (k,) = low_ranks([rank])
        rows = UnitRows(state.data.X, k, self.batch, self.learning_rate, self.seed, state.resources)
        losses, seconds, clock = list[float](), list[float](), Clock()
        for epoch in range(1, self.epochs + 1):
            losses.append(rows.epoch())
            if not math.isfinite(losses[-1]):
                raise SolverError(f"elsa diverges in epoch {epoch}: lower method.learning_rate")
            seconds.append(clock.elapsed())
            with clock.paused():
                if observe is not None:
                    observe(Cosine(rows.matrix()))
                if advance is not None:
                    advance(epoch, self.epochs)
        return replace(Cosine(rows.matrix()), record=Passes(tuple(seconds), tuple(losses)))

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """Memory: G; the free matrix, A, their gradients, two moments and the step; x, y and what leads to them."""
        (m, n), k, itemsize = data.shape, largest_rank(ranks), data.dtype.itemsize
        low = low_ranks(ranks)
        seconds = self.epochs * m * n * sum(_SECONDS_PER_PRODUCT * k + _SECONDS_PER_ENTRY for k in low)
        peak = (n * n + 8 * n * k + 9 * min(self.batch, data.X.shape[0]) * n) * itemsize
        return Estimate(0.0, float(seconds), peak, n * sum(low) * itemsize)

"""Iterative methods that start from the full-rank EDLAE."""

from dataclasses import dataclass
from typing import ClassVar

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.imports import override
from edlae_sweeps.methods.about import Rank
from edlae_sweeps.methods.base import Observe, State
from edlae_sweeps.methods.closed.inverse import solve_full_rank
from edlae_sweeps.methods.iterative.epochs import Iterative
from edlae_sweeps.models import FullRank, Model
from edlae_sweeps.resources import Resources


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EdlaeState(State):
    """The full-rank EDLAE B (n, n), which also gives products with C = A⁻¹; it is where G is."""

    full: FullRank

    @property
    def edlae(self) -> FullRank:
        return self.full


@dataclass(frozen=True, kw_only=True, repr=False)
class FromEdlae(Iterative[EdlaeState]):
    """An iterative method whose ranks share the full-rank EDLAE, which is also its `rank=full`."""

    minimises_eq7: ClassVar[bool] = True

    @override
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> EdlaeState:
        penalty = self.penalty(data.item_counts)
        full = solve_full_rank(data.gram_on(resources.device), penalty)
        return EdlaeState(data=data, penalty=penalty, max_rank=max_rank, resources=resources, full=full)

    def _fit(self, state: EdlaeState, rank: Rank, advance: Advance | None, observe: Observe | None) -> Model:
        return state.full.on_host() if rank == "full" else super()._fit(state, rank, advance, observe)

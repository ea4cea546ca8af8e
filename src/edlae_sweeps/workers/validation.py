"""Validation metrics of a method at one point, for the ranks that share it."""

from collections.abc import Mapping, Sequence
from typing import Any

from edlae_sweeps.datasets import HeldOut, TrainingData
from edlae_sweeps.evaluation import evaluate, evaluate_nested
from edlae_sweeps.methods import Method, Rank, largest_rank, low_ranks
from edlae_sweeps.resources import Resources

# States of an iterative method that are kept for a (λ, p) that comes again, as the start values do for each rank.
KEPT_STATES = 2


class Validator:
    """Fits points of one method and evaluates them on the validation users.

    `resources` are those of the CPU after a GPU was too small for a fit.
    """

    def __init__(self, training: TrainingData, held_out: HeldOut, ranks: Sequence[Rank], resources: Resources) -> None:
        self._training, self._held_out, self._ranks, self.resources = training, held_out, ranks, resources
        self._states: dict[tuple[Any, ...], Any] = {}

    def metrics(self, method: Method[Any], ranks: Sequence[Rank], metric: str) -> dict[Rank, Mapping[str, float]]:
        """Mean validation metrics of each rank, `metric` among them; SolverError if the method fails."""
        if method.nested:
            return self._nested(method, ranks, metric)
        state = self._state(method)
        return {rank: self._evaluate(method, state, rank, metric) for rank in ranks}

    def _nested(self, method: Method[Any], ranks: Sequence[Rank], metric: str) -> dict[Rank, Mapping[str, float]]:
        state = self._followed(method.prepare(self._training, largest_rank(ranks), self.resources))
        metrics: dict[Rank, Mapping[str, float]] = {}
        if low := low_ranks(ranks):
            model = method.fit(state, largest_rank(ranks))
            self._followed(state)
            by_rank = evaluate_nested(model, low, self._held_out, resources=self.resources, metrics=[metric])
            metrics |= {rank: per_user.summary() for rank, per_user in by_rank.items()}
        if "full" in ranks:
            metrics["full"] = self._evaluate(method, state, "full", metric)
        return metrics

    def _evaluate(self, method: Method[Any], state: Any, rank: Rank, metric: str) -> Mapping[str, float]:
        model = method.fit(state, rank)
        self._followed(state)
        return evaluate(model, self._held_out, resources=self.resources, metrics=[metric]).summary()

    def _state(self, method: Method[Any]) -> Any:
        """The state that the ranks of an iterative method share."""
        key = tuple(method.params().get(name) for name in ("l2", "dropout"))
        if key not in self._states:
            while len(self._states) >= KEPT_STATES:
                # The first is that of the start values, which every rank begins with.
                self._states.pop(list(self._states)[-1])
            state = method.prepare(self._training, largest_rank(self._ranks), self.resources)
            self._states[key] = self._followed(state)
        return self._states[key]

    def _followed(self, state: Any) -> Any:
        """The state. What comes after one that fell back to the CPU stays there."""
        if state.resources.device == "cpu":
            self.resources = state.resources
        return state

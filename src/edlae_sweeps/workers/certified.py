"""How far the models of a task can be from the optimum of Eq. 7."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from edlae_sweeps.datasets import Advance
from edlae_sweeps.methods import Method, Rank, low_ranks
from edlae_sweeps.methods.closed.certificate import lower_bounds
from edlae_sweeps.methods.closed.polish import Factors, best_decoder, objective
from edlae_sweeps.methods.shared import Penalised
from edlae_sweeps.models import Model
from edlae_sweeps.models.objective import Vector
from edlae_sweeps.workers.bench import Bench


@dataclass(frozen=True)
class Certificates:
    """The lower bound on Eq. 7 of each low rank, diag Λ (n,), and the seconds that the bounds took together."""

    bounds: Mapping[int, float]
    penalty: Vector
    seconds: float

    @classmethod
    def of(cls, method: Method[Any], ranks: Sequence[Rank], bench: Bench, advance: Advance) -> "Certificates":
        """Those of a method that minimises Eq. 7, on the CPU."""
        start, data = time.perf_counter(), bench.training
        penalty = cast(Penalised, method).penalty(data.item_counts)
        with bench.resources.limit_threads():
            bounds = lower_bounds(data.gram, penalty, low_ranks(ranks), advance)
        return cls(bounds, penalty, time.perf_counter() - start)

    def metrics(self, model: Model, value: float, bench: Bench) -> dict[str, float]:
        """What the bound of its rank says of a model whose Eq. 7 is `value`; nothing of one at full rank.

        Eq. 7 of a model that is not polished is given with the best V for its U too, by one product of G.
        """
        factors = model.factors()
        if factors is None:
            return {}
        bound = self.bounds[factors[0].shape[1]]
        metrics = {"eq7/lower_bound": bound, "eq7/gap": 1 - bound / value, "time/certificate_seconds": self.seconds}
        if model.record is None or "eq7/polished" not in model.record.metrics():
            gram = bench.training.gram
            with bench.resources.limit_threads():
                better = best_decoder(gram, self.penalty, Factors(*factors))
                metrics["eq7/polished"] = objective(gram, self.penalty, better)
        return metrics

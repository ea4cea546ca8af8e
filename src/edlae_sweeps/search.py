"""The search for each rank's best parameters: evaluate, record, ask for the next point.

An evaluation is one finished run of the store, or none: these records are the only memory of a search. A job that was
killed finds what it had finished, and goes on from there.
"""

import dataclasses
import itertools
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from edlae_sweeps.cells import Ground, factorise, largest, origin_tags
from edlae_sweeps.console import Stage
from edlae_sweeps.datasets import Prepared
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.evaluation import evaluate, evaluate_nested
from edlae_sweeps.methods import LowRank, Method, Rank
from edlae_sweeps.settings import Optuna, Sampler, Settings, study_key
from edlae_sweeps.tracking import Experiment, Run
from edlae_sweeps.tuning import Evaluation, Point, best, next_point

_log = logging.getLogger(__name__)
# MLflow's shortest limit of a tag.
_TAG_LENGTH = 4500
# Inverses that an iterative method keeps for a (λ, p) that comes again, as the start values do for each rank.
_KEPT_INVERSES = 2


class Search:
    """The search of one job, as far as the store knows it."""

    def __init__(self, settings: Settings, data: Prepared, experiment: Experiment) -> None:
        assert isinstance(settings.tune, Optuna)  # noqa: S101 - the caller's business
        self.settings, self.data, self.tune = settings, data, settings.tune
        self.space, self.ranks = settings.space(), settings.ranks()
        self.start = _start_point(settings, experiment)
        self._experiment = experiment
        self.key = study_key(settings, data)
        recorded = self._recorded()
        self._next = max([-1, *(one.number for one in recorded)]) + 1
        self.seen = self._within(recorded)
        # Whether the time was over before there were enough evaluations.
        self.cut = False
        self._inverses: dict[tuple[Any, ...], Any] = {}

    @property
    def total(self) -> int:
        """The evaluations that the search takes at most."""
        return self.tune.n_trials * (1 if self.settings.method.nested else len(self.ranks))

    def pending(self) -> int:
        """The evaluations that are still to be made, at most."""
        return max(0, self.total - len(self.seen))

    def others(self) -> int:
        """How many evaluations of this method belong to another search: other ranges, data, ranks or settings."""
        method = self.settings.method.name
        found = self._experiment.find(f"tags.kind = 'evaluation' and params.method = '{method}'")
        return sum(run.tags.get("study") != self.key for run in found)

    def run(self, ground: Ground, job: Run, stage: Stage) -> None:
        """Evaluate until there are enough, the time is over, or nothing is left to ask for."""
        start = time.perf_counter()
        size = self.tune.grid_points ** len(self.space)
        if self.tune.sampler == Sampler.grid and self.tune.n_trials < size + 1:
            _log.warning(
                "tune.n_trials=%d leaves out the end of a grid of %d points and a start",
                self.tune.n_trials,
                size,
            )
        # Ranks that share their factorisations take turns to ask; others follow one another.
        turns: list[Sequence[Rank]] = [self.ranks] if self.settings.method.nested else [[rank] for rank in self.ranks]
        for ranks in turns:
            for number in range(len(self._of(ranks)), self.tune.n_trials):
                stage(len(self.seen), self.total)
                rank, seen = ranks[number % len(ranks)], self._of(ranks)
                point = next_point(self.space, self.tune, rank, seen, self._first(ranks))
                late = self.tune.timeout is not None and time.perf_counter() - start > self.tune.timeout
                # A rank without any evaluation has no result.
                self.cut |= late and bool(seen) and point is not None
                if point is None or (late and seen):
                    break
                evaluation = self._evaluate(ground, ranks, rank, point)
                self._record(evaluation, job)
                stage.tell(self._line(evaluation))
        # They are as large as the Gram matrix.
        self._inverses.clear()

    def best(self, rank: Rank) -> Evaluation:
        """The evaluation that is best for a rank; SolverError where all failed."""
        found = best(self.seen, rank, self.tune)
        if found is None:
            raise SolverError(
                f"{self.settings.method.name}, rank {rank}: none of {len(self.seen)} evaluations succeeded; the last: "
                f"{self.seen[-1].error if self.seen else 'there is none'}"
            )
        return found

    def succeeded(self, rank: Rank) -> bool:
        """Whether any evaluation has a value for a rank."""
        return best(self.seen, rank, self.tune) is not None

    def method_at(self, point: Point) -> Method:
        """The method with its parameters at a point."""
        return dataclasses.replace(self.settings.method, **dict[str, Any](point))

    def table(self, rank: Rank) -> list[dict[str, object]]:
        """A row for each evaluation that has a value for this rank, in their order."""
        return [
            {"number": one.number, "asked_by": one.asked_by, **one.point, **one.ranks[rank], "seconds": one.seconds}
            for one in self.seen
            if rank in one.ranks
        ]

    def _within(self, recorded: Sequence[Evaluation]) -> list[Evaluation]:
        """The first `n_trials` of those that ask together: what a larger search has found is not this one's."""
        limit = self.tune.n_trials
        if self.settings.method.nested:
            return list(recorded[:limit])
        by_rank = [[one for one in recorded if one.asked_by == rank][:limit] for rank in self.ranks]
        return sorted(itertools.chain.from_iterable(by_rank), key=lambda one: one.number)

    def _of(self, ranks: Sequence[Rank]) -> list[Evaluation]:
        """The evaluations that count for these ranks, which ask together."""
        return [one for one in self.seen if one.asked_by in ranks]

    def _first(self, ranks: Sequence[Rank]) -> list[Point]:
        """Where to begin: the start values, and what was best for the rank before if that had a search of its own."""
        position = self.ranks.index(ranks[0])
        if len(ranks) > 1 or position == 0:
            return [self.start]
        before = best(self.seen, self.ranks[position - 1], self.tune)
        return [self.start, *([before.point] if before else [])]

    def _evaluate(self, ground: Ground, ranks: Sequence[Rank], asked_by: Rank, point: Point) -> Evaluation:
        """Validation metrics of all `ranks` at a point; a method that fails there has none."""
        start = time.perf_counter()
        values: dict[Rank, Mapping[str, float]] = {}
        error = ""
        try:
            values = self._validate(ground, ranks, self.method_at(point))
        except SolverError as failure:
            error = str(failure)
        self._next += 1
        return Evaluation(self._next - 1, asked_by, point, values, time.perf_counter() - start, error)

    def _validate(self, ground: Ground, ranks: Sequence[Rank], method: Method) -> dict[Rank, Mapping[str, float]]:
        held_out = self.data.validation
        low = [rank for rank in ranks if rank != "full"]
        values: dict[Rank, Mapping[str, float]] = {}
        if not method.nested:
            state = self._inverse(ground, method)
            return {rank: evaluate(method.at_rank(state, rank), held_out).summary() for rank in ranks}
        state = factorise(method, ground, ranks).state
        if low:
            model = method.at_rank(state, largest(ranks))
            assert isinstance(model, LowRank)  # noqa: S101 - for the type checker
            found = evaluate_nested(model, low, held_out)
            values |= {rank: per_user.summary() for rank, per_user in found.items()}
        if "full" in ranks:
            values["full"] = evaluate(method.at_rank(state, "full"), held_out).summary()
        return values

    def _inverse(self, ground: Ground, method: Method) -> Any:
        """What an iterative method shares between ranks, kept while (λ, p) may come again."""
        key = tuple(method.params().get(name) for name in ("l2", "dropout"))
        if key not in self._inverses:
            while len(self._inverses) >= _KEPT_INVERSES:
                # The first is that of the start values, which every rank begins with.
                self._inverses.pop(list(self._inverses)[-1])
            self._inverses[key] = factorise(method, ground, self.ranks).state
        return self._inverses[key]

    def _recorded(self) -> list[Evaluation]:
        found: dict[int, Evaluation] = {}
        for run in self._experiment.find(f"tags.kind = 'evaluation' and tags.study = '{self.key}'"):
            text = "".join(run.tags[f"record.{part}"] for part in range(int(run.tags["record.parts"])))
            record = json.loads(text)
            record["ranks"] = {rank if rank == "full" else int(rank): value for rank, value in record["ranks"].items()}
            # Two processes of one command may both have evaluated a point: the first counts.
            found.setdefault(record["number"], Evaluation(**record))
        return [found[number] for number in sorted(found)]

    def _record(self, evaluation: Evaluation, job: Run) -> None:
        text = json.dumps(dataclasses.asdict(evaluation))
        parts = [text[start : start + _TAG_LENGTH] for start in range(0, len(text), _TAG_LENGTH)]
        tags = {
            "kind": "evaluation",
            "study": self.key,
            "record.parts": str(len(parts)),
            **{f"record.{number}": part for number, part in enumerate(parts)},
            **({"error": evaluation.error} if evaluation.error else {}),
            **origin_tags(self.data),
        }
        method = self.settings.method
        params = {
            "dataset": self.settings.dataset.label,
            "method": method.name,
            "asked_by": evaluation.asked_by,
            **method.params(),
            **evaluation.point,
        }
        metrics = [
            (f"validation/{name}", value, self.data.n_items if rank == "full" else rank)
            for rank, values in evaluation.ranks.items()
            for name, value in values.items()
        ]
        metrics.append(("time/evaluation_seconds", evaluation.seconds, 0))
        self._experiment.record(f"{method.name}-{evaluation.number}", tags, params, metrics, job)
        self.seen.append(evaluation)

    def _line(self, evaluation: Evaluation) -> str:
        """One line on an evaluation; a star for every rank that it is the best of."""
        point = " ".join(f"{name}={value:.4g}" for name, value in evaluation.point.items())
        values = [
            f"{rank}: {found[self.tune.metric]:.4f}{'*' if self.best(rank) is evaluation else ''}"
            for rank, found in evaluation.ranks.items()
        ]
        result = ", ".join(values) or f"failed: {evaluation.error}"
        return f"{len(self.seen)}/{self.total} {point} ({evaluation.seconds:.1f} s) {result}"


def _start_point(settings: Settings, experiment: Experiment) -> Point:
    """The searched parameters as the method has them, or as the run of `tune.start` had them."""
    names = list(settings.space())
    start = {name: float(getattr(settings.method, name)) for name in names}
    if isinstance(settings.tune, Optuna) and settings.tune.start:
        run = experiment.get(settings.tune.start)
        if run is None:
            raise ConfigError(f"tune.start={settings.tune.start}: the store has no such run")
        found = {name: float(run.params[name]) for name in names if name in run.params}
        if not found:
            raise ConfigError(
                f"tune.start={settings.tune.start}: this run has none of the parameters {', '.join(names)}"
            )
        start |= found
        dataclasses.replace(settings.method, **dict[str, Any](start)).check()
    return start

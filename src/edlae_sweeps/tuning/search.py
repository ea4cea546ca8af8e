"""The loop of a search: ask for a round of points, evaluate them, record each as it finishes.

Each evaluation is one finished run of the store, or none, and these records are the only memory of a search. A job that
was killed continues from what it had recorded.
"""

import dataclasses
import itertools
import logging
import math
import time
from bisect import insort
from collections.abc import Mapping, Sequence
from typing import Any

from edlae_sweeps.console import Stage
from edlae_sweeps.datasets import Prepared
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import Method, Rank
from edlae_sweeps.settings import Optuna, Settings, study_key
from edlae_sweeps.tracking import Experiment, Run, origin_tags
from edlae_sweeps.tuning.progress import Progress
from edlae_sweeps.tuning.records import Evaluation, Point, best_for, from_runs, to_tags
from edlae_sweeps.tuning.rounds import Asked, open_round
from edlae_sweeps.workers import Died, Outcome, PointTask, Pool, evaluate_point

_log = logging.getLogger(__name__)


class Search:
    """The search of one job, restored from the store."""

    def __init__(self, settings: Settings, tune: Optuna, data: Prepared, experiment: Experiment) -> None:
        """`tune` is `settings.tune`. Raises ConfigError if `tune.start` names no usable run."""
        self.settings, self.tune, self.data = settings, tune, data
        self.space, self.ranks = settings.space(), settings.ranks()
        self.start = _start_point(settings, tune, experiment)
        self._experiment = experiment
        self.key = study_key(settings, tune, data)
        runs = experiment.find(f"tags.kind = 'evaluation' and tags.study = '{self.key}'")
        self._recorded = from_runs(runs, self.space, tune.metric)
        self.seen = self._within(self._recorded)
        # True if the timeout ended the search early.
        self.cut = False

    @property
    def total(self) -> int:
        """The maximum number of evaluations."""
        return self.tune.n_trials * (1 if self.settings.method.nested else len(self.ranks))

    def pending(self) -> int:
        """The maximum number of evaluations still to make."""
        return max(0, self.total - len(self.seen))

    def others(self) -> int:
        """How many evaluations of this method belong to another search: other ranges, data, ranks or settings."""
        method = self.settings.method.name
        runs = self._experiment.find(f"tags.kind = 'evaluation' and params.method = '{method}'")
        return sum(run.tags.get("study") != self.key for run in runs)

    def run(self, pool: Pool, job: Run, stage: Stage) -> None:
        """Evaluate points until there are enough, the timeout is over, or the sampler has no further point."""
        end = time.perf_counter() + (self.tune.timeout or math.inf)
        self._warn_of_cut_grid()
        progress = Progress(stage, self, min(pool.workers, self.tune.batch))
        for ranks in self._turns():
            for start in range(0, self.tune.n_trials, self.tune.batch):
                opened = open_round(self.space, self.tune, ranks, start, self._recorded, self._first(ranks))
                if opened is None:
                    continue
                self.seen = [evaluation for evaluation in self.seen if evaluation not in opened.beyond]
                # A rank without any evaluation would have no result.
                late = time.perf_counter() > end and bool(self._of(ranks))
                self.cut |= late and bool(opened.missing)
                if late or not opened.size:
                    break
                self._evaluate(pool, ranks, opened.missing, job, progress)

    def best(self, rank: Rank) -> Evaluation:
        """The best evaluation for a rank; SolverError if all failed."""
        evaluation = best_for(self.seen, rank, self.tune.metric)
        if evaluation is None:
            raise SolverError(
                f"{self.settings.method.name}, rank {rank}: none of {len(self.seen)} evaluations succeeded; the last: "
                f"{self.seen[-1].error if self.seen else 'there is none'}"
            )
        return evaluation

    def succeeded(self, rank: Rank) -> bool:
        """Whether any evaluation has a value for a rank."""
        return best_for(self.seen, rank, self.tune.metric) is not None

    def method_at(self, point: Point) -> Method[Any]:
        """The method with the parameters of a point."""
        return dataclasses.replace(self.settings.method, **dict[str, Any](point))

    def table(self, rank: Rank) -> list[dict[str, object]]:
        """A row for each evaluation that has a value for this rank, in order."""
        return [
            {
                "number": evaluation.number,
                "asked_by": evaluation.asked_by,
                **evaluation.point,
                **evaluation.ranks[rank],
                "seconds": evaluation.seconds,
            }
            for evaluation in self.seen
            if rank in evaluation.ranks
        ]

    def _turns(self) -> list[Sequence[Rank]]:
        """Groups of ranks: those that share a factorisation take turns proposing points, others follow one another."""
        return [self.ranks] if self.settings.method.nested else [[rank] for rank in self.ranks]

    def _within(self, recorded: Sequence[Evaluation]) -> list[Evaluation]:
        """The first `n_trials` evaluations of each group: what a larger search added does not count here."""
        limit = self.tune.n_trials
        groups = [[e for e in recorded if e.asked_by in ranks][:limit] for ranks in self._turns()]
        return sorted(itertools.chain.from_iterable(groups), key=lambda evaluation: evaluation.number)

    def _of(self, ranks: Sequence[Rank]) -> list[Evaluation]:
        """The evaluations of one group of ranks."""
        return [evaluation for evaluation in self.seen if evaluation.asked_by in ranks]

    def _first(self, ranks: Sequence[Rank]) -> list[Point]:
        """The first points: the start values, then the best of the rank before if that had a search of its own."""
        position = self.ranks.index(ranks[0])
        if len(ranks) > 1 or position == 0:
            return [self.start]
        before = best_for(self.seen, self.ranks[position - 1], self.tune.metric)
        return [self.start, *([before.point] if before else [])]

    def _evaluate(
        self, pool: Pool, ranks: Sequence[Rank], missing: Sequence[Asked], job: Run, progress: Progress
    ) -> None:
        """Evaluate `ranks` at the missing points of a round and record each."""
        tasks, waiting = [self._task(asked, ranks) for asked in missing], list(missing)
        progress.show(waiting)
        for index, outcome in pool.run(evaluate_point, tasks, self.tune.batch):
            asked = missing[index]
            if isinstance(outcome, Died):
                outcome = Outcome({}, 0.0, outcome.error)
            evaluation = Evaluation(
                asked.number, asked.rank, asked.point, outcome.ranks, outcome.seconds, outcome.error
            )
            self._record(evaluation, outcome.tags, job)
            progress.tell(self._line(evaluation))
            waiting.remove(asked)
            progress.show(waiting)

    def _task(self, asked: Asked, ranks: Sequence[Rank]) -> PointTask:
        return PointTask(self.key, self.method_at(asked.point), tuple(ranks), self.ranks, self.tune.metric)

    def _record(self, evaluation: Evaluation, tags: Mapping[str, str], job: Run) -> None:
        method, n_items = self.settings.method, self.data.n_items
        origin = {**origin_tags(self.data.digest), **tags}
        tags = {"kind": "evaluation", "study": self.key, **to_tags(evaluation), **origin}
        params = {
            "dataset": self.settings.dataset.label,
            "method": method.name,
            "asked_by": evaluation.asked_by,
            **({"gram": self.settings.gram} if self.settings.by_products else {}),
            **method.params(self.settings.by_products),
            **evaluation.point,
        }
        metrics = [
            (f"validation/{name}", value, n_items if rank == "full" else rank)
            for rank, values in evaluation.ranks.items()
            for name, value in values.items()
        ]
        metrics.append(("time/evaluation_seconds", evaluation.seconds, 0))
        self._experiment.record(f"{method.name}-{evaluation.number}", tags, params, metrics, job)
        for records in (self._recorded, self.seen):
            insort(records, evaluation, key=lambda record: record.number)

    def _line(self, evaluation: Evaluation) -> str:
        """One line on an evaluation, with a star for every rank that it is the best of."""
        point = " ".join(f"{name}={value:.4g}" for name, value in evaluation.point.items())
        values = [
            f"{rank}: {metrics[self.tune.metric]:z.4f}{'*' if self.best(rank) is evaluation else ''}"
            for rank, metrics in evaluation.ranks.items()
        ]
        result = ", ".join(values) or f"failed: {evaluation.error}"
        return f"{len(self.seen)}/{self.total} {point} ({evaluation.seconds:.1f} s) {result}"

    def _warn_of_cut_grid(self) -> None:
        size = self.tune.grid_points ** len(self.space)
        if self.tune.sampler == "grid" and self.tune.n_trials < size + 1:
            _log.warning(
                "tune.n_trials=%d leaves out the end of a grid of %d points and a start", self.tune.n_trials, size
            )


def _start_point(settings: Settings, tune: Optuna, experiment: Experiment) -> Point:
    """The searched parameters of the method, or those of the run that `tune.start` names."""
    names = list(settings.space())
    start = {name: float(getattr(settings.method, name)) for name in names}
    if tune.start:
        run = experiment.get(tune.start)
        if run is None:
            raise ConfigError(f"tune.start={tune.start}: the store has no such run")
        params = {name: _number(run.params[name], name, tune.start) for name in names if name in run.params}
        if not params:
            raise ConfigError(f"tune.start={tune.start}: this run has none of the parameters {', '.join(names)}")
        start |= params
        # Options check their values when they are made.
        dataclasses.replace(settings.method, **dict[str, Any](start))
    return start


def _number(text: str, name: str, run: str) -> float:
    """A parameter of the run that `tune.start` names."""
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(
            f"tune.start={run}: its {name} is {text}, no number to start from; name another run"
        ) from error

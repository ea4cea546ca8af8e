"""Which point to evaluate next, as a pure function of what was evaluated before; the only importer of optuna.

A rank's study is rebuilt from the evaluations for each question, with a sampler seeded by the seed, the rank and the
number of evaluations: a search that was killed goes on exactly as if it had not been.
"""

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import Optuna, Range, Sampler

Point = dict[str, float]
# Nearer to an end of its range than this part of it, a best value asks for a wider one.
_BORDER = 0.01


@dataclass(frozen=True)
class Evaluation:
    """What one point gave: rank → validation metric → value. `ranks` is empty where the method failed there."""

    number: int
    asked_by: Rank
    point: Point
    ranks: Mapping[Rank, Mapping[str, float]]
    seconds: float
    error: str = ""


def next_point(
    space: Mapping[str, Range], tune: Optuna, rank: Rank, seen: Sequence[Evaluation], first: Sequence[Point]
) -> Point | None:
    """The point that `rank` asks for after the evaluations `seen`, beginning with those of `first`; None: no further.

    `first` are tried once each, in their order, wherever the sampler goes after them.
    """
    tried = [evaluation.point for evaluation in seen]
    for point in first:
        if point not in tried:
            return dict(point)
    if tune.sampler == Sampler.grid:
        return next((point for point in grid(space, tune.grid_points) if point not in tried), None)
    return _sample(space, tune, rank, seen)


def grid(space: Mapping[str, Range], points: int) -> list[Point]:
    """Every combination of that many values of each parameter, ends included, evenly spaced on its scale."""
    axes = [[_at(ends, index / max(1, points - 1)) for index in range(points)] for ends in space.values()]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*axes)]


def best(seen: Sequence[Evaluation], rank: Rank, tune: Optuna) -> Evaluation | None:
    """The evaluation with the best value for a rank, the first of equals; None when there is none."""
    found = [evaluation for evaluation in seen if rank in evaluation.ranks]
    return max(found, key=lambda evaluation: evaluation.ranks[rank][tune.metric], default=None)


def at_border(space: Mapping[str, Range], point: Point) -> list[str]:
    """The parameters of a point that lie on an end of their range, within a hundredth of it."""
    return [
        name
        for name, ends in space.items()
        # The range can't go on below 0 or above 1 on a scale that is not logarithmic.
        if (point[name] <= _at(ends, _BORDER) and (ends.log or ends.low > 0))
        or (point[name] >= _at(ends, 1 - _BORDER) and (ends.log or ends.high < 1))
    ]


def _at(ends: Range, share: float) -> float:
    """The value at that share of a range, on its own scale; the ends exactly."""
    if share in (0, 1):
        return ends.high if share else ends.low
    if ends.log:
        return float(ends.low * (ends.high / ends.low) ** share)
    return ends.low + share * (ends.high - ends.low)


def _sample(space: Mapping[str, Range], tune: Optuna, rank: Rank, seen: Sequence[Evaluation]) -> Point:
    # It takes a while to import, and most jobs don't tune.
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = zlib.crc32(f"{tune.seed} {rank} {len(seen)}".encode())
    samplers = {Sampler.tpe: optuna.samplers.TPESampler, Sampler.random: optuna.samplers.RandomSampler}
    study = optuna.create_study(direction="maximize", sampler=samplers[tune.sampler](seed=seed))
    scales: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(ends.low, ends.high, log=ends.log) for name, ends in space.items()
    }
    # A start value may lie outside the ranges.
    inside = [one for one in seen if all(ends.low <= one.point[name] <= ends.high for name, ends in space.items())]
    for evaluation in inside:
        value = evaluation.ranks[rank][tune.metric] if rank in evaluation.ranks else None
        state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
        point = {name: evaluation.point[name] for name in space}
        study.add_trial(optuna.trial.create_trial(params=point, distributions=scales, value=value, state=state))
    trial = study.ask(fixed_distributions=scales)
    return {name: float(value) for name, value in trial.params.items()}

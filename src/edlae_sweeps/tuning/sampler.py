"""The next point to evaluate, as a pure function of the evaluations so far; the only importer of optuna.

Each question rebuilds the study of a rank from the evaluations, with a sampler seeded by the seed, the rank and the
number of points before. A search that was killed therefore continues with the points of an uninterrupted one.
"""

import itertools
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edlae_sweeps.evaluation import Metric
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import Optuna, Range
from edlae_sweeps.tuning.records import Evaluation, Point

# A best value nearer to an end of its range than this share of it asks for a wider range.
_BORDER = 0.01


def next_point(
    space: Mapping[str, Range],
    tune: Optuna,
    rank: Rank,
    seen: Sequence[Evaluation],
    pending: Sequence[Point],
    first: Sequence[Point],
) -> Point | None:
    """The next point for `rank` after the evaluations `seen`; None if the sampler has no further point.

    `pending` are the points of the same batch before it, whose evaluations it does not know. The points of `first` come
    first, once each and in order.
    """
    tried = [*(evaluation.point for evaluation in seen), *pending]
    for point in first:
        if point not in tried:
            return dict(point)
    if tune.sampler == "grid":
        return next((point for point in grid(space, tune.grid_points) if point not in tried), None)
    return _sample(space, tune, rank, seen, pending)


def grid(space: Mapping[str, Range], points: int) -> Iterator[Point]:
    """Every combination of `points` values of each parameter, ends included, evenly spaced on its scale.

    One after another: there may be more than memory holds.
    """
    axes = [[_at(ends, index / max(1, points - 1)) for index in range(points)] for ends in space.values()]
    return (dict(zip(space, values, strict=True)) for values in itertools.product(*axes))


def at_border(space: Mapping[str, Range], point: Point) -> list[str]:
    """The parameters of a point that lie within a hundredth of their range from one of its ends."""
    return [
        name
        for name, ends in space.items()
        # A linear scale ends at 0 and 1: the range can't become wider there.
        if (point[name] <= _at(ends, _BORDER) and (ends.log or ends.low > 0))
        or (point[name] >= _at(ends, 1 - _BORDER) and (ends.log or ends.high < 1))
    ]


def _at(ends: Range, share: float) -> float:
    """The value at this share of a range, on its own scale; exact at the ends."""
    if share in (0, 1):
        return ends.high if share else ends.low
    if ends.log:
        return float(ends.low * (ends.high / ends.low) ** share)
    return ends.low + share * (ends.high - ends.low)


def _sample(
    space: Mapping[str, Range], tune: Optuna, rank: Rank, seen: Sequence[Evaluation], pending: Sequence[Point]
) -> Point:
    # Optuna is slow to import, and most jobs don't tune.
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=_sampler(tune, rank, len(seen) + len(pending)))
    scales: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(ends.low, ends.high, log=ends.log) for name, ends in space.items()
    }

    def add(point: Point, state: optuna.trial.TrialState, value: float | None = None) -> None:
        # A start value may lie outside the ranges.
        if all(ends.low <= point[name] <= ends.high for name, ends in space.items()):
            params = {name: point[name] for name in space}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=scales, value=value, state=state))

    score = Metric.parse(tune.metric).score
    for evaluation in seen:
        if rank in evaluation.ranks:
            value = score(evaluation.ranks[rank][tune.metric])
            add(evaluation.point, optuna.trial.TrialState.COMPLETE, value)
        else:
            add(evaluation.point, optuna.trial.TrialState.FAIL)
    for point in pending:
        add(point, optuna.trial.TrialState.RUNNING)
    trial = study.ask(fixed_distributions=scales)
    return {name: float(value) for name, value in trial.params.items()}


def _sampler(tune: Optuna, rank: Rank, number: int) -> Any:
    """The sampler of one point, seeded by the search, the rank and the number of points before it."""
    import optuna

    seed = zlib.crc32(f"{tune.seed} {rank} {number}".encode())
    if tune.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # Experimental up to Optuna 4.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # Points of the same batch keep away from each other.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=tune.batch > 1)

"""Rounds: batches of points whose evaluations may run at once, in any order.

Position i of a search belongs to round i // batch. The points of a round depend on the records of the rounds before it
alone, so they can be asked for again after a kill; only those without a record are evaluated. All rounds but the last
are complete.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edlae_sweeps.methods import Rank
from edlae_sweeps.settings import Optuna, Range
from edlae_sweeps.tuning.records import Evaluation, Point
from edlae_sweeps.tuning.sampler import next_point


@dataclass(frozen=True)
class Asked:
    """A point to evaluate: the number of its record, and the rank that asked for it."""

    number: int
    rank: Rank
    point: Point


@dataclass(frozen=True)
class Round:
    """A round that may lack records.

    size     number of its points; 0 if the sampler has no further point
    missing  the points without a record
    beyond   records of points that a larger search asked for in this round
    """

    size: int
    missing: tuple[Asked, ...]
    beyond: tuple[Evaluation, ...]


def open_round(
    space: Mapping[str, Range],
    tune: Optuna,
    ranks: Sequence[Rank],
    start: int,
    recorded: Sequence[Evaluation],
    first: Sequence[Point],
) -> Round | None:
    """The round that begins at position `start` of a group of ranks; None if it is complete.

    `recorded` are all records of the study in order of their numbers, `first` the first points of the group. The ranks
    take turns to ask.
    """
    group = [evaluation for evaluation in recorded if evaluation.asked_by in ranks]
    before, within = group[:start], group[start : start + tune.batch]
    if len(within) == tune.batch:
        return None
    asked: list[tuple[Rank, Point]] = []
    for position in range(start, min(start + tune.batch, tune.n_trials)):
        rank = ranks[position % len(ranks)]
        point = next_point(space, tune, rank, before, [point for _, point in asked], first)
        if point is None:
            break
        asked.append((rank, point))
    return _compare(asked, within, (evaluation for evaluation in recorded if evaluation not in within))


def _compare(asked: Sequence[tuple[Rank, Point]], within: Sequence[Evaluation], others: Iterable[Evaluation]) -> Round:
    """The asked points against the records of the round.

    A number is that of the point's place in the round, after all numbers outside the round: the same whichever points
    have a record already.
    """
    number = 1 + max((evaluation.number for evaluation in others), default=-1)
    missing, left = [], list(within)
    for index, (rank, point) in enumerate(asked):
        record = next((record for record in left if (record.asked_by, record.point) == (rank, point)), None)
        if record is None:
            missing.append(Asked(number + index, rank, point))
        else:
            left.remove(record)
    return Round(len(asked), tuple(missing), tuple(left))

"""Evaluations of a search, and how the store holds them: one finished run each, or none."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edlae_sweeps.evaluation import Metric
from edlae_sweeps.methods import Rank
from edlae_sweeps.tracking import StoredRun, warn_of

# MLflow's shortest limit for a tag.
_TAG_LENGTH = 4500

Point = dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """The result of one point: rank → validation metric → value. `ranks` is empty if the method failed there."""

    number: int
    asked_by: Rank
    point: Point
    ranks: Mapping[Rank, Mapping[str, float]]
    seconds: float
    error: str = ""


def best_for(evaluations: Iterable[Evaluation], rank: Rank, metric: str) -> Evaluation | None:
    """The evaluation with the best value for a rank, the first of equals; None if there is none."""
    candidates = [evaluation for evaluation in evaluations if rank in evaluation.ranks]
    score = Metric.parse(metric).score
    return max(candidates, key=lambda evaluation: score(evaluation.ranks[rank][metric]), default=None)


def to_tags(evaluation: Evaluation) -> dict[str, str]:
    """The record as tags, in parts that MLflow accepts."""
    text = json.dumps(dataclasses.asdict(evaluation))
    parts = [text[start : start + _TAG_LENGTH] for start in range(0, len(text), _TAG_LENGTH)]
    return {
        "record.parts": str(len(parts)),
        **{f"record.{number}": part for number, part in enumerate(parts)},
        **({"error": evaluation.error} if evaluation.error else {}),
    }


def from_runs(runs: Sequence[StoredRun], names: Collection[str], metric: str) -> list[Evaluation]:
    """The evaluations that runs record, by number; of two with the same number the first counts.

    Two processes that run the same command may both have evaluated a point. A run without a record of a point of the
    parameters `names` and its `metric` is skipped with a warning: it is none of this search.
    """
    evaluations: dict[int, Evaluation] = {}
    for run in runs:
        try:
            evaluation = _evaluation(run, names, metric)
        # KeyError for what is missing, ValueError for what can't be parsed, TypeError for what has another type,
        # OverflowError for what is infinite.
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            warn_of(run.id, f"its record of an evaluation can't be read ({type(error).__name__}: {error})")
            continue
        evaluations.setdefault(evaluation.number, evaluation)
    return [evaluations[number] for number in sorted(evaluations)]


def _evaluation(run: StoredRun, names: Collection[str], metric: str) -> Evaluation:
    """The evaluation that a run records."""
    text = "".join(run.tags[f"record.{part}"] for part in range(int(run.tags["record.parts"])))
    record = json.loads(text)
    point = {name: float(record["point"][name]) for name in names}
    ranks = {
        rank if rank == "full" else int(rank): {name: float(value) for name, value in values.items()}
        for rank, values in record["ranks"].items()
    }
    if any(metric not in values for values in ranks.values()):
        raise KeyError(metric)
    asked_by = record["asked_by"] if record["asked_by"] == "full" else int(record["asked_by"])
    error = str(record.get("error", ""))
    return Evaluation(int(record["number"]), asked_by, point, ranks, float(record["seconds"]), error)

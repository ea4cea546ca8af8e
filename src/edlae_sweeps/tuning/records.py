"""Evaluations of a search, and how the store holds them: one finished run each, or none."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edlae_sweeps.evaluation import Metric
from edlae_sweeps.methods import Rank
from edlae_sweeps.tracking import StoredRun

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


def from_runs(runs: Sequence[StoredRun]) -> list[Evaluation]:
    """The evaluations that runs record, by number; of two with the same number the first counts.

    Two processes that run the same command may both have evaluated a point.
    """
    evaluations: dict[int, Evaluation] = {}
    for run in runs:
        text = "".join(run.tags[f"record.{part}"] for part in range(int(run.tags["record.parts"])))
        record = json.loads(text)
        record["ranks"] = {rank if rank == "full" else int(rank): value for rank, value in record["ranks"].items()}
        evaluations.setdefault(record["number"], Evaluation(**record))
    return [evaluations[number] for number in sorted(evaluations)]

"""The next point is a pure function of the evaluations so far."""

import numpy as np
import pytest

from edlae_sweeps.settings import Optuna, Range
from edlae_sweeps.tuning import Evaluation, at_border, best_for
from edlae_sweeps.tuning.sampler import grid, next_point

SPACE = {"l2": Range(1.0, 1000.0, True), "dropout": Range(0.0, 0.8, False)}
START = {"l2": 10.0, "dropout": 0.1}


def tune(sampler: str = "tpe", **changes) -> Optuna:
    return Optuna(sampler=sampler, **{"grid_points": 3, **changes})


def value(point: dict[str, float]) -> float:
    """Best at λ = 30, p = .3."""
    return 1 - (np.log10(point["l2"] / 30)) ** 2 - (point["dropout"] - 0.3) ** 2


def searched(settings: Optuna, evaluations: int, rank: int = 10) -> list[Evaluation]:
    seen: list[Evaluation] = []
    for number in range(evaluations):
        point = next_point(SPACE, settings, rank, seen, [], [START])
        if point is None:
            break
        seen.append(Evaluation(number, rank, point, {rank: {"ndcg_100": value(point), "recall_20": number}}, 1.0))
    return seen


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_search_begins_with_the_start_and_repeats_exactly(sampler):
    first, again = searched(tune(sampler), 9), searched(tune(sampler), 9)
    assert first == again
    assert first[0].point == START
    for evaluation in first[1:]:
        assert all(SPACE[name].low <= evaluation.point[name] <= SPACE[name].high for name in SPACE)
    assert len({tuple(evaluation.point.values()) for evaluation in first}) == 9


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_point_depends_on_the_seed_the_rank_and_the_number_of_evaluations(sampler):
    seen = searched(tune(sampler), 12)
    point = next_point(SPACE, tune(sampler), 10, seen, [], [START])
    assert point == next_point(SPACE, tune(sampler), 10, list(seen), [], [START])
    assert point != next_point(SPACE, tune(sampler, seed=1), 10, seen, [], [START])
    assert point != next_point(SPACE, tune(sampler), 11, seen, [], [START])
    assert point != next_point(SPACE, tune(sampler), 10, seen[:-1], [], [START])


def test_tpe_comes_nearer_to_the_optimum_than_random_points():
    def regret(sampler: str) -> float:
        searches = [searched(tune(sampler, seed=seed), 30) for seed in range(4)]
        return float(np.mean([1 - max(value(evaluation.point) for evaluation in seen) for seen in searches]))

    tpe = regret("tpe")
    assert tpe < 0.03
    assert tpe < regret("random")


def test_failed_points_and_points_outside_the_ranges_are_no_trials_but_count():
    seen = searched(tune(), 12)
    failed = Evaluation(12, 10, {"l2": 5.0, "dropout": 0.5}, {}, 1.0, "singular")
    outside = Evaluation(13, 10, {"l2": 1e6, "dropout": 0.5}, {10: {"ndcg_100": 9.0}}, 1.0)
    assert next_point(SPACE, tune(), 10, [*seen, failed, outside], [], [START])["l2"] <= 1000
    assert best_for([*seen, failed], 10, "ndcg_100") is max(seen, key=lambda evaluation: value(evaluation.point))
    assert best_for([failed], 10, "ndcg_100") is None
    assert best_for(seen, 10, "recall_20") is seen[-1]


def test_the_first_of_equals_is_best():
    equal = [Evaluation(n, 10, START, {10: {"ndcg_100": 0.5}}, 1.0) for n in range(3)]
    assert best_for(equal, 10, "ndcg_100").number == 0


def test_a_grid_is_enumerated_and_ends():
    points = list(grid(SPACE, 3))
    assert points[0] == {"l2": 1.0, "dropout": 0.0}
    assert points[-1] == {"l2": 1000.0, "dropout": 0.8}
    assert sorted({round(point["l2"], 6) for point in points}) == [1, round(1000**0.5, 6), 1000]
    seen = searched(tune("grid"), 100)
    assert [evaluation.point for evaluation in seen] == [START, *points]
    assert list(grid(SPACE, 1)) == [{"l2": 1.0, "dropout": 0.0}]


def test_a_grid_that_no_memory_holds_is_never_listed():
    wide = {name: Range(1.0, 2.0, False) for name in ("l2", "dropout", "omega", "epochs")}
    assert next(grid(wide, 1000)) == dict.fromkeys(wide, 1.0)
    first = next_point(wide, tune("grid", grid_points=1000), 10, [], [], [])
    assert first == dict.fromkeys(wide, 1.0)


def test_the_border_of_a_range():
    assert at_border(SPACE, {"l2": 30.0, "dropout": 0.4}) == []
    assert at_border(SPACE, {"l2": 1.05, "dropout": 0.4}) == ["l2"]
    assert at_border(SPACE, {"l2": 990.0, "dropout": 0.799}) == ["l2", "dropout"]
    # No range can become wider below 0.
    assert at_border(SPACE, {"l2": 30.0, "dropout": 0.0}) == []


def test_a_second_start_is_tried_after_the_first():
    other = {"l2": 20.0, "dropout": 0.2}
    first = Evaluation(0, 10, START, {10: {"ndcg_100": 0.5}}, 1.0)
    assert next_point(SPACE, tune(), 10, [first], [], [START, other]) == other
    assert next_point(SPACE, tune(), 10, [first], [], [START, START]) not in (START, other)

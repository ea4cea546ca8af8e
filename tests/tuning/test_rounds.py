"""Rounds: the points and numbers of a search do not depend on the order in which a round finishes, nor on kills."""

import random
from bisect import insort

import numpy as np
import pytest

from edlae_sweeps.settings import Optuna, Range
from edlae_sweeps.tuning import Evaluation
from edlae_sweeps.tuning.rounds import open_round
from edlae_sweeps.tuning.sampler import next_point

SPACE = {"l2": Range(1.0, 1000.0, True), "dropout": Range(0.0, 0.8, False)}
START = {"l2": 10.0, "dropout": 0.1}
RANKS = (5, 10)


def tune(**changes) -> Optuna:
    return Optuna(**{"n_trials": 11, "batch": 3, "grid_points": 3, **changes})


def evaluated(number: int, rank: int, point: dict[str, float]) -> Evaluation:
    value = 1 - (np.log10(point["l2"] / 30)) ** 2 - (point["dropout"] - 0.3) ** 2
    return Evaluation(number, rank, point, {rank: {"ndcg_100": value + rank / 100} for rank in RANKS}, 1.0)


def search(
    settings: Optuna,
    recorded: list[Evaluation] | None = None,
    groups: list[tuple[int, ...]] | None = None,
    order: random.Random | None = None,
    most: int = 1000,
) -> list[Evaluation]:
    """All records after a search that continues from `recorded` and stops after `most` evaluations."""
    recorded = sorted(recorded or [], key=lambda evaluation: evaluation.number)
    for ranks in groups or [RANKS]:
        for start in range(0, settings.n_trials, settings.batch):
            opened = open_round(SPACE, settings, ranks, start, recorded, [START])
            if opened is None:
                continue
            missing = list(opened.missing)
            if order:
                order.shuffle(missing)
            for asked in missing[:most]:
                insort(recorded, evaluated(asked.number, asked.rank, asked.point), key=lambda e: e.number)
            most -= len(missing)
            if most <= 0 or not opened.size:
                return recorded
    return recorded


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_the_points_of_a_round_differ_and_repeat_exactly(sampler):
    settings = tune(sampler=sampler, n_trials=30, batch=8)
    first, again = search(settings), search(settings)
    assert first == again
    assert first[0].point == START
    assert len({tuple(evaluation.point.values()) for evaluation in first}) == (10 if sampler == "grid" else 30)
    assert [evaluation.number for evaluation in first] == list(range(len(first)))
    assert [evaluation.asked_by for evaluation in first[:4]] == [5, 10, 5, 10]


def test_a_round_knows_the_rounds_before_it_and_its_own_points_alone():
    seen = search(tune(n_trials=12, batch=12))
    pending = [{"l2": 30.0, "dropout": 0.3}, {"l2": 31.0, "dropout": 0.31}]
    point = next_point(SPACE, tune(), 5, seen, pending, [START])
    assert point == next_point(SPACE, tune(), 5, seen, pending, [START])
    assert point != next_point(SPACE, tune(), 5, seen, pending[:1], [START])
    other = [{"l2": 500.0, "dropout": 0.7}, {"l2": 600.0, "dropout": 0.6}]
    assert point != next_point(SPACE, tune(), 5, seen, other, [START])


def test_points_of_a_round_outside_the_ranges_are_no_trials():
    seen = search(tune(n_trials=12, batch=12))
    assert next_point(SPACE, tune(), 5, seen, [{"l2": 1e6, "dropout": 0.1}], [START])["l2"] <= 1000


def test_a_batch_of_one_is_the_search_without_batches():
    settings = tune(batch=1, n_trials=25)
    seen: list[Evaluation] = []
    for number in range(25):
        rank = RANKS[number % 2]
        seen.append(evaluated(number, rank, next_point(SPACE, settings, rank, seen, [], [START])))
    assert search(settings) == seen


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_a_round_finishes_does_not_matter(seed):
    assert search(tune(batch=4), order=random.Random(seed)) == search(tune(batch=4))


@pytest.mark.parametrize("seed", range(8))
def test_a_search_that_was_killed_continues_with_the_same_points_and_numbers(seed):
    moments = random.Random(seed)
    recorded: list[Evaluation] = []
    for _ in range(6):
        recorded = search(tune(), recorded, order=moments, most=moments.randint(1, 3))
    assert search(tune(), recorded) == search(tune())


@pytest.mark.parametrize("lost", [(9,), (10,), (9, 10)])
def test_missing_records_of_the_last_round_are_made_again(lost):
    whole = search(tune())
    assert len(whole) == 11
    rest = [evaluation for evaluation in whole if evaluation.number not in lost]
    assert search(tune(), rest) == whole


def test_a_cut_round_is_extended():
    whole = search(tune(n_trials=11))
    shorter = search(tune(n_trials=4))
    assert shorter == whole[:4]
    assert search(tune(n_trials=11), shorter) == whole
    assert search(tune(n_trials=4), whole) == whole


def test_a_smaller_search_counts_its_own_points_of_a_round_alone():
    whole = search(tune(n_trials=6))
    without = [evaluation for evaluation in whole if evaluation.number != 3]
    opened = open_round(SPACE, tune(n_trials=4), RANKS, 3, without, [START])
    assert [asked.number for asked in opened.missing] == [3]
    assert opened.beyond == tuple(whole[4:])
    assert open_round(SPACE, tune(n_trials=4), RANKS, 0, without, [START]) is None


def test_ranks_with_a_search_of_their_own_have_rounds_of_their_own():
    groups = [(5,), (10,)]
    whole = search(tune(n_trials=4), groups=groups)
    assert [evaluation.asked_by for evaluation in whole] == [5] * 4 + [10] * 4
    assert [evaluation.number for evaluation in whole] == list(range(8))
    extended = search(tune(n_trials=7), whole, groups)
    by_rank = {rank: [evaluation.point for evaluation in extended if evaluation.asked_by == rank] for rank in RANKS}
    at_once = search(tune(n_trials=7), groups=groups)
    assert by_rank == {
        rank: [evaluation.point for evaluation in at_once if evaluation.asked_by == rank] for rank in RANKS
    }
    assert len({evaluation.number for evaluation in extended}) == 14


def test_a_grid_ends_within_a_round():
    settings = tune(sampler="grid", n_trials=100, batch=4)
    seen = search(settings)
    assert len(seen) == 10
    opened = open_round(SPACE, settings, RANKS, 12, seen, [START])
    assert (opened.size, opened.missing) == (0, ())
    assert search(settings, seen) == seen


def test_equal_points_of_a_round_have_a_record_each():
    narrow = {"l2": Range(1.0, 1.0 + 1e-15, False)}
    settings = tune(n_trials=4, batch=4)
    asked = open_round(narrow, settings, (5,), 0, [], []).missing
    records = [evaluated(a.number, a.rank, {**a.point, "dropout": 0.1}) for a in asked[:2]]
    records = [Evaluation(r.number, 5, {"l2": r.point["l2"]}, r.ranks, 1.0) for r in records]
    assert [a.number for a in open_round(narrow, settings, (5,), 0, records, []).missing] == [2, 3]


def test_tpe_in_rounds_comes_near_to_the_optimum():
    def regret(batch: int) -> float:
        searches = [search(tune(n_trials=32, batch=batch, seed=seed), groups=[(5,)]) for seed in range(4)]
        return float(np.mean([1.05 - max(e.ranks[5]["ndcg_100"] for e in seen) for seen in searches]))

    assert regret(4) < 0.04

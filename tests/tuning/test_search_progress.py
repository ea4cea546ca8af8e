"""What the bar of a search says: the trial, the best value of the rank whose turn it is, the time left."""

from types import SimpleNamespace

import pytest

from edlae_sweeps.settings import Optuna
from edlae_sweeps.tuning import Evaluation
from edlae_sweeps.tuning.progress import show_progress
from edlae_sweeps.tuning.rounds import Asked


def evaluation(number: int, value: float, ranks: tuple = (10, 100), seconds: float = 4.0) -> Evaluation:
    metrics = {rank: {"ndcg_100": value + rank / 1000, "gini_20": -1e-17} for rank in ranks}
    return Evaluation(number, ranks[0], {"l2": float(number)}, metrics, seconds)


def shown(seen, waiting, ranks=(10, 100), at_once=1, metric="ndcg_100"):
    said = []
    search = SimpleNamespace(
        seen=seen, total=20, ranks=ranks, tune=Optuna(search={"l2": (1, 100)}, metric=metric, n_trials=20)
    )
    show_progress(lambda *arguments: said.append(arguments), search, waiting, at_once)
    return said[0]


@pytest.mark.parametrize(
    ("seen", "ranks", "note", "left"),
    [
        ([], (10,), "trial 1/20", None),
        ([], (10, 100), "trial 1/20, rank 10", None),
        ([evaluation(0, 0.3, (10,)), evaluation(1, 0.2, (10,), 2)], (10,), "trial 3/20, best 0.3100", 54),
        ([evaluation(0, 0.2), evaluation(1, 0.3)], (10, 100), "trial 3/20, rank 10, best 0.3100", 72),
        # The only evaluation failed.
        ([Evaluation(0, 10, {"l2": 1.0}, {}, 1.0, "singular")], (10,), "trial 2/20", 19),
    ],
)
def test_the_bar_of_one_trial_after_another(seen, ranks, note, left):
    assert shown(seen, [Asked(9, 10, {"l2": 5.0})], ranks) == (len(seen), 20, note, left)


def test_the_bar_of_trials_side_by_side():
    waiting = [Asked(number, (10, 100)[number % 2], {"l2": 5.0}) for number in range(3, 7)]
    seen = [evaluation(0, 0.2)]
    assert shown(seen, waiting, at_once=4) == (1, 20, "trials 2-5/20, rank 100, best 0.3000", 19)
    # Two workers for four points.
    assert shown(seen, waiting, at_once=2) == (1, 20, "trials 2-3/20, rank 100, best 0.3000", 38)
    assert shown(seen, waiting[-1:], at_once=4)[2] == "trial 2/20, rank 10, best 0.2100"
    assert shown(seen, [], at_once=4)[2] == ""


def test_no_best_value_is_minus_zero():
    assert shown([evaluation(0, 0.2)], [Asked(1, 10, {"l2": 5.0})], metric="gini_20")[2].endswith("best 0.0000")

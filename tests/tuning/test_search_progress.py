"""What the bar of a search says: the trial, the best value of the rank whose turn it is, the time left."""

import time
from types import SimpleNamespace

import pytest

from edlae_sweeps.settings import Optuna
from edlae_sweeps.tuning import Evaluation
from edlae_sweeps.tuning.progress import Progress
from edlae_sweeps.tuning.rounds import Asked


def evaluation(number: int, value: float, ranks: tuple = (10, 100), seconds: float = 4.0) -> Evaluation:
    metrics = {rank: {"ndcg_100": value + rank / 1000, "gini_20": -1e-17} for rank in ranks}
    return Evaluation(number, ranks[0], {"l2": float(number)}, metrics, seconds)


class Bar:
    """A stage that keeps what it was called with, in place of a bar."""

    def __init__(self) -> None:
        self.shown: list[tuple] = []

    def __call__(self, *arguments) -> None:
        self.shown.append(arguments)

    def tell(self, _text: str) -> None:
        pass


def search_of(seen, ranks=(10, 100), metric="ndcg_100"):
    tune = Optuna(search={"l2": (1, 100)}, metric=metric, n_trials=20)
    return SimpleNamespace(seen=seen, total=20, ranks=ranks, tune=tune)


def shown(seen, waiting, ranks=(10, 100), at_once=1, metric="ndcg_100"):
    """What a search shows as it goes on after `seen`."""
    bar = Bar()
    Progress(bar, search_of(seen, ranks, metric), at_once).show(waiting)
    return bar.shown[0]


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


@pytest.mark.parametrize(("at_once", "left"), [(1, [190, 180, 170, 160]), (4, [190 / 4, 180 / 2, 170 * 3 / 4, 160])])
def test_the_time_left_is_that_of_this_process_once_a_trial_is_over(monkeypatch, at_once, left):
    clock = iter([100.0, *(100.0 + 10 * trial for trial in range(1, 5))])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    bar, search = Bar(), search_of([])
    progress = Progress(bar, search, at_once)
    progress.show([Asked(0, 10, {"l2": 5.0})])
    for number in range(4):
        search.seen.append(evaluation(number, 0.2, seconds=1e9))
        progress.show([])
    assert [arguments[3] for arguments in bar.shown] == [None, *map(pytest.approx, left)]

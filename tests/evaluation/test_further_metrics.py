"""Metrics beyond the three against slow loops: ties, users without targets in a group, and perfect rankings."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.evaluation import METRICS, Popularity, evaluate, evaluate_nested, ranking
from edlae_sweeps.models import LowRank
from edlae_sweeps.resources import Resources

DEPTHS = (1, 7, 20, 100)
BY_USER = [f"{kind}_{depth}{end}" for kind in ("ndcg", "recall") for depth in DEPTHS
           for end in ("", "_head", "_tail", "_unbiased")]  # fmt: skip
NAMES = [*BY_USER, *(f"{kind}_{depth}" for kind in ("coverage", "gini") for depth in DEPTHS)]


def in_head(counts: list[float]) -> set[int]:
    """The ⌈.2n⌉ items with the most training events."""
    order = sorted(range(len(counts)), key=lambda item: (-counts[item], item))
    return set(order[: math.ceil(len(counts) / 5)])


def value(name: str, ranking: list[int], targets: set[int], counts: list[float]) -> float | None:
    """A metric of one user by its definition; None if the user does not count."""
    kind, depth, *view = name.split("_")
    depth, gain = int(depth), dict.fromkeys(targets, 1.0)
    if view == ["unbiased"]:
        gain = {item: 1 / max((counts[item] / (max(counts) or 1)) ** 0.5, 0.01) for item in targets}
    elif view:
        head = in_head(counts)
        gain = {item: 1.0 for item in targets if (item in head) == (view == ["head"])}
    if not gain:
        return None
    weigh = (lambda position: 1 / math.log2(position + 2)) if kind == "ndcg" else lambda _: 1
    gained = sum(gain.get(item, 0) * weigh(position) for position, item in enumerate(ranking[:depth]))
    best = sorted(gain.values(), reverse=True)[:depth]
    return gained / sum(each * weigh(position) for position, each in enumerate(best))


def overall(name: str, rankings: list[list[int]], n: int) -> float:
    """Coverage or Gini by its definition; Gini as the mean absolute difference of all pairs over twice the mean."""
    kind, depth = name.split("_")
    times = [sum(item in ranking[: int(depth)] for ranking in rankings) for item in range(n)]
    if kind == "coverage":
        return sum(count > 0 for count in times) / n
    return sum(abs(a - b) for a in times for b in times) / (2 * n * sum(times)) if sum(times) else 0.0


def problem(seed: int, users: int, items: int, levels: int) -> tuple[LowRank, HeldOut, np.ndarray]:
    """Factors and counts of whole numbers, full of ties, and a matrix of held-out users."""
    random = np.random.default_rng(seed)
    U, V = (random.integers(-levels, levels + 1, (items, 3)).astype(np.float64) for _ in range(2))
    draw = random.random((users, items))
    fold_in, targets = draw < 0.3, draw > random.random((users, 1))
    parts = (csr_array(part.astype(np.float32)) for part in (fold_in, targets & ~fold_in))
    return LowRank(U, V), HeldOut(*parts, first_user=7), random.integers(0, 2 * levels + 1, items).astype(np.float64)


def rankings(model: LowRank, held_out: HeldOut) -> list[list[int]]:
    """For each user who counts, the items that are not in the fold-in, best first; ties go to the lower index."""
    scores = model.scores(held_out.fold_in)
    known = held_out.fold_in.toarray() > 0
    return [
        sorted(np.flatnonzero(~known[user]).tolist(), key=lambda item: (-scores[user, item], item))
        for user in np.flatnonzero(np.diff(held_out.targets.indptr))
    ]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    users=st.integers(1, 8),
    items=st.sampled_from([1, 2, 6, 35, 130]),
    levels=st.sampled_from([0, 1, 1000]),
)
def test_every_metric_equals_its_definition(seed, users, items, levels):
    model, held_out, counts = problem(seed, users, items, levels)
    groups = {"head": in_head(counts.tolist()), "tail": set(range(items)) - in_head(counts.tolist())}
    present = set(held_out.targets.indices.tolist())
    names = [name for name in NAMES if groups.get(name.rpartition("_")[2], present) & present]
    if not present:
        return
    per_user = evaluate(model, held_out, metrics=names, item_counts=counts)
    ordered = rankings(model, held_out)
    targets = [set(held_out.targets[[user]].nonzero()[1].tolist()) for user in per_user.users - 7]
    assert set(names) <= per_user.values.keys() | per_user.overall.keys()
    summary = per_user.summary()
    for name, found in per_user.values.items():
        expected = [value(name, *both, counts.tolist()) for both in zip(ordered, targets, strict=True)]
        counted = [each for each in expected if each is not None]
        np.testing.assert_allclose(found, [math.nan if each is None else each for each in expected], rtol=1e-12)
        assert summary[name] == pytest.approx(np.mean(counted), rel=1e-12)
        assert summary[f"{name}_se"] == pytest.approx(np.std(counted) / math.sqrt(len(counted)), rel=1e-9, abs=1e-15)
    for name, found in per_user.overall.items():
        assert found == summary[name] == pytest.approx(overall(name, ordered, items), abs=1e-12), name
        assert f"{name}_se" not in summary


class Oracle:
    """Scores the held-out items of each user by a weight, all others 0: a perfect ranking. Knows users by a mark."""

    def __init__(self, held_out: HeldOut, weights: np.ndarray) -> None:
        self._by_fold_in = {
            fold_in.tobytes(): targets * weights
            for fold_in, targets in zip(held_out.fold_in.toarray(), held_out.targets.toarray(), strict=True)
        }

    def scores(self, fold_in: csr_array) -> np.ndarray:
        return np.array([self._by_fold_in[row.tobytes()] for row in fold_in.toarray()])

    def halves(self) -> None:
        return None


@pytest.mark.parametrize("items", [40, 300])
def test_a_perfect_ranking_has_one_of_each(items):
    _, held_out, counts = problem(3, 30, items, 500)
    rare_first = Oracle(held_out, 1 / np.maximum(counts, 1e-3))
    per_user = evaluate(rare_first, held_out, metrics=BY_USER, item_counts=counts)
    for name in (name for name in BY_USER if not name.endswith(("_head", "_tail"))):
        np.testing.assert_allclose(per_user.values[name], 1, rtol=1e-14, err_msg=name)
    for group, weights in (("tail", 1 / np.maximum(counts, 1e-3)), ("head", counts + 1)):
        names = [name for name in BY_USER if name.endswith(group)]
        for name, found in evaluate(
            Oracle(held_out, weights), held_out, metrics=names, item_counts=counts
        ).values.items():
            if name in names:
                assert np.isnan(found).any() or items == 300
                np.testing.assert_allclose(found[~np.isnan(found)], 1, rtol=1e-14, err_msg=name)


def test_nested_ranks_threads_and_batches_change_nothing(monkeypatch):
    model, held_out, counts = problem(5, 60, 150, 1000)
    whole = evaluate(model, held_out, metrics=NAMES, item_counts=counts, resources=Resources(1, 2**34))
    monkeypatch.setattr(ranking, "_BATCH_USERS", 7)
    together = Resources(2, 2**34)
    nested = evaluate_nested(model, [1, 3], held_out, metrics=NAMES, item_counts=counts, resources=together)
    first = LowRank(model.U[:, :1], model.V[:, :1])
    pairs = [
        (whole, evaluate(model, held_out, metrics=NAMES, item_counts=counts, resources=together)),
        (whole, nested[3]),
        (evaluate(first, held_out, metrics=NAMES, item_counts=counts), nested[1]),
    ]
    for one, other in pairs:
        assert one.overall == other.overall
        for name, values in one.arrays().items():
            np.testing.assert_allclose(other.arrays()[name], values, rtol=1e-12, err_msg=name)


def test_the_order_is_that_of_the_names_after_the_defaults():
    model, held_out, counts = problem(1, 20, 50, 9)
    names = ["gini_10", "recall_20_tail", "ndcg_100", "ndcg_10", "recall_20_tail"]
    per_user = evaluate(model, held_out, metrics=names, item_counts=counts)
    assert list(per_user.arrays()) == ["users", *METRICS, "recall_20_tail", "ndcg_10"]
    assert list(per_user.overall) == ["gini_10"]


def test_popularity_and_a_model_know_their_counts():
    model, held_out, counts = problem(2, 20, 50, 9)
    by_given = evaluate(model, held_out, metrics=["ndcg_10_tail"], item_counts=counts).summary()
    assert evaluate(model.described(None, counts), held_out, metrics=["ndcg_10_tail"]).summary() == by_given
    evaluate(Popularity(counts), held_out, metrics=["ndcg_10_tail", "coverage_5"])
    # Popularity recommends the same few items to all.
    few = evaluate(Popularity(counts), held_out, metrics=["coverage_1", "gini_1"]).overall
    assert few["coverage_1"] < 0.3
    assert few["gini_1"] > 0.7
    evaluate(model, held_out, metrics=["coverage_5", "ndcg_10"])
    with pytest.raises(ConfigError, match="metrics=recall_5_unbiased: pass item_counts"):
        evaluate(model, held_out, metrics=["recall_5_unbiased"])
    with pytest.raises(ConfigError, match="metrics=ndcg: choose"):
        evaluate(model, held_out, metrics=["ndcg"])


def test_a_metric_that_no_user_counts_for_is_refused():
    model, held_out, _ = problem(2, 20, 50, 9)
    # The only targets are the ten most popular items.
    targets = held_out.targets.toarray()
    targets[:, 10:] = 0
    only_head = HeldOut(held_out.fold_in, csr_array(targets), 0)
    counts = np.arange(50.0, 0, -1)
    evaluate(model, only_head, metrics=["ndcg_100_head"], item_counts=counts)
    with pytest.raises(DataError, match="ndcg_100_tail: no user has held-out items that count"):
        evaluate(model, only_head, metrics=["ndcg_100_tail"], item_counts=counts)


@pytest.mark.parametrize("users", [0, 3])
def test_without_held_out_items_there_is_nothing_to_evaluate(users):
    model, *_ = problem(2, 20, 50, 9)
    nobody = HeldOut(csr_array((users, 50)), csr_array((users, 50)), 0)
    for evaluated in (lambda: evaluate(model, nobody), lambda: evaluate_nested(model, [1, 3], nobody)):
        with pytest.raises(DataError, match="no user has held-out items; there is nothing to evaluate"):
            evaluated()


def test_items_without_any_event_have_the_least_propensity():
    model, held_out, _ = problem(4, 10, 30, 9)
    plain = evaluate(model, held_out).values["ndcg_100"]
    weighted = evaluate(model, held_out, metrics=["ndcg_100_unbiased"], item_counts=np.zeros(30))
    np.testing.assert_allclose(weighted.values["ndcg_100_unbiased"], plain, rtol=1e-12)


def test_memory_of_coverage_does_not_grow_with_the_users():
    items = 50_000

    def peak(users: int) -> int:
        fold_in, targets = (
            csr_array(random_array((users, items), density=5 / items, format="csr", dtype=np.float32, rng=seed))
            for seed in (0, 1)
        )
        factor = np.ones((items, 1), np.float32)
        model, held_out = LowRank(factor, factor), HeldOut(fold_in, targets, 0)
        tracemalloc.start()
        evaluate(model, held_out, metrics=["coverage_100", "gini_20"], resources=Resources(1, 2**34))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(64)
    # What is kept of each of the 1,536 further users are three numbers; their best items would be 800 bytes each.
    assert peak(2048) < peak(512) + 1e6

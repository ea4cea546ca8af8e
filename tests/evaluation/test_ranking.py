import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import user_metrics
from scipy.sparse import csr_array, random_array
from sklearn.metrics import ndcg_score

from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.errors import SolverError
from edlae_sweeps.evaluation import METRICS, Popularity, evaluate, evaluate_nested, ranking
from edlae_sweeps.models import LowRank
from edlae_sweeps.resources import Resources, blas_threads, cores


class Fixed:
    """Scores each user by the row of a table that the first fold-in item selects: rows may come in any order."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def scores(self, fold_in: csr_array) -> np.ndarray:
        return np.array(self.table[fold_in.indices[fold_in.indptr[:-1]]])

    def halves(self) -> None:
        return None


def held_out_problem(seed: int, users: int, items: int, levels: int) -> tuple[np.ndarray, HeldOut]:
    """Scores with many ties; the fold-in of user u starts with item u, and some users have no targets."""
    random = np.random.default_rng(seed)
    table = random.integers(0, levels, (items, items)).astype(float)
    draw = random.random((users, items))
    fold_in = draw < 0.2
    fold_in[:, :users] |= np.eye(users, dtype=bool)
    fold_in &= np.cumsum(np.eye(users, items), axis=1).astype(bool)
    targets = (draw > random.random((users, 1))) & ~fold_in
    return table, HeldOut(csr_array(fold_in.astype(np.float32)), csr_array(targets.astype(np.float32)), first_user=100)


@given(
    seed=st.integers(0, 2**31),
    users=st.integers(1, 20),
    extra=st.integers(1, 150),
    levels=st.sampled_from([1, 3, 10**6]),
)
def test_metrics_equal_a_sort_in_python(seed, users, extra, levels):
    table, held_out = held_out_problem(seed, users, users + extra, levels)
    expected = {}
    for user in range(users):
        targets = set(held_out.targets[[user]].nonzero()[1].tolist())
        if targets:
            fold_in = set(held_out.fold_in[[user]].nonzero()[1].tolist())
            expected[user + 100] = user_metrics(table[user].tolist(), fold_in, targets)
    if not expected:
        return
    per_user = evaluate(Fixed(table), held_out)
    assert per_user.users.tolist() == list(expected)
    values = np.column_stack([per_user.values[name] for name in METRICS])
    np.testing.assert_allclose(values, list(expected.values()), rtol=1e-12)


@given(seed=st.integers(0, 2**31), users=st.integers(1, 20), extra=st.integers(1, 150))
def test_ndcg_equals_scikit_learn_where_scores_do_not_tie(seed, users, extra):
    table, held_out = held_out_problem(seed, users, users + extra, 10**9)
    counted = np.flatnonzero(np.diff(held_out.targets.indptr))
    if not len(counted):
        return
    per_user = evaluate(Fixed(table), held_out)
    scores = np.where(held_out.fold_in.toarray() > 0, -1, table[:users])
    targets = held_out.targets.toarray()
    for user, value in zip(counted, per_user.values["ndcg_100"], strict=True):
        np.testing.assert_allclose(value, ndcg_score(targets[[user]], scores[[user]], k=100), rtol=1e-12)


@given(seed=st.integers(0, 2**31), data=st.data())
def test_metrics_do_not_depend_on_the_order_of_users(seed, data):
    table, held_out = held_out_problem(seed, 12, 60, 5)
    order = np.array(data.draw(st.permutations(range(12))))
    shuffled = HeldOut(held_out.fold_in[order], held_out.targets[order], 0)
    if held_out.targets.nnz:
        first, second = evaluate(Fixed(table), held_out).summary(), evaluate(Fixed(table), shuffled).summary()
        np.testing.assert_allclose(list(first.values()), list(second.values()), rtol=1e-12)


def test_summary_is_the_mean_and_its_standard_error():
    table, held_out = held_out_problem(1, 15, 80, 10**6)
    per_user = evaluate(Fixed(table), held_out)
    summary = per_user.summary()
    assert list(summary) == [key for name in METRICS for key in (name, f"{name}_se")]
    values = per_user.values["recall_20"]
    np.testing.assert_allclose(summary["recall_20"], np.mean(values))
    np.testing.assert_allclose(summary["recall_20_se"], np.std(values) / np.sqrt(len(per_user.users)))


def test_batches_change_nothing_and_report_progress(monkeypatch: pytest.MonkeyPatch):
    table, held_out = held_out_problem(2, 20, 70, 4)
    whole = evaluate(Fixed(table), held_out)
    monkeypatch.setattr(ranking, "_BATCH_BYTES", 8 * 70 * 3)
    seen = []
    pieces = evaluate(Fixed(table), held_out, lambda done, total: seen.append((done, total)))
    for name, values in whole.arrays().items():
        np.testing.assert_allclose(values, pieces.arrays()[name], rtol=1e-14)
    assert len(seen) > 1
    assert seen[-1] == (len(whole.users), len(whole.users))


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranking, "_BATCH_BYTES", 5 * 8 * 300)
    random = np.random.default_rng(0)
    _, held_out = held_out_problem(0, 200, 300, 10)
    U, V = random.standard_normal((2, 300, 8))
    model = LowRank(U, V)
    results = []
    for threads in (1, cores()):
        few = Resources(threads, 2**34)
        results.append(
            (evaluate(model, held_out, resources=few), evaluate_nested(model, [2, 8], held_out, resources=few))
        )
    (alone, nested), (together, nested_together) = results
    for name in METRICS:
        # The order of sums may differ.
        np.testing.assert_allclose(alone.values[name], together.values[name], rtol=1e-12)
        np.testing.assert_allclose(nested[8].values[name], alone.values[name])
        np.testing.assert_allclose(nested[2].values[name], nested_together[2].values[name], rtol=1e-12)
    assert np.array_equal(alone.users, nested[2].users)


def test_no_batch_starts_after_one_that_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ranking, "_BATCH_BYTES", 8 * 300)
    table, held_out = held_out_problem(0, 200, 300, 10)
    seen = []

    class Stopped(Fixed):
        def scores(self, fold_in: csr_array) -> np.ndarray:
            seen.append(fold_in.shape[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(Stopped(table), held_out)
    assert len(seen) < 50
    assert blas_threads() >= 1


def test_scores_that_are_not_finite_are_refused():
    table, held_out = held_out_problem(3, 10, 50, 10)
    table[:, 7] = np.nan
    with pytest.raises(SolverError, match="not finite"):
        evaluate(Fixed(table), held_out)


def test_memory_stays_below_one_gib_whatever_the_number_of_users():
    users, items, k = 30_000, 8_000, 20
    draw = random_array((users, items), density=1e-3, rng=np.random.default_rng(0), dtype=np.float32).tocsr()
    fold_in, targets = draw.copy(), draw.copy()
    fold_in.data = (draw.data < 0.5).astype(np.float32)
    targets.data = (draw.data >= 0.5).astype(np.float32)
    fold_in.eliminate_zeros()
    targets.eliminate_zeros()
    factor = np.random.default_rng(1).standard_normal((items, k)).astype(np.float32)
    tracemalloc.start()
    evaluate(LowRank(factor, factor), HeldOut(csr_array(fold_in), csr_array(targets), 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All scores at once would take 0.9 GiB, and their copies as much again.
    assert peak < 0.5 * 1024**3


def test_popularity_is_the_golden_baseline(debian, debian_gram, golden):
    expected = golden["popularity"]
    per_user = evaluate(Popularity(debian_gram.diagonal().copy()), debian.test)
    summary = per_user.summary()
    assert len(per_user.users) == expected["users"]
    for name, tolerance in (("ndcg_100", 2e-4), ("recall_20", 1e-3), ("recall_50", 1e-3)):
        assert summary[name] == pytest.approx(expected[name], abs=tolerance)
        assert summary[f"{name}_se"] == pytest.approx(expected[f"{name}_se"], abs=tolerance)

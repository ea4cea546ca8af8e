"""Ranking of held-out users in batches: the metrics of one model in bounded memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from edlae_sweeps import machine
from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.errors import SolverError
from edlae_sweeps.evaluation.metrics import DEPTH, ndcg, recall
from edlae_sweeps.methods import LowRank

# Bytes of the scores in hand. Copies for the selection, masks and sparse temporaries take about three times as much.
_BATCH_BYTES = 96 * 1024**2
_Result = TypeVar("_Result")


class Scorer(Protocol):
    """Anything that scores items for users by their fold-in interactions."""

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores, a new array."""
        ...


@dataclass(frozen=True)
class Popularity:
    """The baseline: every user is shown the items in the order of their training counts."""

    counts: NDArray[Any]

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores, the same in every row."""
        return np.tile(self.counts, (fold_in.shape[0], 1))


@dataclass(frozen=True)
class PerUser:
    """Metrics of each held-out user who has an item to find, in the split's order; `users` are the split's numbers."""

    users: NDArray[np.int64]
    ndcg_100: NDArray[np.float64]
    recall_20: NDArray[np.float64]
    recall_50: NDArray[np.float64]

    def summary(self) -> dict[str, float]:
        """Mean and standard error std/√users (ddof 0) of each metric."""
        result = {}
        for name in METRICS:
            values = getattr(self, name)
            result[name] = float(values.mean())
            result[f"{name}_se"] = float(values.std() / np.sqrt(len(values)))
        return result


METRICS = tuple(field.name for field in fields(PerUser) if field.name != "users")


def evaluate(model: Scorer, held_out: HeldOut, advance: Callable[[int, int], None] | None = None) -> PerUser:
    """nDCG@100, Recall@20 and Recall@50 of every user with held-out items; fold-in items are never recommended.

    Users without held-out items are left out. Memory is bounded whatever the number of users. `advance(done, users)` is
    called after each batch. Raises SolverError when a score is not finite: such a model ranks nothing.
    """
    parts = _by_batch(held_out, lambda fold_in, targets: _batch_metrics(model, fold_in, targets), advance)
    return PerUser(_counted(held_out) + held_out.first_user, *np.concatenate(parts, axis=1))


def evaluate_nested(
    model: LowRank, ranks: Sequence[int], held_out: HeldOut, advance: Callable[[int, int], None] | None = None
) -> dict[int, PerUser]:
    """`evaluate` for every rank of a model whose first k columns are rank k, in one pass over the users.

    `ranks` ascend, and the last is that of the model. Scores of a rank are those of the rank before and one product of
    the columns between: together one product of the largest rank, and a selection of the best items each.
    """

    def work(fold_in: csr_array, targets: csr_array) -> list[NDArray[np.float64]]:
        hidden = fold_in @ model.U
        if not np.isfinite(hidden.sum(dtype=np.float64)):
            raise SolverError("the model gives scores that are not finite")
        scores = np.zeros(targets.shape, dtype=hidden.dtype)
        # What is masked stays so, whatever is added.
        scores[fold_in.nonzero()] = -np.inf
        found, done = [], 0
        for rank in ranks:
            scores += hidden[:, done:rank] @ model.V[:, done:rank].T
            found.append(_metrics_of(scores, targets))
            done = rank
        return found

    users = _counted(held_out) + held_out.first_user
    parts = zip(*_by_batch(held_out, work, advance), strict=True)
    return {rank: PerUser(users, *np.concatenate(found, axis=1)) for rank, found in zip(ranks, parts, strict=True)}


def _counted(held_out: HeldOut) -> NDArray[np.int64]:
    """The users with held-out items."""
    return np.flatnonzero(np.diff(held_out.targets.indptr))


def _by_batch(
    held_out: HeldOut, work: Callable[[csr_array, csr_array], _Result], advance: Callable[[int, int], None] | None
) -> list[_Result]:
    """What `work` makes of fold-in and targets of each batch of counted users, in order.

    As many batches at once as linear algebra has threads, each of them with one: sparse products and selection do not
    use more, and all of it runs outside of Python's lock.
    """
    counted = _counted(held_out)
    threads = machine.blas_name_and_threads()[1]
    size = max(1, _BATCH_BYTES // (threads * 8 * held_out.targets.shape[1]))
    batches = [counted[start : start + size] for start in range(0, len(counted), size)]
    found: list[_Result] = []
    done = 0
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        try:
            results = pool.map(lambda rows: work(held_out.fold_in[rows], held_out.targets[rows]), batches)
            for rows, result in zip(batches, results, strict=True):
                found.append(result)
                done += len(rows)
                if advance is not None:
                    advance(done, len(counted))
        except BaseException:
            # Ctrl-C, or a model that is not finite: the batches in hand are the last.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _batch_metrics(model: Scorer, fold_in: csr_array, targets: csr_array) -> NDArray[np.float64]:
    scores = model.scores(fold_in)
    if not np.isfinite(scores.sum(dtype=np.float64)):
        raise SolverError("the model gives scores that are not finite")
    scores[fold_in.nonzero()] = -np.inf
    return _metrics_of(scores, targets)


def _metrics_of(scores: NDArray[Any], targets: csr_array) -> NDArray[np.float64]:
    """The metrics (3, users) of masked scores (users, n)."""
    top = top_items(scores, DEPTH)
    hits = np.take_along_axis(targets.toarray().astype(bool), top, axis=1)
    wanted = np.diff(targets.indptr)
    return np.stack([ndcg(hits, wanted), recall(hits, wanted, 20), recall(hits, wanted, 50)])


def top_items(scores: NDArray[Any], depth: int) -> NDArray[np.int64]:
    """The `depth` best items of each row of (users, n), best first; ties go to the lower item index.

    One partition finds the last score that makes it, one comparison the items: about two passes over the scores.
    """
    n = scores.shape[1]
    depth = min(depth, n)
    last = np.partition(scores, n - depth, axis=1)[:, n - depth, None]
    chosen = scores >= last
    surplus = np.count_nonzero(chosen, axis=1) - depth
    for row in np.flatnonzero(surplus):
        tied = np.flatnonzero(scores[row] == last[row])
        chosen[row, tied[-surplus[row] :]] = False
    items = np.nonzero(chosen)[1].reshape(-1, depth)
    order = np.argsort(-np.take_along_axis(scores, items, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items, order, axis=1)

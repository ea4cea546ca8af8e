"""Ranking of held-out users in batches: the metrics of one model in bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Advance, HeldOut
from edlae_sweeps.evaluation.names import DEPTH
from edlae_sweeps.evaluation.suite import Batch, PerUser, Suite, Tally, Users
from edlae_sweeps.linalg import in_threads, settle, with_fallback
from edlae_sweeps.models import Model
from edlae_sweeps.models.best import Encode, Scorer, batch_width, best_by_rank, best_items, on_device
from edlae_sweeps.resources import Resources

# Bytes of the scores in memory. Copies for the selection, masks and sparse temporaries take about three times as much.
_BATCH_BYTES = 96 * 1024**2
# Users of a batch, at most: more make the products no faster, and their scores leave the caches.
_BATCH_USERS = 256
# The same on a device.
_DEVICE_BYTES = 512 * 1024**2
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Popularity:
    """The baseline: every user gets the items in the order of their training counts."""

    item_counts: NDArray[Any]

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores, the same in every row."""
        return np.tile(self.item_counts, (fold_in.shape[0], 1))

    def halves(self) -> tuple[Encode, NDArray[Any]]:
        """A hidden unit that is always 1, and its weights, the counts."""
        return lambda fold_in: np.ones((fold_in.shape[0], 1)), self.item_counts[:, None].astype(np.float64)


def evaluate(
    model: Scorer,
    held_out: HeldOut,
    advance: Advance | None = None,
    resources: Resources | None = None,
    *,
    metrics: Sequence[str] = (),
    item_counts: NDArray[np.floating] | None = None,
) -> PerUser:
    """nDCG@100, Recall@20 and Recall@50 of every user with held-out items; fold-in items are never recommended.

    `metrics` names further ones: ndcg_R and recall_R with R from 1 to 100, with or without _head, _tail or _unbiased at
    the end, coverage_R and gini_R (see `Suite`). Those with an ending need `item_counts` (n,), the number of training
    users of each item; by default those that the model knows.

    Users without held-out items are left out. Memory is bounded whatever the number of users. `advance(done, users)` is
    called after each batch. Raises SolverError if a score is not finite: such a model ranks nothing; ConfigError for a
    metric that is unknown or lacks item counts, and DataError for one that no user counts for, or without any user.
    """
    suite = _suite(model, metrics, item_counts, held_out)

    def ranked(using: Resources) -> Tally:
        scorer, n = on_device(model, using.device), held_out.targets.shape[1]
        tally = Tally(suite, n)

        def work(fold_in: csr_array, targets: csr_array) -> Batch:
            return Users(suite, fold_in, targets).measure(best_items(scorer, fold_in, DEPTH).items)

        _by_batch(held_out, using, work, tally.add, advance, batch_width(scorer, n))
        return tally

    tally = with_fallback(settle(resources or Resources.here()), ranked)
    return tally.per_user(_counted(held_out) + held_out.first_user)


def evaluate_nested(
    model: Model,
    ranks: Sequence[int],
    held_out: HeldOut,
    advance: Advance | None = None,
    resources: Resources | None = None,
    *,
    metrics: Sequence[str] = (),
    item_counts: NDArray[np.floating] | None = None,
) -> dict[int, PerUser]:
    """`evaluate` for every rank of a model whose first k columns are rank k, in one pass over the users.

    `ranks` ascend to the rank of the model. The scores of a rank are those of the rank before plus a product of the
    columns between: together one product of the largest rank, and one selection of the best items for each rank.
    Raises ValueError for a model without factors.
    """
    if model.factors() is None:
        raise ValueError(f"{model!r} has no factors U and V to cut ranks from")
    suite = _suite(model, metrics, item_counts, held_out)

    def ranked(using: Resources) -> list[Tally]:
        scorer = on_device(model, using.device)
        encode, V = scorer.halves()
        tallies = [Tally(suite, model.n_items) for _ in ranks]

        def work(fold_in: csr_array, targets: csr_array) -> list[Batch]:
            users = Users(suite, fold_in, targets)
            return [users.measure(each.items) for each in best_by_rank(encode(fold_in), V, ranks, fold_in, DEPTH)]

        def add(batches: list[Batch]) -> None:
            for tally, batch in zip(tallies, batches, strict=True):
                tally.add(batch)

        _by_batch(held_out, using, work, add, advance, batch_width(scorer, model.n_items))
        return tallies

    tallies = with_fallback(settle(resources or Resources.here()), ranked)
    users = _counted(held_out) + held_out.first_user
    return {rank: tally.per_user(users) for rank, tally in zip(ranks, tallies, strict=True)}


def _suite(model: Scorer, metrics: Sequence[str], item_counts: NDArray[np.floating] | None, held_out: HeldOut) -> Suite:
    known = getattr(model, "item_counts", None) if item_counts is None else item_counts
    return Suite(metrics, known, held_out)


def _counted(held_out: HeldOut) -> NDArray[np.int64]:
    """The users with held-out items."""
    return np.flatnonzero(np.diff(held_out.targets.indptr))


def _by_batch(
    held_out: HeldOut,
    resources: Resources,
    work: Callable[[csr_array, csr_array], _Result],
    add: Callable[[_Result], None],
    advance: Advance | None,
    width: int,
) -> None:
    """Call `add` with the result of `work` on fold-in and targets of each batch of counted users, in order.

    `width` is the number of items that `work` scores at once for all users of a batch.
    As many batches run at once as there are threads, with one BLAS thread each: sparse products and selection use no
    more, and all of it runs outside Python's lock. On a device one batch after the other.
    """
    counted, threads = _counted(held_out), resources.threads
    size = max(1, min(_BATCH_USERS, _BATCH_BYTES // (threads * 8 * width)))
    if resources.device != "cpu":
        threads, size = 1, max(1, _DEVICE_BYTES // (8 * width))
    batches = [counted[start : start + size] for start in range(0, len(counted), size)]
    done = 0
    # Ctrl-C, or a model that is not finite, ends it after the running batches.
    with in_threads(threads) as mapped:
        results = mapped(lambda rows: work(held_out.fold_in[rows], held_out.targets[rows]), batches)
        for rows, result in zip(batches, results, strict=True):
            add(result)
            done += len(rows)
            if advance is not None:
                advance(done, len(counted))

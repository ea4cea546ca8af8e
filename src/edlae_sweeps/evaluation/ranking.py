"""Ranking of held-out users in batches: the metrics of one model in bounded memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Advance, HeldOut
from edlae_sweeps.evaluation.metrics import DEPTH, ndcg, recall
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

    counts: NDArray[Any]

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores, the same in every row."""
        return np.tile(self.counts, (fold_in.shape[0], 1))

    def halves(self) -> tuple[Encode, NDArray[Any]]:
        """A hidden unit that is always 1, and its weights, the counts."""
        return lambda fold_in: np.ones((fold_in.shape[0], 1)), self.counts[:, None].astype(np.float64)


@dataclass(frozen=True)
class PerUser:
    """Metrics of each user with held-out items, in the order of the split; `users` are the numbers of the split."""

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


def evaluate(
    model: Scorer, held_out: HeldOut, advance: Advance | None = None, resources: Resources | None = None
) -> PerUser:
    """nDCG@100, Recall@20 and Recall@50 of every user with held-out items; fold-in items are never recommended.

    Users without held-out items are left out. Memory is bounded whatever the number of users. `advance(done, users)` is
    called after each batch. Raises SolverError if a score is not finite: such a model ranks nothing.
    """

    def ranked(using: Resources) -> list[NDArray[np.float64]]:
        scorer = on_device(model, using.device)

        def work(fold_in: csr_array, targets: csr_array) -> NDArray[np.float64]:
            return _metrics_of(best_items(scorer, fold_in, DEPTH).items, targets)

        return _by_batch(held_out, using, work, advance, batch_width(scorer, held_out.targets.shape[1]))

    parts = with_fallback(settle(resources or Resources.here()), ranked)
    return PerUser(_counted(held_out) + held_out.first_user, *np.concatenate(parts, axis=1))


def evaluate_nested(
    model: Model,
    ranks: Sequence[int],
    held_out: HeldOut,
    advance: Advance | None = None,
    resources: Resources | None = None,
) -> dict[int, PerUser]:
    """`evaluate` for every rank of a model whose first k columns are rank k, in one pass over the users.

    `ranks` ascend to the rank of the model. The scores of a rank are those of the rank before plus a product of the
    columns between: together one product of the largest rank, and one selection of the best items for each rank.
    Raises ValueError for a model without factors.
    """
    if model.factors() is None:
        raise ValueError(f"{model!r} has no factors U and V to cut ranks from")

    def ranked(using: Resources) -> list[list[NDArray[np.float64]]]:
        scorer = on_device(model, using.device)
        encode, V = scorer.halves()

        def work(fold_in: csr_array, targets: csr_array) -> list[NDArray[np.float64]]:
            best = best_by_rank(encode(fold_in), V, ranks, fold_in, DEPTH)
            return [_metrics_of(each.items, targets) for each in best]

        return _by_batch(held_out, using, work, advance, batch_width(scorer, model.n_items))

    users = _counted(held_out) + held_out.first_user
    by_rank = zip(*with_fallback(settle(resources or Resources.here()), ranked), strict=True)
    return {rank: PerUser(users, *np.concatenate(parts, axis=1)) for rank, parts in zip(ranks, by_rank, strict=True)}


def _counted(held_out: HeldOut) -> NDArray[np.int64]:
    """The users with held-out items."""
    return np.flatnonzero(np.diff(held_out.targets.indptr))


def _by_batch(
    held_out: HeldOut,
    resources: Resources,
    work: Callable[[csr_array, csr_array], _Result],
    advance: Advance | None,
    width: int,
) -> list[_Result]:
    """The results of `work` on fold-in and targets of each batch of counted users, in order.

    `width` is the number of items that `work` scores at once for all users of a batch.
    As many batches run at once as there are threads, with one BLAS thread each: sparse products and selection use no
    more, and all of it runs outside Python's lock. On a device one batch after the other.
    """
    counted, threads = _counted(held_out), resources.threads
    size = max(1, min(_BATCH_USERS, _BATCH_BYTES // (threads * 8 * width)))
    if resources.device != "cpu":
        threads, size = 1, max(1, _DEVICE_BYTES // (8 * width))
    batches = [counted[start : start + size] for start in range(0, len(counted), size)]
    parts: list[_Result] = []
    done = 0
    # Ctrl-C, or a model that is not finite, ends it after the running batches.
    with in_threads(threads) as mapped:
        results = mapped(lambda rows: work(held_out.fold_in[rows], held_out.targets[rows]), batches)
        for rows, result in zip(batches, results, strict=True):
            parts.append(result)
            done += len(rows)
            if advance is not None:
                advance(done, len(counted))
    return parts


def _metrics_of(top: NDArray[np.int64], targets: csr_array) -> NDArray[np.float64]:
    """The metrics (3, users) of the best items (users, ≤ 100), best first."""
    users, n = targets.shape
    row, column = targets.nonzero()
    wanted = np.diff(targets.indptr)
    # Positions in the flattened matrix, with one at the end that no item has.
    held_out = np.append(np.sort(column + n * row.astype(np.int64)), users * n)
    best = top + n * np.arange(users)[:, None]
    hits = held_out[np.searchsorted(held_out, best)] == best
    return np.stack([ndcg(hits, wanted), recall(hits, wanted, 20), recall(hits, wanted, 50)])

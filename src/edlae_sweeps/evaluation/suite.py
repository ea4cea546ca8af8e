"""The metrics of an evaluation: batch by batch, then all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import HeldOut
from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.evaluation.metrics import Gains, coverage, gini, head, inverse_propensity, ndcg, recall
from edlae_sweeps.evaluation.names import DEPTH, METRICS, Metric, View


@dataclass(frozen=True)
class PerUser:
    """Metrics of each user with held-out items, in the order of the split; `users` are the numbers of the split.

    values   name → (users,), NaN for a user who does not count: without held-out items in the group of a metric
    overall  name → value of the metrics that no single user has, coverage and Gini
    """

    users: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    overall: Mapping[str, float]

    def summary(self) -> dict[str, float]:
        """Mean and standard error std/√users (ddof 0) of each metric over the users that count, then `overall`."""
        result = {}
        for name, values in self.values.items():
            counted = values[~np.isnan(values)]
            result[name] = float(counted.mean())
            result[f"{name}_se"] = float(counted.std() / np.sqrt(len(counted)))
        return {**result, **self.overall}

    def arrays(self) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
        """`users`, and the values of each metric."""
        return {"users": self.users, **self.values}


@dataclass(frozen=True)
class Batch:
    """The metrics of some users (metrics, users), and what they are recommended (users, ≤ 100), −1 for nothing."""

    values: NDArray[np.float64]
    recommended: NDArray[np.int64] | None


class Suite:
    """The metrics that are always measured and those of `names`, in this order and each once.

    A group of items (`_head`, `_tail`) restricts the held-out items, not the ranking; users without a held-out item in
    it don't count. `_unbiased` weights the gain of a held-out item by its inverse propensity, and normalises by the
    ranking that gains most. Both need `item_counts` (n,), the number of training users of each item. Coverage and Gini
    are of the recommendations to all users with held-out items.

    Raises ConfigError for an unknown name, or without `item_counts` where they are needed, and DataError if no user
    has held-out items, or none that count for a metric.
    """

    def __init__(self, names: Sequence[str], item_counts: NDArray[np.floating] | None, held_out: HeldOut) -> None:
        metrics = [Metric.parse(name) for name in dict.fromkeys((*METRICS, *names))]
        self.by_user = [metric for metric in metrics if metric.by_user]
        self.overall = [metric for metric in metrics if not metric.by_user]
        self._weights: dict[View, NDArray[np.float64]] = {}
        if not held_out.targets.nnz:
            raise DataError("no user has held-out items; there is nothing to evaluate")
        for metric in self.by_user:
            if metric.view and metric.view not in self._weights:
                weights = self._weights[metric.view] = _weights(metric, item_counts)
                if not weights[held_out.targets.indices].any():
                    raise DataError(f"{metric.name}: no user has held-out items that count; leave this metric out")

    def weights(self, view: View) -> NDArray[np.float64] | None:
        """The gain (n,) of each item if it is held out; None if all gain 1."""
        return self._weights.get(view)


class Users:
    """A batch of users, with what their rankings are measured against."""

    def __init__(self, suite: Suite, fold_in: csr_array, targets: csr_array) -> None:
        self._suite, (users, n) = suite, targets.shape
        row, column = targets.nonzero()
        # Positions in the flattened matrix, with one at the end that no item has.
        self._held_out = np.append(np.sort(column + n * row.astype(np.int64)), users * n)
        self._first = n * np.arange(users)[:, None]
        self._best = {view: _best(targets, suite.weights(view)) for view in {m.view for m in suite.by_user}}
        # Items of the fold-in, which come last, are no recommendations.
        self._left = n - np.diff(fold_in.indptr)[:, None]

    def measure(self, top: NDArray[np.int64]) -> Batch:
        """The metrics of these users from their best items `top` (users, ≤ 100), best first."""
        places = top + self._first
        hits = self._held_out[np.searchsorted(self._held_out, places)] == places
        gains: dict[View, Gains] = {}
        for view in self._best:
            weights = self._suite.weights(view)
            gains[view] = hits if weights is None else hits * weights[top]
        values = [
            (ndcg if metric.kind == "ndcg" else recall)(gains[metric.view], self._best[metric.view], metric.depth)
            for metric in self._suite.by_user
        ]
        return Batch(np.stack(values), self._recommended(top) if self._suite.overall else None)

    def _recommended(self, top: NDArray[np.int64]) -> NDArray[np.int64]:
        """The best items down to the largest depth that is asked for."""
        first = top[:, : max(metric.depth for metric in self._suite.overall)]
        return np.where(np.arange(first.shape[1]) < self._left, first, -1)


class Tally:
    """The batches of one model, added up: memory grows by the values of a user, and holds n counts for each depth."""

    def __init__(self, suite: Suite, n_items: int) -> None:
        self._suite, self._parts = suite, list[NDArray[np.float64]]()
        self._counts = {metric.depth: np.zeros(n_items, dtype=np.int64) for metric in suite.overall}

    def add(self, batch: Batch) -> None:
        """Add the users of the next batch."""
        self._parts.append(batch.values)
        if batch.recommended is not None:
            for depth, counts in self._counts.items():
                items = batch.recommended[:, :depth]
                np.add.at(counts, items[items >= 0], 1)

    def per_user(self, users: NDArray[np.int64]) -> PerUser:
        """All of it, for the users with these numbers."""
        values = zip(self._suite.by_user, np.concatenate(self._parts, axis=1), strict=True)
        overall = {
            metric.name: (coverage if metric.kind == "coverage" else gini)(self._counts[metric.depth])
            for metric in self._suite.overall
        }
        return PerUser(users, {metric.name: row for metric, row in values}, overall)


def _weights(metric: Metric, item_counts: NDArray[np.floating] | None) -> NDArray[np.float64]:
    """The gain (n,) of each item if it is held out."""
    if item_counts is None:
        raise ConfigError(
            f"metrics={metric.name}: pass item_counts, the number of training users of each item, which the model does "
            "not know"
        )
    if metric.view == "unbiased":
        return inverse_propensity(item_counts)
    in_head = head(item_counts)
    return (in_head if metric.view == "head" else ~in_head).astype(np.float64)


def _best(targets: csr_array, weights: NDArray[np.float64] | None) -> Gains:
    """The gains (users, 100) of the held-out items, largest first, then zeros."""
    wanted = np.diff(targets.indptr)
    if weights is None:
        held_out: Gains = np.arange(DEPTH) < wanted[:, None]
        return held_out
    row, gain = np.repeat(np.arange(len(wanted)), wanted), weights[targets.indices]
    order = np.lexsort((-gain, row))
    place = np.arange(len(row)) - targets.indptr[row]
    kept = place < DEPTH
    best = np.zeros((len(wanted), DEPTH))
    best[row[kept], place[kept]] = gain[order][kept]
    return best

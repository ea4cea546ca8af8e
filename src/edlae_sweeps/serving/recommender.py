"""Recommendations by name from a model and the history of its users: for one basket, or for a table of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.linalg import top_items
from edlae_sweeps.models import Model, Recommendation
from edlae_sweeps.serving.history import UserHistory
from edlae_sweeps.serving.names import as_name, as_names, listed

# Items of the basket that explain one recommendation.
_REASONS = 3


class Basket(NamedTuple):
    """One request: the names of items, a user of the data, or both; the user's items are then joined to the basket."""

    items: Iterable[Any] | None = None
    user: Any = None


class Recommended(NamedTuple):
    """A recommended item.

    item     its name, or its index if the model has no names
    score    the model's score; the number of training users where popular items stand in
    rank     1 for the best
    because  (item, contribution) of the basket's items that add most to the score, if that was asked for
    note     what the basket lacks: unknown names, or why these are the popular items; else empty
    """

    item: Any
    score: float
    rank: int
    because: tuple[tuple[Any, float], ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False)
class Recommender:
    """A model and, if it was kept with it, the history of the users of its data."""

    model: Model
    users: UserHistory | None = None

    def recommend(
        self,
        items: Iterable[Any] | None = None,
        user: Any = None,
        k: int = 10,
        exclude_known: bool = True,
        explain: bool = False,
    ) -> list[Recommended]:
        """The k best items for a basket of items, for a user of the data, or for both together, best first.

        Items that the basket or the user has are left out unless `exclude_known` is false. Unknown items are ignored,
        and a basket without a known item gets the most popular items: the note says so. `explain` adds the items of
        the basket that contributed most.

        Raises ConfigError if neither items nor user is given, k < 1, or the model can't explain; DataError if the model
        kept no users or no item counts and needs them.
        """
        table = self.recommend_table([Basket(items, user)], k, exclude_known, explain)
        because = table.get("because", [()] * len(table["item"]))
        lines = zip(table["item"], table["score"], table["rank"], because, table["note"], strict=True)
        return [Recommended(*line) for line in lines]

    def similar(self, item: Any, k: int = 10) -> list[Recommendation]:
        """The k items that are recommended for the same baskets as `item`, by cosine, best first.

        Raises DataError for an unknown item, ConfigError if k < 1.
        """
        _check_k(k)
        return self.model.similar(as_name(item, self.model.item_names), k)

    def recommend_table(
        self, rows: Sequence[Basket], k: int = 10, exclude_known: bool = True, explain: bool = False
    ) -> dict[str, list[Any]]:
        """`recommend` for many baskets at once: a table as columns of equal length, one line a recommended item.

        row   the number of the basket in `rows`, from 0
        item, score, rank, note, and with `explain` because: as in Recommended

        Memory beside the table is bounded. Raises as `recommend`; the message names the row.
        """
        _check_k(k)
        baskets = self._known(rows)
        columns, scores = self._best([known for known, _ in baskets], k, exclude_known)
        row, place = np.nonzero(columns >= 0)
        items = columns[row, place]
        table: dict[str, list[Any]] = {
            "row": row.tolist(),
            "item": (items if self.model.item_names is None else self.model.item_names[items]).tolist(),
            "score": scores[row, place].tolist(),
            "rank": (place + 1).tolist(),
        }
        if explain:
            because = [self._reasons(known, line) for (known, _), line in zip(baskets, columns, strict=True)]
            table["because"] = [reasons for lines in because for reasons in lines]
        table["note"] = [baskets[number][1] for number in table["row"]]
        return table

    def _known(self, rows: Sequence[Basket]) -> list[tuple[NDArray[np.int64], str]]:
        """The columns of each basket, ascending, and a note about what it lacks."""
        for number, basket in enumerate(rows):
            if basket.items is None and basket.user is None:
                raise ConfigError(f"row {number}: give items, a user, or both")
        known = self.model.item_names
        baskets = [as_names(() if basket.items is None else basket.items, known) for basket in rows]
        # All names of the table at once: a search of its own for each basket takes longer than the rest.
        columns = iter(self.model.find([name for names in baskets for name in names]).tolist())
        found = [list(zip(names, columns, strict=False)) for names in baskets]
        return [self._row(number, *row) for number, row in enumerate(zip(rows, found, strict=True))]

    def _row(self, number: int, basket: Basket, found: list[tuple[Any, int]]) -> tuple[NDArray[np.int64], str]:
        """The columns of one basket, given the column of each name, and the note."""
        notes, columns = [], np.array(sorted({column for _, column in found if column >= 0}), np.int64)
        if unknown := list(dict.fromkeys(name for name, column in found if column < 0)):
            notes.append(f"unknown items, ignored: {listed(unknown)}")
        if basket.user is not None:
            if self.users is None:
                raise DataError(f"user={basket.user}: the model was kept without the users of its data; give items")
            history = self.users.columns(as_name(basket.user, self.users.names))
            if history is None:
                notes.append(f"unknown user: {basket.user}")
            else:
                columns = np.union1d(columns, history)
        if not len(columns):
            if self.model.item_counts is None:
                raise DataError(f"row {number}: the basket has no item that the model knows; add one")
            notes.append("nothing known to start from: these are the most popular items")
        return columns, "; ".join(notes)

    def _best(
        self, baskets: Sequence[NDArray[np.int64]], k: int, exclude_known: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Columns and scores (rows, min(k, n)) as of Model.recommend_many; of popular items for an empty basket."""
        lengths = np.array([len(basket) for basket in baskets], np.int64)
        indices = np.concatenate([*baskets, np.empty(0, np.int64)])
        ones, indptr = np.ones(len(indices), self.model.dtype), np.concatenate([[0], np.cumsum(lengths)])
        matrix = csr_array((ones, indices, indptr), shape=(len(baskets), self.model.n_items))
        columns, best = self.model.recommend_many(matrix, k, exclude_known)
        scores = best.astype(np.float64)
        if self.model.item_counts is not None and not lengths.all():
            popular = top_items(self.model.item_counts[None], k)[0]
            columns[lengths == 0], scores[lengths == 0] = popular, self.model.item_counts[popular]
        return columns, scores

    def _reasons(self, known: NDArray[np.int64], line: NDArray[np.int64]) -> list[tuple[tuple[Any, float], ...]]:
        """For each recommended column of a line, the items of the basket that add most to its score."""
        columns = line[line >= 0]
        contributions = self.model.contributions(known, columns)
        most = np.argsort(-contributions, axis=0, kind="stable")[:_REASONS]
        names = known if self.model.item_names is None else self.model.item_names[known]
        return [
            tuple((names[i].item(), float(contributions[i, j])) for i in most[:, j] if contributions[i, j] > 0)
            for j in range(len(columns))
        ]


def _check_k(k: int) -> None:
    if type(k) is not int or k < 1:
        raise ConfigError(f"k={k}: choose a whole number from 1")

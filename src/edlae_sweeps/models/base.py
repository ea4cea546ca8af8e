"""What every model can do: score, recommend, find similar items, save itself, and describe its fit."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram, write_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.linalg import top_items
from edlae_sweeps.models.best import Encode, best_columns
from edlae_sweeps.models.folder import write_folder
from edlae_sweeps.models.names import NameIndex
from edlae_sweeps.models.records import Record

_log = logging.getLogger(__name__)
# Unknown names that a message lists.
_SHOWN = 5


class Recommendation(NamedTuple):
    """An item, by its name or its index, and its score."""

    item: Any
    score: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Model(ABC):
    """Scores all n items for a user from the items that the user has.

    `item_names` (n,) are the names of the items; without them an item goes by its index. `item_counts` (n,) are their
    numbers of training users. `record` says how the model was fitted, and is not saved.
    """

    item_names: NDArray[Any] | None = None
    item_counts: NDArray[np.float64] | None = None
    record: Record | None = None

    @property
    @abstractmethod
    def n_items(self) -> int:
        """n, the number of items that the model knows."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type of the scores."""

    @abstractmethod
    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """Scores (users, n) of every item, a new array, from fold-in interactions (users, n)."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that the model consists of, by name: what `save` writes beside `items`."""

    @abstractmethod
    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Inner products (n,) of the scores of one item with those of every item, and the squared norms (n,) of all.

        The scores of an item are a vector over the n baskets of a single item: a column of W if scores are X W.
        """

    def halves(self) -> tuple[Encode, NDArray[Any]] | None:
        """An encoder to hidden units (users, k) and V (n, k), where scores are their product; None for other models."""
        return None

    def factors(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """U and V (n, k) of a model with scores X U Vᵀ; None for other models."""
        return None

    @abstractmethod
    def training_metrics(self, gram: Gram, penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """`squared_error`, ‖X − f(X)‖², and `objective`, Eq. 7, where it is defined, from G (n, n) and diag Λ (n,)."""

    @abstractmethod
    def contributions(self, basket: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """What each column of a basket adds to the score of each column of `items`: (basket, items), entries of W.

        Raises ConfigError for a model whose scores are no sum over the basket.
        """

    def described(self, item_names: NDArray[Any] | None, item_counts: NDArray[np.float64] | None) -> Self:
        """The same model with these names and training counts of its items."""
        return replace(self, item_names=item_names, item_counts=item_counts)

    def named(self, item_names: NDArray[Any] | None) -> Self:
        """The same model with these names of its items."""
        return replace(self, item_names=item_names)

    @property
    def size(self) -> int:
        """How many weights the model consists of."""
        # Single values, such as the kind of activation, are no weights.
        return sum(array.size for array in self.arrays().values() if array.ndim)

    def recommend_many(
        self, rows: csr_array, k: int = 10, exclude_known: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """The k best columns for each row of (m, n), best first, and their scores: two arrays (m, min(k, n)).

        Ties go to the lower column. Items of the row are left out unless `exclude_known` is false; a row with fewer
        than k other items ends with columns −1 of score −∞. Memory is bounded whatever m is.

        Raises ValueError if k < 1, SolverError if scores are not finite.
        """
        if k < 1:
            raise ValueError(f"k={k}: choose 1 or more")
        return best_columns(self, self.dtype, rows, min(k, self.n_items), exclude_known)

    def recommend(self, basket: Iterable[Any], k: int = 10, exclude_known: bool = True) -> list[Recommendation]:
        """The k items with the largest scores for a user who has the items of `basket`, best first.

        Items go by name if the model has names, else by index. Items of the basket are left out unless
        `exclude_known` is false. Unknown items are ignored with a warning. A basket without a known item gets the
        `popular` items, with a warning.

        Raises DataError if the basket holds no known item and the model has no `item_counts`, ValueError if k < 1.
        """
        columns, unknown = self.columns(basket)
        if unknown:
            _log.warning("basket: %d unknown item(s) ignored: %s", len(unknown), _listed(unknown))
        if not len(columns):
            reason = f"the model has none of the items {_listed(unknown)}" if unknown else "it is empty"
            if self.item_counts is None:
                raise DataError(f"basket: {reason}; pass at least one item that the model knows")
            _log.warning("basket: %s; these are the most popular items", reason)
            return self.popular(k)
        row = csr_array((np.ones(len(columns), self.dtype), columns, [0, len(columns)]), shape=(1, self.n_items))
        items, scores = self.recommend_many(row, k, exclude_known)
        return self._named(items[0], scores[0])

    def popular(self, k: int = 10) -> list[Recommendation]:
        """The k items with the most training users, best first, with these counts as scores.

        Raises DataError if the model has no `item_counts`, ValueError if k < 1.
        """
        if k < 1:
            raise ValueError(f"k={k}: choose 1 or more")
        if self.item_counts is None:
            raise DataError("the model has no counts of its items: fit it again to know which are popular")
        columns = top_items(self.item_counts[None], k)[0]
        return self._named(columns, self.item_counts[columns])

    def similar(self, item: Any, k: int = 10) -> list[Recommendation]:
        """The k items that the model recommends for the same baskets as `item`, by cosine of their scores, best first.

        Raises DataError if the model does not know the item, ValueError if k < 1.
        """
        if k < 1:
            raise ValueError(f"k={k}: choose 1 or more")
        column = int(self.find([item])[0])
        if column < 0:
            raise DataError(f"similar: the model has none of the items {item}")
        products, squares = self.overlaps(column)
        # Rounding can make the squared norm of a vanishing column negative.
        scale = np.sqrt(np.maximum(0, squares * squares[column]))
        cosines = np.divide(products, scale, out=np.zeros(self.n_items), where=scale > 0)
        cosines[column] = -np.inf
        columns = top_items(cosines[None], k)[0]
        columns = columns[columns != column]
        return self._named(columns, cosines[columns])

    def _named(self, columns: NDArray[np.int64], scores: NDArray[Any]) -> list[Recommendation]:
        """Columns with their scores; column −1 is no item."""
        known = columns >= 0
        columns = columns[known]
        names = columns if self.item_names is None else self.item_names[columns]
        return [Recommendation(*pair) for pair in zip(names.tolist(), scores[known].tolist(), strict=True)]

    def save(self, path: str | Path) -> Path:
        """Write the model to `path`, whole or not at all and without pickle; return the path. `load_model` reads it.

        A path that ends in .npz is one file. Any other path is a folder with a .npy file an array, which `load_model`
        maps into memory; an existing folder must be empty or hold a model, which is replaced. Raises DataError if
        that fails.
        """
        path, arrays = Path(path), dict(self.arrays())
        if self.item_names is not None:
            arrays["items"] = self.item_names
        if self.item_counts is not None:
            arrays["item_counts"] = self.item_counts
        if path.suffix == ".npz":
            write_arrays(path, arrays, "the path")
        else:
            write_folder(path, type(self).__name__, arrays)
        return path

    def columns(self, basket: Iterable[Any]) -> tuple[NDArray[np.int64], list[Any]]:
        """The distinct columns of the known items of a basket, ascending, and its unknown items."""
        if isinstance(basket, str):
            raise DataError(f"basket={basket!r}: pass a list of items, such as [{basket!r}]")
        items = list(dict.fromkeys(basket))
        columns = self.find(items)
        unknown = [item for item, column in zip(items, columns.tolist(), strict=True) if column < 0]
        return np.sort(columns[columns >= 0]), unknown

    def find(self, items: Sequence[Any]) -> NDArray[np.int64]:
        """The column of each item, −1 for an unknown one."""
        return self._index.find(items)

    @cached_property
    def _index(self) -> NameIndex:
        """Finds the columns of items."""
        return NameIndex(np.arange(self.n_items) if self.item_names is None else self.item_names)

    def __repr__(self) -> str:
        parts = [f"{self.n_items:,} items", *self._shape(), str(self.dtype)]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _shape(self) -> list[str]:
        """What `repr` says beside the number of items and the type."""
        return []


def _listed(items: Sequence[Any]) -> str:
    """The first of these items, for a message."""
    return ", ".join(map(str, items[:_SHOWN])) + (", …" if len(items) > _SHOWN else "")

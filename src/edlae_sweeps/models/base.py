"""What every model can do: score, recommend, find similar items, save itself, and describe its fit."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import write_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.models.records import Record

_log = logging.getLogger(__name__)
FILE_NAME = "model.npz"
# Unknown names that a message lists.
_SHOWN = 5


class Recommendation(NamedTuple):
    """An item, by its name or its index, and its score."""

    item: Any
    score: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Model(ABC):
    """Scores all n items for a user from the items that the user has.

    `item_names` (n,) are the names of the items; without them an item goes by its index. `record` says how the model
    was fitted, and is not saved.
    """

    item_names: NDArray[Any] | None = None
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

    def factors(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """U and V (n, k) of a model with scores X U Vᵀ; None for other models."""
        return None

    @abstractmethod
    def training_metrics(self, gram: NDArray[Any], penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """`squared_error`, ‖X − f(X)‖², and `objective`, Eq. 7, where it is defined, from G (n, n) and diag Λ (n,)."""

    def named(self, item_names: NDArray[Any] | None) -> Self:
        """The same model with these names of its items."""
        return replace(self, item_names=item_names)

    @property
    def size(self) -> int:
        """How many weights the model consists of."""
        # Single values, such as the kind of activation, are no weights.
        return sum(array.size for array in self.arrays().values() if array.ndim)

    def recommend(self, basket: Sequence[Any], k: int = 10, exclude_known: bool = True) -> list[Recommendation]:
        """The k items with the largest scores for a user who has the items of `basket`, best first.

        Items go by name if the model has names, else by index. Items of the basket are left out unless
        `exclude_known` is false. Unknown items are ignored with a warning.

        Raises DataError if the basket holds no known item, ValueError if k < 1.
        """
        if k < 1:
            raise ValueError(f"k={k}: choose 1 or more")
        columns = self._columns(basket)
        row = csr_array(
            (np.ones(len(columns), self.dtype), (np.zeros(len(columns), int), columns)), shape=(1, self.n_items)
        )
        scores = self.scores(row)[0]
        if exclude_known:
            scores[columns] = -np.inf
        return self._best(scores, min(k, self.n_items - len(columns) * exclude_known))

    def similar(self, item: Any, k: int = 10) -> list[Recommendation]:
        """The k items that the model recommends for the same baskets as `item`, by cosine of their scores, best first.

        Raises DataError if the model does not know the item, ValueError if k < 1.
        """
        if k < 1:
            raise ValueError(f"k={k}: choose 1 or more")
        (column,) = self._columns([item])
        products, squares = self.overlaps(column)
        # Rounding can make the squared norm of a vanishing column negative.
        scale = np.sqrt(np.maximum(0, squares * squares[column]))
        cosines = np.divide(products, scale, out=np.zeros(self.n_items), where=scale > 0)
        cosines[column] = -np.inf
        return self._best(cosines, min(k, self.n_items - 1))

    def _best(self, scores: NDArray[Any], k: int) -> list[Recommendation]:
        """The k items with the largest scores; ties go to the lower index."""
        names = np.arange(self.n_items) if self.item_names is None else self.item_names
        columns = np.argsort(-scores, kind="stable")[:k]
        return [Recommendation(names[column].item(), float(scores[column])) for column in columns]

    def save(self, path: str | Path) -> Path:
        """Write the model to `path`, an npz file without pickle, whole or not at all; return the file's path.

        If `path` is a folder, the file is model.npz in it. `load_model` reads it. Raises DataError if that fails.
        """
        target = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
        names = {} if self.item_names is None else {"items": self.item_names}
        write_arrays(target, {**self.arrays(), **names}, "the path")
        return target

    def _columns(self, basket: Sequence[Any]) -> NDArray[np.int64]:
        """The distinct columns of the known items of a basket."""
        if isinstance(basket, str):
            raise DataError(f"basket={basket!r}: pass a list of items, such as [{basket!r}]")
        columns = {item: self._index.get(item) for item in basket}
        if unknown := [item for item, column in columns.items() if column is None]:
            shown = ", ".join(map(str, unknown[:_SHOWN])) + (", …" if len(unknown) > _SHOWN else "")
            if len(unknown) == len(columns):
                raise DataError(f"basket: the model has none of the items {shown}")
            _log.warning("basket: %d unknown item(s) ignored: %s", len(unknown), shown)
        if not columns:
            raise DataError("basket: it is empty; pass at least one item")
        return np.array(sorted(column for column in columns.values() if column is not None), dtype=np.int64)

    @cached_property
    def _index(self) -> Mapping[Any, int]:
        """Item → column."""
        names = range(self.n_items) if self.item_names is None else self.item_names.tolist()
        return {name: column for column, name in enumerate(names)}

    def __repr__(self) -> str:
        parts = [f"{self.n_items:,} items", *self._shape(), str(self.dtype)]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _shape(self) -> list[str]:
        """What `repr` says beside the number of items and the type."""
        return []

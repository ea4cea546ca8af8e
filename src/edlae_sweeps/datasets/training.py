"""The data that a method fits: X, and its Gram matrix on demand."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets.base import fixed_width
from edlae_sweeps.datasets.gram import gram_matrix
from edlae_sweeps.datasets.products import Gram, GramProducts, Part, item_parts
from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.linalg import Array, backend_for, operator_of
from edlae_sweeps.resources import Device, Resources


class TrainingData:
    """Training matrix X (m, n), users × items, with G = XᵀX (n, n): an array computed on first use, or its products.

    `X` is any SciPy sparse matrix or array, or a dense array. A canonical CSR matrix in `dtype` is not copied.
    `item_names` (n,) must be unique. `gram` makes or loads G, for example from the cache; by default it is computed.
    With `by_products` G is only multiplied with, and nothing of n² is made.

    Raises DataError if X is not a numeric matrix with finite values or if the names don't fit it, and ConfigError if
    `dtype` is neither float32 nor float64.
    """

    def __init__(
        self,
        X: Any,
        dtype: DTypeLike = "float32",
        item_names: Sequence[Any] | NDArray[Any] | None = None,
        gram: Callable[[], NDArray[Any]] | None = None,
        by_products: bool = False,
    ) -> None:
        self._dtype = np.dtype(dtype)
        if self._dtype not in (np.float32, np.float64):
            raise ConfigError(f"dtype={self._dtype}: choose float32 or float64")
        self._X = _csr(X, self._dtype)
        self._item_names = None if item_names is None else _unique_names(item_names, self.n_items)
        self._make_gram = gram
        self._by_products = by_products
        self._operator: Gram | None = None
        # By device: one entry, which copies with another operator share.
        self._on_device: dict[Device, Array] = {}

    @property
    def X(self) -> csr_array:  # noqa: N802 - a matrix
        """X (m, n) in `dtype`, without duplicates or stored zeros. Read only: it may share the caller's memory."""
        return self._X

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type of X and G."""
        return self._dtype

    @property
    def item_names(self) -> NDArray[Any] | None:
        """Names of the items (n,), or None."""
        return self._item_names

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n): users and items."""
        m, n = self._X.shape
        return int(m), int(n)

    @property
    def n_items(self) -> int:
        """n, the number of items."""
        return self.shape[1]

    @property
    def events(self) -> int:
        """The number of non-zero entries of X."""
        return int(self._X.nnz)

    @property
    def by_products(self) -> bool:
        """Whether G is given as products alone."""
        return self._by_products

    def with_products(self) -> "TrainingData":
        """The same data, with G as products alone."""
        return TrainingData(self._X, self._dtype, self._item_names, by_products=True)

    def with_operator(self, operator: Gram) -> "TrainingData":
        """The same data and what was made of them so far, with `operator` as G where that is only multiplied with."""
        data = copy(self)
        data._operator = operator
        return data

    def operator(self, resources: Resources) -> Gram:
        """G as an operator on arrays of NumPy: the array, or its products on the threads or the device."""
        if self._operator is not None:
            return self._operator
        if self._by_products:
            return self.products(resources.threads)
        operator: Gram = operator_of(self.gram_on(resources.device))
        return operator

    def gram_on(self, device: Device) -> Array:
        """G on a device, made there from X on first use and kept; on the CPU, `gram`."""
        if device == "cpu":
            return self.gram
        self._check_dense()
        if device not in self._on_device:
            self.leave_device()
            self._on_device[device] = backend_for(device).gram(self._X, self._dtype)
        return self._on_device[device]

    def leave_device(self) -> None:
        """Forget G on a device. Its memory is free once no state uses it."""
        self._on_device.clear()

    def products(self, threads: int) -> GramProducts:
        """G as products on this number of threads, whether or not there is the array."""
        return GramProducts(self._X, self._by_item, self.item_counts, threads)

    @cached_property
    def _by_item(self) -> list[Part]:
        return item_parts(self._X)

    @cached_property
    def gram(self) -> NDArray[Any]:
        """G = XᵀX (n, n) in `dtype` and C order, made on first use and kept.

        Raises ConfigError for data with G as products.
        """
        self._check_dense()
        gram = gram_matrix(self._X, self._dtype) if self._make_gram is None else self._make_gram()
        if gram.shape != (self.n_items, self.n_items):
            raise ValueError(f"gram has shape {gram.shape}, but X has {self.n_items} items")
        return np.ascontiguousarray(gram, dtype=self._dtype)

    @cached_property
    def item_counts(self) -> NDArray[np.float64]:
        """The diagonal of G (n,), computed from X alone: for a binary X, the number of users of each item."""
        squares = np.square(self._X.data, dtype=np.float64)
        sums = np.bincount(self._X.indices, weights=squares, minlength=self.n_items)
        return sums.astype(np.float64, copy=False)

    def _check_dense(self) -> None:
        if self._by_products:
            raise ConfigError("gram=products: this needs G as a dense array; choose gram=dense")

    def __repr__(self) -> str:
        """Sizes and type, without the arrays."""
        users, items = self.shape
        kind = "items" if self._item_names is None else "named items"
        return f"TrainingData({users} users, {items} {kind}, {self.events} events, {self._dtype})"


def _csr(X: Any, dtype: np.dtype[Any]) -> csr_array:
    """X as a canonical CSR array in `dtype`; the caller's arrays are never modified."""
    given = X if hasattr(X, "shape") and hasattr(X, "dtype") else np.asarray(X)
    if len(given.shape) != 2:
        raise DataError(f"X has shape {tuple(given.shape)}: give a matrix of users × items")
    if given.dtype.kind not in "biuf":
        raise DataError(f"X holds {given.dtype}: give numbers")
    # A value too large for `dtype` becomes infinite and is refused below.
    with np.errstate(over="ignore"):
        matrix = csr_array(given, dtype=dtype, copy=False)
    if not np.isfinite(matrix.data).all():
        raise DataError(f"X has values that are not finite in {dtype}: remove or rescale them")
    if not matrix.has_canonical_format or not matrix.data.all():
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    return matrix


def _unique_names(item_names: Sequence[Any] | NDArray[Any], n_items: int) -> NDArray[Any]:
    """`item_names` as an array of strings or numbers (n,)."""
    names = fixed_width(np.asarray(item_names))
    if names.ndim != 1:
        raise DataError(f"item_names has shape {names.shape}: give a flat list")
    if len(names) != n_items:
        raise DataError(f"item_names has {len(names)} names for {n_items} items: give one per item")
    values, counts = np.unique(names, return_counts=True)
    if len(values) < n_items:
        raise DataError(f"item_names has {values[counts > 1][0]!s} more than once: give each item its own name")
    return names

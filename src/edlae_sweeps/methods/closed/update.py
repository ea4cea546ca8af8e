"""The full-rank EDLAE after users came or left, without another inverse (Woodbury; Dyn-EASE 2022). Exact.

With X (r, n) the rows of these users, + if they come and − if they leave:

    A' = A ± ZᵀZ,  ZᵀZ = XᵀX + p/(1−p)·dMat(diag XᵀX)     Z (q, t) has the t items of these users alone
    C' = C ∓ WᵀW,  W = L⁻¹ZC,  LLᵀ = I ± ZCZᵀ             W (q, n)
    d' = 1 ⊘ diag C',  B' = I − C'·dMat(d')

C is in the model: C_ij = −B_ij / d_j off the diagonal, and 1 / d_j on it.
"""

from dataclasses import replace
from logging import getLogger
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import DataError, SolverError
from edlae_sweeps.linalg import Factor, backend_of, semidefinite_root
from edlae_sweeps.methods.base import Matrix, Vector
from edlae_sweeps.methods.shared import check_dropout, penalty
from edlae_sweeps.models import FullRank, Model
from edlae_sweeps.models.objective import row_blocks
from edlae_sweeps.resources import Resources

_log = getLogger(__name__)
Sign = Literal[1, -1]
# Columns of ZC that are computed at once.
_COLUMNS = 512
# The diagonal of B is zero for EDLAE, but for the rounding of 1 − C_jj·d_j.
_ZERO = 1e-12
# Counts are sums of squares; this share of one is rounding.
_ROUNDING = 1e-9


def update(
    model: Model, X: Matrix, *, dropout: float, remove: bool = False, resources: Resources | None = None
) -> FullRank:
    """The model that a fit to all users gives, from `model` and the users who came, or left if `remove`.

    model    full-rank EDLAE or EASE: `Closed(...).fit(..., rank="full")`, loaded or updated ones too; not changed
    X        (r, n), the rows of these users: what `fit` takes. A new item needs a new fit
    dropout  p of the fit: Λ contains the counts, so a wrong p gives a wrong model. λ stays as it is

    The rank q of the change is at most r if p = 0; else it is t, the number of items that these users have. It takes
    n²q + q²n + q³/3 flops, and 2qtn more if Z is dense (p > 0, or r > t), against n³ of an inverse: above q = n/3 a new
    fit may be quicker. Memory: the new B, q×n numbers, and two or three q×q. Each update adds its own rounding.

    Raises DataError if X does not fit the model or if the model is no EDLAE, ConfigError for p outside [0, 1), and
    SolverError if A' is not positive definite, because users leave who were not there.
    """
    check_dropout(dropout)
    edlae = _edlae(model)
    users = TrainingData(X, edlae.dtype)
    if users.n_items != edlae.n_items:
        raise DataError(
            f"X has {users.n_items} items, but the model has {edlae.n_items}: give the same items in the same order, "
            "or fit a model of the new ones"
        )
    sign: Sign = -1 if remove else 1
    counts = _counts(edlae, users, sign)
    if not users.events:
        return edlae
    with (resources or Resources.here()).limit_threads():
        W = _change(edlae, users, dropout, sign)
        B, d = _changed(edlae, W, sign)
    return replace(edlae, B=B, d=d, item_counts=counts, record=None)


def _edlae(model: Model) -> FullRank:
    """The model. Raises DataError unless C is in it, and its d is 1 ⊘ diag C."""
    if not isinstance(model, FullRank) or np.isnan(model.d).any() or not (np.abs(model.B.diagonal()) < _ZERO).all():
        raise DataError(
            'update: this model is no full-rank EDLAE or EASE; fit one with method closed and rank="full", or fit this '
            "method again to all users"
        )
    return model


def _counts(model: FullRank, users: TrainingData, sign: Sign) -> Vector | None:
    """The counts of items (n,) afterwards; None if the model has none."""
    if model.item_counts is None:
        return None
    counts: Vector = model.item_counts + sign * users.item_counts
    missing = np.flatnonzero(counts < -_ROUNDING * users.item_counts)
    if len(missing):
        first = missing[0] if model.item_names is None else model.item_names[missing[0]]
        raise DataError(
            f"remove: more users leave than have item {first}; remove only users that the model was fitted to"
        )
    return counts


def _change(model: FullRank, users: TrainingData, dropout: float, sign: Sign) -> NDArray[Any]:
    """W (q, n), with contiguous columns."""
    touched = np.flatnonzero(users.item_counts)
    Z = _rows(users, touched, dropout)
    q, n = Z.shape[0], model.n_items
    if q > n / 3:
        _log.info("the update has rank %d with %d items: a new fit may be quicker", q, n)
    W: NDArray[Any] = backend_of(model.B).empty((q, n), model.dtype)
    for columns in row_blocks(n, _COLUMNS):
        W[:, columns] = -(Z @ model.B[touched, columns])
    # What the diagonal of C has and −B lacks.
    W[:, touched] += Z.toarray() if isinstance(Z, csr_array) else Z
    W /= model.d.astype(model.dtype)
    try:
        factor = Factor(sign * (Z @ W[:, touched].T), np.ones(q), model.dtype)
    except SolverError as error:
        raise _not_definite(sign) from error
    for columns in row_blocks(n, _COLUMNS):
        W[:, columns] = factor.solve(W[:, columns])
    return W


def _rows(users: TrainingData, touched: NDArray[np.int64], dropout: float) -> csr_array | NDArray[Any]:
    """Z (q, t): the users themselves, or a factor where Z has more rows than that."""
    X = users.X[:, touched]
    X = X[np.diff(X.indptr) > 0]
    if dropout == 0 and X.shape[0] <= len(touched):
        return X
    X = X.astype(np.float64)
    gram = (X.T @ X).toarray()
    np.einsum("ii->i", gram)[:] += penalty(users.item_counts[touched], 0.0, dropout)
    return semidefinite_root(gram).astype(users.dtype, copy=False)


def _changed(model: FullRank, W: NDArray[Any], sign: Sign) -> tuple[NDArray[Any], Vector]:
    """B' (n, n) and d' (n,), from the upper triangle of C."""
    d = 1 / (1 / model.d - sign * np.einsum("ij,ij->j", W, W, dtype=np.float64))
    if not (d > 0).all() or not np.isfinite(d).all():
        raise _not_definite(sign)
    backend, n = backend_of(model.B), model.n_items
    B, before, after = backend.square(n, model.dtype), model.d.astype(model.dtype), d.astype(model.dtype)

    def fill(rows: slice, columns: slice) -> None:
        block = W[:, rows].T @ W[:, columns]
        block *= sign
        block += model.B[rows, columns] / before[columns]
        B[columns, rows] = (after[rows][:, None] * block).T
        B[rows, columns] = block * after[columns]

    backend.each_block(n, fill)
    backend.set_diagonal(B, np.zeros(n))
    return B, d


def _not_definite(sign: Sign) -> SolverError:
    remedy = "remove only users that the model was fitted to" if sign < 0 else "fit it again to all users"
    return SolverError(f"update: G + Λ of the new model is not positive definite to working precision: {remedy}")

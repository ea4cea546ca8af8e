"""The item–item Gram matrix G = XᵀX. Most linear methods need nothing else of the training data."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_array, triu, vstack

from edlae_sweeps.datasets.base import Advance
from edlae_sweeps.linalg import backend_for, mirror_upper

_BLOCK = 2048


def gram_matrix(X: Any, dtype: DTypeLike = "float32") -> NDArray[Any]:
    """G = XᵀX (n, n) of any SciPy sparse matrix or array X (m, n) with any values. No data set is needed."""
    gram: NDArray[Any] = backend_for("cpu").gram(csr_array(X, dtype=dtype), dtype)
    return gram


def sparse_gram(train: csr_array, advance: Advance | None = None) -> csr_array:
    """Upper triangle of G = XᵀX (n, n) of a binary X (m, n), as exact int32 counts.

    Built in blocks of rows, so that only one block's full rows exist beside the result. Cost: Σ_u n_u² multiply-adds,
    where n_u is the number of items of user u. Calls `advance(done, n)` after each block.

    Raises ValueError if X has a stored value other than 1.
    """
    n = train.shape[1]
    if not (train.data == 1).all():
        raise ValueError("the interactions are not binary")
    counts = train.astype(np.int32)
    by_item = counts.T.tocsr()
    blocks = []
    for start in range(0, n, _BLOCK):
        blocks.append(triu(by_item[start : start + _BLOCK] @ counts, k=start, format="csr"))
        if advance is not None:
            advance(min(start + _BLOCK, n), n)
    return csr_array(vstack(blocks, format="csr"))


def dense_gram(upper: csr_array, dtype: DTypeLike) -> NDArray[Any]:
    """G (n, n) as a dense array, from its sparse upper triangle. A sparse copy in `dtype` is that of a block."""
    gram = np.empty(upper.shape, dtype=dtype)
    for start in range(0, upper.shape[0], _BLOCK):
        # Into the result itself: each page of new memory that is touched takes as long as a copy.
        upper[start : start + _BLOCK].astype(dtype).toarray(out=gram[start : start + _BLOCK])
    mirror_upper(gram)
    return gram

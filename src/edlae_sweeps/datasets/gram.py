"""The item–item Gram matrix G = XᵀX, all that the linear methods need to know of the training data."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_array, triu, vstack

from edlae_sweeps.linalg import mirror_upper

_BLOCK = 2048


def sparse_gram(train: csr_array, advance: Callable[[int, int], None] | None = None) -> csr_array:
    """Upper triangle of G = XᵀX (n, n) of a binary X (m, n), as exact int32 counts.

    Built in blocks of rows, so that only one block's square part stands beside the result. Cost: Σ_u n_u²
    multiply-adds, n_u being the number of items of user u. `advance(done, n)` is called after each block.
    """
    n = train.shape[1]
    counts = train.astype(np.int32)
    by_item = counts.T.tocsr()
    blocks = []
    for start in range(0, n, _BLOCK):
        blocks.append(triu(by_item[start : start + _BLOCK] @ counts, k=start, format="csr"))
        if advance is not None:
            advance(min(start + _BLOCK, n), n)
    return csr_array(vstack(blocks, format="csr"))


def dense_gram(upper: csr_array, dtype: DTypeLike) -> NDArray[Any]:
    """G (n, n) as a full array, from its sparse upper triangle."""
    gram: NDArray[Any] = upper.astype(dtype).toarray()
    mirror_upper(gram)
    return gram

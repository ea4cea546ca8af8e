"""A summary of a prepared data set."""

from typing import Any

import numpy as np

from edlae_sweeps.datasets.base import Prepared, part_digest

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)


def summarize(data: Prepared) -> dict[str, Any]:
    """Counts, density, quantiles of user activity and item popularity in training, and hashes of the parts."""
    train = data.train
    per_user, per_item = np.diff(train.indptr), np.bincount(train.indices, minlength=data.n_items)
    return {
        "users": len(data.user_names),
        "training_users": train.shape[0],
        "heldout_users": data.test.fold_in.shape[0],
        "items": data.n_items,
        "events": data.events,
        "training_events": int(train.nnz),
        "density": train.nnz / (train.shape[0] * train.shape[1]),
        "items_per_user": _quantiles(per_user),
        "users_per_item": _quantiles(per_item),
        "sha256": {name: part_digest(matrix, first) for name, (matrix, first) in data.parts().items()},
        "digest": data.digest,
    }


def _quantiles(counts: np.ndarray[Any, Any]) -> dict[str, float]:
    values = np.quantile(counts, _QUANTILES)
    return {f"{100 * quantile:g}%": float(value) for quantile, value in zip(_QUANTILES, values, strict=True)}

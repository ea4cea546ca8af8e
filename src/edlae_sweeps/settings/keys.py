"""Hashes of what determines a result: equal keys, equal results."""

import hashlib
import json
from dataclasses import asdict

from edlae_sweeps.datasets import Prepared
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings.job import Settings
from edlae_sweeps.settings.tune import Optuna

# Part of every key. Raise it if, and only if, the same settings on the same data give other results.
RESULTS_VERSION = 2


def run_key(settings: Settings, data: Prepared, rank: Rank) -> str:
    """Key of one cell: a hash of everything that determines its result, and of nothing else."""
    determinants = {
        "results_version": RESULTS_VERSION,
        "data": data.digest,
        "method": settings.method.name,
        "method_settings": settings.method.params(settings.by_products),
        "rank": rank,
        "dtype": settings.dtype,
        "seed": settings.seed,
        **_gram(settings),
    }
    if isinstance(settings.tune, Optuna):
        # Each rank is tuned on the points of all ranks.
        determinants |= {"study": study_key(settings, settings.tune, data), "n_trials": settings.tune.n_trials}
    return _hash(determinants)


def study_key(settings: Settings, tune: Optuna, data: Prepared) -> str:
    """Key of a search: a hash of everything that determines its points and their results, but not of their number.

    `tune` is `settings.tune`.
    """
    return _hash(
        {
            "results_version": RESULTS_VERSION,
            "data": data.digest,
            "method": settings.method.name,
            "start": settings.method.params(settings.by_products),
            "space": {name: asdict(ends) for name, ends in settings.space().items()},
            "ranks": settings.ranks(),
            "dtype": settings.dtype,
            "seed": settings.seed,
            **_gram(settings),
            "sampler": [tune.sampler, tune.grid_points if tune.sampler == "grid" else 0, tune.seed, tune.metric],
            "start_run": tune.start,
            # Keys of searches without batches are older than these.
            **({"batch": tune.batch} if tune.batch != 1 else {}),
        }
    )


def _gram(settings: Settings) -> dict[str, str]:
    """Products give slightly other results than a dense G, whose keys are older than this choice."""
    return {"gram": "products"} if settings.by_products else {}


def _hash(determinants: object) -> str:
    return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]

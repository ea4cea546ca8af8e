"""What determines a result, as a hash: equal keys, equal results."""

import hashlib
import json
from dataclasses import asdict

from edlae_sweeps.datasets import Prepared
from edlae_sweeps.methods import Rank
from edlae_sweeps.settings.schema import Settings
from edlae_sweeps.settings.tune import Optuna, Sampler

# Part of every run key. Raise it when, and only when, the same settings on the same data give other results.
RESULTS_VERSION = 2


def run_key(settings: Settings, data: Prepared, rank: Rank) -> str:
    """Hash of all that determines the result of one cell, and of nothing else: equal keys, equal results."""
    determinants = {
        "results_version": RESULTS_VERSION,
        "data": data.digest,
        "method": settings.method.name,
        "method_settings": settings.method.params(),
        "rank": rank,
        "dtype": settings.dtype.value,
        "seed": settings.seed,
    }
    if isinstance(settings.tune, Optuna):
        # A tuned rank has seen the points of all others.
        determinants |= {"study": study_key(settings, data), "n_trials": settings.tune.n_trials}
    return _hash(determinants)


def study_key(settings: Settings, data: Prepared) -> str:
    """Hash of all that determines which points a search takes and what they give, but not how many of them."""
    tune = settings.tune
    assert isinstance(tune, Optuna)  # noqa: S101 - the caller's business
    return _hash(
        {
            "results_version": RESULTS_VERSION,
            "data": data.digest,
            "method": settings.method.name,
            "start": settings.method.params(),
            "space": {name: asdict(ends) for name, ends in settings.space().items()},
            "ranks": settings.ranks(),
            "dtype": settings.dtype.value,
            "seed": settings.seed,
            "sampler": [tune.sampler, tune.grid_points if tune.sampler == Sampler.grid else 0, tune.seed, tune.metric],
            "start_run": tune.start,
        }
    )


def _hash(determinants: object) -> str:
    return hashlib.sha256(json.dumps(determinants, sort_keys=True).encode()).hexdigest()[:32]

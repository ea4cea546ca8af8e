"""Evaluation: ranking metrics of held-out users, and what is told of the learned weights."""

from edlae_sweeps.evaluation.ranking import METRICS, PerUser, Popularity, evaluate, evaluate_nested
from edlae_sweeps.evaluation.weights import diagonal, diagonal_quantiles, eq_11, residual

__all__ = [
    "METRICS",
    "PerUser",
    "Popularity",
    "diagonal",
    "diagonal_quantiles",
    "eq_11",
    "evaluate",
    "evaluate_nested",
    "residual",
]

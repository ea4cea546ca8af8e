"""Evaluation: ranking metrics of held-out users, and diagnostics of the learned weights."""

from edlae_sweeps.evaluation.nested import NestedProducts
from edlae_sweeps.evaluation.ranking import METRICS, PerUser, Popularity, evaluate, evaluate_nested
from edlae_sweeps.evaluation.weights import diagonal, weight_metrics

__all__ = [
    "METRICS",
    "NestedProducts",
    "PerUser",
    "Popularity",
    "diagonal",
    "evaluate",
    "evaluate_nested",
    "weight_metrics",
]

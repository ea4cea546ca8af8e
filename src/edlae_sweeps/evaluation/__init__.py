"""Evaluation: ranking metrics of held-out users, and diagnostics of the learned weights."""

from edlae_sweeps.evaluation.names import COMMON, METRICS, Metric, is_metric, metric_label
from edlae_sweeps.evaluation.nested import NestedProducts
from edlae_sweeps.evaluation.ranking import Popularity, evaluate, evaluate_nested
from edlae_sweeps.evaluation.suite import PerUser, Suite
from edlae_sweeps.evaluation.weights import diagonal, weight_metrics

__all__ = [
    "COMMON",
    "METRICS",
    "Metric",
    "NestedProducts",
    "PerUser",
    "Popularity",
    "Suite",
    "diagonal",
    "evaluate",
    "evaluate_nested",
    "is_metric",
    "metric_label",
    "weight_metrics",
]

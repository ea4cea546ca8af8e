"""Evaluation: ranking metrics of held-out users, and the fit to the training data."""

from edlae_sweeps.evaluation.ranking import METRICS, PerUser, Popularity, evaluate
from edlae_sweeps.evaluation.training import TrainingFit, training_fit

__all__ = ["METRICS", "PerUser", "Popularity", "TrainingFit", "evaluate", "training_fit"]

"""Models in use: recommendations by name, and models that MLflow logs, loads and serves."""

import edlae_sweeps.tracking  # noqa: F401 - sets what mlflow reads as it is imported
from edlae_sweeps.serving.history import UserHistory
from edlae_sweeps.serving.loading import load_model
from edlae_sweeps.serving.log import log_model
from edlae_sweeps.serving.recommender import Basket, Recommended, Recommender
from edlae_sweeps.serving.saving import save_mlflow_model

__all__ = [
    "Basket",
    "Recommended",
    "Recommender",
    "UserHistory",
    "load_model",
    "log_model",
    "save_mlflow_model",
]

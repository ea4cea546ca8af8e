"""The model as MLflow's pyfunc flavor: a table of baskets in, a table of recommendations out.

The folder holds data alone, arrays and JSON; this module of the installed package is the code. Nothing is pickled:
loading a model runs no code from it, works across versions of Python, and maps large arrays into memory. MLflow's other
ways either pickle a Python object or put a copy of code into each model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException

from edlae_sweeps.errors import EdlaeSweepsError
from edlae_sweeps.models import load_model
from edlae_sweeps.serving.history import UserHistory
from edlae_sweeps.serving.recommender import Basket, Recommender

# Default values of the parameters of a request.
DEFAULTS: Mapping[str, Any] = {"k": 10, "exclude_known": True, "explain": False}


def load_recommender(folder: Path, mmap: bool = True) -> Recommender:
    """The recommender in the data folder of an MLflow model."""
    return Recommender(load_model(folder, mmap), UserHistory.load(folder, mmap))


class PyfuncRecommender:
    """A recommender as MLflow calls it."""

    def __init__(self, recommender: Recommender) -> None:
        self.recommender = recommender

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Recommendations for each row of `items` (a list of names), `user` (a name of the data), or both.

        `params`: k, exclude_known, explain. Columns of the answer: row, from 0; item, score, rank; with explain,
        because, a list of {item, contribution}; note. Raises MlflowException for a request that can't be answered.
        """
        if not {"items", "user"} & set(model_input.columns):
            raise MlflowException.invalid_parameter_value("pass a column items (lists of names), user, or both")
        options = {**DEFAULTS, **(params or {})}
        try:
            table = self.recommender.recommend_table(
                baskets(model_input), int(options["k"]), bool(options["exclude_known"]), bool(options["explain"])
            )
        except EdlaeSweepsError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        if "because" in table:
            table["because"] = [
                [{"item": item, "contribution": contribution} for item, contribution in reasons]
                for reasons in table["because"]
            ]
        return pd.DataFrame(table)


def baskets(frame: pd.DataFrame) -> list[Basket]:
    """The rows of a table with columns `items`, `user`, or both; missing values are None."""
    missing = [None] * len(frame)
    items, users = (frame[name].tolist() if name in frame else missing for name in ("items", "user"))
    return [Basket(_given(basket), _given(user)) for basket, user in zip(items, users, strict=True)]


def _given(value: Any) -> Any:
    """The value, or None for pandas' missing ones."""
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else value


def _load_pyfunc(data_path: str) -> PyfuncRecommender:
    """What MLflow calls to load the model."""
    return PyfuncRecommender(load_recommender(Path(data_path)))

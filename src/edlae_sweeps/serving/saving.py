"""A model as a folder that MLflow can load, log and serve."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model as MlflowModel
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, Object, ParamSchema, ParamSpec, Property, Schema
from numpy.typing import NDArray

from edlae_sweeps.disk import commit, temporary
from edlae_sweeps.errors import DataError
from edlae_sweeps.linalg import top_items
from edlae_sweeps.models.files import DATA, MLFLOW_FILE
from edlae_sweeps.serving.flavor import DEFAULTS
from edlae_sweeps.serving.recommender import Recommender

_LOADER = "edlae_sweeps.serving.flavor"
_REQUIRED = ("edlae_sweeps", "mlflow", "numpy", "pandas", "scipy")
_EXAMPLE_ITEMS = 3


def save_mlflow_model(folder: Path, recommender: Recommender) -> Path:
    """Write an MLflow model folder, whole or not at all; return it. An existing model is replaced.

    The arrays are in its folder `data`, as `Model.save` writes them, with the history of the users. Raises DataError if
    it can't be written, or if something else is there.
    """
    # The heaviest part of mlflow: only a job that keeps a model pays for it.
    from mlflow import pyfunc

    if folder.exists() and any(folder.iterdir()) and not (folder / MLFLOW_FILE).is_file():
        raise DataError(f"can't write the model to {folder}: something else is there; choose another path")
    written = temporary(folder)
    try:
        pyfunc.save_model(
            path=str(written),
            loader_module=_LOADER,
            signature=_signature(recommender),
            input_example=_example(recommender),
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIRED],
        )
        # The arrays are written once, in place: MLflow's `data_path` would copy them.
        recommender.model.save(written / DATA)
        if recommender.users is not None:
            recommender.users.save(written / DATA)
        _finish_description(written)
        if folder.exists():
            shutil.rmtree(folder)
        commit(written, folder)
    except (OSError, MlflowException, DataError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or str(cause).split("\n", 1)[0]
        raise DataError(
            f"can't write the model to {folder}: {reason}; free some space or choose tracking.dir"
        ) from error
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return folder


def _finish_description(folder: Path) -> None:
    """Tell MLflow where the data are, and how large the model is."""
    description = MlflowModel.load(str(folder / MLFLOW_FILE))
    description.flavors["python_function"]["data"] = DATA
    description.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    description.save(str(folder / MLFLOW_FILE))


def _signature(recommender: Recommender) -> ModelSignature:
    item = _type_of(recommender.model.item_names)
    inputs: list[Any] = [ColSpec(Array(item), "items", required=False)]
    if recommender.users is not None:
        inputs.append(ColSpec(_type_of(recommender.users.names), "user", required=False))
    reason = Object([Property("item", item), Property("contribution", DataType.double)])
    outputs: list[Any] = [
        ColSpec(DataType.long, "row"),
        ColSpec(item, "item"),
        ColSpec(DataType.double, "score"),
        ColSpec(DataType.long, "rank"),
        ColSpec(Array(reason), "because", required=False),
        ColSpec(DataType.string, "note"),
    ]
    types = {"k": DataType.long, "exclude_known": DataType.boolean, "explain": DataType.boolean}
    params = [ParamSpec(name, types[name], default) for name, default in DEFAULTS.items()]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(params))


def _type_of(names: NDArray[Any] | None) -> DataType:
    """MLflow's type of these names; None: indices."""
    kinds = {"i": DataType.long, "u": DataType.long, "f": DataType.double}
    return DataType.long if names is None else kinds.get(names.dtype.kind, DataType.string)


def _example(recommender: Recommender) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A basket of the most popular items, as a request has it, and the default parameters."""
    model = recommender.model
    counts = np.ones(model.n_items) if model.item_counts is None else model.item_counts
    columns = top_items(counts[None], _EXAMPLE_ITEMS)[0]
    names = columns if model.item_names is None else model.item_names[columns]
    return pd.DataFrame({"items": [names.tolist()]}), dict(DEFAULTS)

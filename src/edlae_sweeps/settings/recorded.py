"""The settings of one cell, from what its run recorded: to fit it again."""

import ast
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from edlae_sweeps.datasets import DATASETS, DatasetSettings
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import METHODS
from edlae_sweeps.settings.job import Settings
from edlae_sweeps.settings.metrics import Evaluation
from edlae_sweeps.settings.store import Tracking
from edlae_sweeps.settings.tune import Off


def recorded_settings(
    params: Mapping[str, str], config: Mapping[str, Any], data_dir: str, tracking: Tracking
) -> Settings:
    """The settings that fit a cell again with the parameters of its run, without a search, and keep the model.

    `params` are the parameters of the run, and `config` is its config.yaml. Raises ConfigError for a method or a data
    set that this version does not have. A GPU is no part of what determines a cell: without one the CPU fits it again.
    """
    kind = METHODS.get(params["method"])
    if kind is None:
        raise ConfigError(f"method={params['method']}: this version has no such method; choose with methods=[NAME]")
    options = {field.name: parsed(params[field.name]) for field in fields(kind) if field.name in params}
    rank = params["rank"]
    recorded = {name: config[name] for name in ("seed", "device") if name in config}
    if recorded.get("device") == "cuda":
        recorded["device"] = "auto"
    return Settings(
        dataset=_dataset(_group(config, "dataset"), params["dataset"]),
        method=kind(**options),
        tune=Off(),
        rank=rank if rank == "full" else int(rank),
        dtype=parsed(params["dtype"]),
        # Only cells from products have it.
        gram="products" if params.get("gram") == "products" else "dense",
        save_model=True,
        skip_finished=False,
        data_dir=data_dir,
        evaluation=Evaluation(metrics=_metrics(config)),
        tracking=tracking,
        **recorded,
    )


def _metrics(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What was measured beside the metrics that always are: what was asked for, and what a search improved."""
    asked, searched = _group(config, "evaluation").get("metrics", []), _group(config, "tune").get("metric")
    return (*asked, *([searched] if searched else []))


def _group(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The keys of a group; none if the file has something else there."""
    keys = config.get(name)
    return keys if isinstance(keys, Mapping) else {}


def parsed(text: str) -> Any:
    """A parameter as it was before MLflow stored it as a text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _dataset(config: Mapping[str, Any], label: str) -> DatasetSettings:
    """The data set with these keys and this label: config.yaml has the keys of its choice, but not the choice."""
    kinds = {kind: {field.name for field in fields(kind)} for kind in DATASETS.values()}
    # Those with the same keys first: a later version may have more.
    for kind in sorted(kinds, key=lambda kind: len(kinds[kind])):
        if config and config.keys() <= kinds[kind]:
            dataset = kind(**config)
            if dataset.label == label:
                return dataset
    raise ConfigError(f"dataset={label}: its config.yaml describes no data set of this version; run the job again")

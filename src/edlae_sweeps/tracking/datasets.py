"""The record of a data set in MLflow: its source, schema and profile."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlflow.entities import Dataset, DatasetInput, InputTag

# MLflow's digests are short by convention and its column is narrow.
_DIGEST_LENGTH = 32


@dataclass(frozen=True)
class DatasetRecord:
    """A data set as MLflow's dataset tracking stores it.

    name, digest  identify it
    profile       counts by name
    source        URL or path of the interactions; empty: a program makes them
    columns       name and MLflow type (string, long) of each column of an interaction
    """

    name: str
    digest: str
    profile: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


def dataset_input(record: DatasetRecord) -> DatasetInput:
    """The input of a run, in the JSON that MLflow's pages show."""
    kind, source = _source(record)
    columns = [{"name": name, "type": kind, "required": True} for name, kind in record.columns.items()]
    dataset = Dataset(
        record.name,
        record.digest[:_DIGEST_LENGTH],
        source_type=kind,
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": columns}) if columns else None,
        profile=json.dumps(record.profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training and evaluation")])


def _source(record: DatasetRecord) -> tuple[str, dict[str, object]]:
    """MLflow's type of the source, and the source in the form of that type."""
    if record.source.startswith(("http://", "https://")):
        return "http", {"url": record.source}
    if record.source:
        return "local", {"uri": record.source}
    return "code", {"tags": {"mlflow.source.name": record.name}}

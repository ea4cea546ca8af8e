"""The model registry: versions of a data set's model, and the alias of its champion."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import LoggedModel
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from sqlalchemy import make_url

from edlae_sweeps.errors import DataError
from edlae_sweeps.settings import hydra_text, masked_uri, shell_line
from edlae_sweeps.tracking.client import open_client
from edlae_sweeps.tracking.opening import one_line_errors
from edlae_sweeps.tracking.probe import probe

CHAMPION = "champion"
# MLflow's tag of a logged model with its registered versions.
_VERSIONS_TAG = "mlflow.modelVersions"


@dataclass(frozen=True)
class Version:
    """A version of a registered model: its number, the run it comes from, and its tags."""

    name: str
    number: int
    run_id: str
    tags: Mapping[str, str]

    @property
    def uri(self) -> str:
        """The version's URI in MLflow."""
        return f"models:/{self.name}/{self.number}"


class Registry:
    """The registered models of a tracking store."""

    def __init__(self, uri: str) -> None:
        """`uri` is that of a store that can be reached."""
        self._uri = uri
        with one_line_errors(uri):
            self._client = open_client(uri)

    def champions(self) -> list[str]:
        """The names of the models that have a champion."""
        names, token = [], None
        with one_line_errors(self._uri):
            while True:
                page = self._client.search_registered_models(page_token=token)
                names += [model.name for model in page if CHAMPION in model.aliases]
                token = page.token
                if not token:
                    return sorted(names)

    def versions(self, name: str) -> list[Version]:
        """The versions of a model, the newest first; empty if it is not registered."""
        versions: list[Version] = []
        token = None
        with one_line_errors(self._uri):
            while True:
                page = self._client.search_model_versions(f"name = {_quoted(name)}", page_token=token)
                versions += [_version(version) for version in page]
                token = page.token
                if not token:
                    return sorted(versions, key=lambda version: -version.number)

    def champion(self, name: str) -> Version | None:
        """The version with the alias `champion`; None if there is none."""
        with one_line_errors(self._uri):
            try:
                return _version(self._client.get_model_version_by_alias(name, CHAMPION))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def logged_model(self, experiment_id: str, run_id: str) -> LoggedModel | None:
        """The newest complete model that a run logged; None if it logged none."""
        with one_line_errors(self._uri):
            models = self._client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        ready = [model for model in models if model.status == "READY"]
        return max(ready, key=lambda model: model.creation_timestamp, default=None)

    def register(self, name: str, model: LoggedModel, tags: Mapping[str, str], description: str) -> Version:
        """Register a logged model as the next version of `name`, which is created if it is missing."""
        with one_line_errors(self._uri):
            self._create(name)
            # The location rather than models:/ID, which MLflow would look up in its own default store.
            version = self._client.create_model_version(
                name,
                model.artifact_location,
                run_id=model.source_run_id,
                tags=dict(tags),
                description=description,
                model_id=model.model_id,
            )
            versions = json.loads(model.tags.get(_VERSIONS_TAG, "[]"))
            versions.append({"name": name, "version": version.version})
            # The page of the model links to its versions.
            self._client.set_logged_model_tags(model.model_id, {_VERSIONS_TAG: json.dumps(versions)})
        return _version(version)

    def promote(self, version: Version) -> None:
        """Move the alias `champion` to this version."""
        with one_line_errors(self._uri):
            self._client.set_registered_model_alias(version.name, CHAMPION, str(version.number))

    def _create(self, name: str) -> None:
        try:
            self._client.create_registered_model(
                name, description=f"Recommends items of the data set {name}. The alias champion is the best version."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def find_champion(model: str | None, uri: str) -> str:
    """What `load_model` takes for `model`: for the name of a registered model, the URI of its champion.

    None is the only registered model that has a champion. Anything else is returned as it is. Raises DataError if there
    is no champion, or more than one.
    """
    if model is not None and (":" in model or os.sep in model or model.endswith(".npz") or Path(model).exists()):
        return model
    if uri.startswith("sqlite") and not Path(make_url(uri).database or "").is_file():
        if model is not None:
            return model
        raise DataError(
            f"model: there is no store at {masked_uri(uri)}; run python -m edlae_sweeps register=true first, "
            "name a folder, or set tracking.uri or tracking.dir"
        )
    probe(uri)
    registry = Registry(uri)
    names = registry.champions() if model is None else [model]
    if len(names) != 1:
        choice = shell_line([f"model={hydra_text(names[0])}"]) if names else ""
        remedy = f"choose {choice}" if names else "run python -m edlae_sweeps.register first"
        raise DataError(f"model: the champions are those of {', '.join(names) or 'no data set'}; {remedy}")
    champion = registry.champion(names[0])
    return names[0] if champion is None else champion.uri


def check_name(name: str) -> None:
    """Raise DataError for a data set whose name MLflow can't use for a registered model and its URI models:/NAME."""
    if any(character in name for character in "/:#?%") or not name.strip(". ") or ("'" in name and '"' in name):
        raise DataError(
            f"datasets: {name} can't name a registered model: run the job again with another dataset.name, "
            "without / : # ? % and without both kinds of quotation marks"
        )


def _quoted(name: str) -> str:
    """A name in an MLflow filter, which has no escapes."""
    return f'"{name}"' if "'" in name else f"'{name}'"


def _version(version: ModelVersion) -> Version:
    return Version(version.name, int(version.version), version.run_id or "", dict(version.tags))

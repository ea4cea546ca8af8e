"""Reading what stored cells hold beyond parameters, metrics and tags."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.errors import TrackingError
from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.tracking import Experiment


@dataclass(frozen=True)
class Reader:
    """Artifacts and metric histories of the cells of an experiment; downloads go to `folder`."""

    experiment: Experiment
    folder: Path

    def arrays(self, cell: StoredCell, name: str) -> Mapping[str, NDArray[Any]]:
        """The arrays of an npz artifact; TrackingError, which names the run, if it is gone."""
        try:
            return read_arrays(self._fetch(cell, name))
        except TrackingError as error:
            raise TrackingError(
                f"run {cell.run.id} ({cell.method}, rank {cell.rank_text}): {error}; if its {name} is gone, delete the "
                "run, or compute it again with skip_finished=false"
            ) from error

    def text(self, cell: StoredCell, name: str) -> str | None:
        """A text artifact; None if it is gone."""
        try:
            return self._fetch(cell, name).read_text(encoding="utf-8")
        except TrackingError:
            return None

    def tree(self, cell: StoredCell, name: str) -> dict[str, Any]:
        """The content of a yaml or json artifact; empty if it is gone."""
        content = yaml.safe_load(self.text(cell, name) or "{}")
        return content if isinstance(content, dict) else {}

    def history(self, cell: StoredCell, metric: str) -> list[float]:
        """The values of a metric by epoch."""
        return self.experiment.history(cell.run.id, metric)

    def _fetch(self, cell: StoredCell, name: str) -> Path:
        if local := cell.run.local(name):
            return local
        # Artifacts of different cells share their names.
        folder = self.folder / cell.run.id
        folder.mkdir(exist_ok=True)
        return self.experiment.fetch(cell.run.id, name, folder)

"""Reading what stored cells hold beyond parameters, metrics and tags."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import yaml
from numpy.typing import NDArray

from edlae_sweeps.datasets import read_arrays
from edlae_sweeps.errors import TrackingError
from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.tracking import Experiment

# Kinds of arrays that hold real numbers.
_NUMBERS = "fiu"


@dataclass(frozen=True)
class Reader:
    """Artifacts and metric histories of the cells of an experiment; downloads go to `folder`.

    `lost` has a line for each artifact that was asked for and is gone.
    """

    experiment: Experiment
    folder: Path
    lost: list[str] = field(default_factory=list)

    def arrays(self, cell: StoredCell, name: str, members: Sequence[str]) -> Mapping[str, NDArray[Any]] | None:
        """The arrays of an npz artifact; None, and a line in `lost`, if it is gone or damaged.

        `members` are among them and have one value each for the same items or users; the last of them are numbers.
        """
        try:
            arrays = read_arrays(self._fetch(cell, name))
        except (TrackingError, OSError, EOFError, ValueError, BadZipFile, zlib.error):
            arrays = {}
        if arrays.keys() >= set(members):
            kept = [arrays[member] for member in members]
            if len({array.shape for array in kept}) == kept[0].ndim == 1 and kept[-1].dtype.kind in _NUMBERS:
                return arrays
        line = (
            f"what needs {name} of run {cell.run.id} ({cell.method}, rank {cell.rank_text}), which is gone or damaged: "
            "delete the run, or compute it again with skip_finished=false"
        )
        if line not in self.lost:
            self.lost.append(line)
        return None

    def text(self, cell: StoredCell, name: str) -> str | None:
        """A text artifact; None if it is gone or no text."""
        try:
            return self._fetch(cell, name).read_text(encoding="utf-8")
        except (TrackingError, OSError, UnicodeDecodeError):
            return None

    def tree(self, cell: StoredCell, name: str) -> dict[str, Any]:
        """The content of a yaml or json artifact; empty if it is gone or damaged."""
        text = self.text(cell, name) or "{}"
        try:
            # YAML takes 1e-05 for a text.
            content = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
        except (ValueError, RecursionError, yaml.YAMLError):
            return {}
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

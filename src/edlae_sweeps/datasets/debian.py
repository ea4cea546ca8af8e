"""Which build dependency is missing? Debian source packages as users, their build dependencies as items."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions
from edlae_sweeps.datasets.tables import Columns, Text, file_source, read_text

_TABLE = Path(__file__).parent / "data" / "debian-build-deps.tsv.gz"


@dataclass
class Debian(DatasetSettings):
    """The data set that ships with the package (see data/README.md beside this file); nothing is downloaded."""

    @property
    def label(self) -> str:
        return "debian"

    def content_digest(self, data_dir: Path) -> str:  # noqa: ARG002 - part of the package, not of data_dir
        return hashlib.sha256(_TABLE.read_bytes()).hexdigest()

    def read(self, data_dir: Path, advance: Advance | None = None) -> Interactions:  # noqa: ARG002 - it is here
        return read_text(file_source(_TABLE), Text("\t", quoted=False), Columns("source", "build_depends"))

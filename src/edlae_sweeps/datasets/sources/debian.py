"""Debian source packages as users and their build dependencies as items: which dependency is missing?"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions
from edlae_sweeps.datasets.tables import Columns, Text, file_source, read_text
from edlae_sweeps.imports import override

_TABLE = Path(__file__).parents[1] / "data" / "debian-build-deps.tsv.gz"


@dataclass(frozen=True, kw_only=True, repr=False)
class Debian(DatasetSettings):
    """Debian 12: ships with the package (see datasets/data/README.md), so that nothing is downloaded."""

    heldout_users: int | None = 2000
    min_item_events: int = 5

    @property
    @override
    def label(self) -> str:
        return "debian"

    @override
    def source(self, data_dir: Path) -> str:
        return str(_TABLE)

    @override
    def content_digest(self, data_dir: Path) -> str:
        return hashlib.sha256(_TABLE.read_bytes()).hexdigest()

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        return read_text(file_source(_TABLE), Text("\t", quoted=False), Columns("source", "build_depends"), memory)

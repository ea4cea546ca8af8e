"""Million Song Dataset, Taste Profile subset: users' plays of songs (Bertin-Mahieux et al. 2011)."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edlae_sweeps.datasets.archives import Archive, member, obtain
from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions, Published
from edlae_sweeps.datasets.tables import Columns, Text, file_source, read_text
from edlae_sweeps.errors import DataError
from edlae_sweeps.imports import override

_TEXT = "train_triplets.txt"


@dataclass(frozen=True, kw_only=True, repr=False)
class Msd(DatasetSettings):
    """Every play counts. The defaults give the published split (Liang et al. 2018)."""

    heldout_users: int | None = 50_000
    min_user_events: int = 20
    min_item_events: int = 200

    # No checksum is published. Reading verifies the CRC-32 inside the zip archive and the number of triplets.
    archive: ClassVar[Archive] = Archive(
        "train_triplets.txt.zip",
        "http://millionsongdataset.com/sites/default/files/challenge/train_triplets.txt.zip",
        None,
    )
    triplets: ClassVar[int] = 48_373_586
    published: ClassVar[Published] = Published(
        {"min_user_events": 20, "min_item_events": 200},
        {"events": 33_633_450, "users": 571_355, "filtered items": 41_140},
    )

    @property
    @override
    def label(self) -> str:
        return "msd"

    @override
    def source(self, data_dir: Path) -> str:
        return self.archive.url

    @override
    def content_digest(self, data_dir: Path) -> str:
        # `read` verifies the number of triplets instead of a hash of the file.
        return "taste profile, 48,373,586 triplets"

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        """The plays in data_dir/train_triplets.txt, or else in its zip archive, which is downloaded if missing."""
        plain = data_dir / _TEXT
        source = file_source(plain) if plain.exists() else member(obtain(self.archive, data_dir, advance), _TEXT)
        events = read_text(source, Text("\t", ("user", "song", "plays"), quoted=False), Columns("user", "song"), memory)
        if len(events.users) != self.triplets:
            raise DataError(
                f"{source.name} holds {len(events.users):,} triplets, but the Taste Profile has "
                f"{self.triplets:,}: delete it to download it again"
            )
        return events

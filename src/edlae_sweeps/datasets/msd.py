"""Million Song Dataset, Taste Profile subset: who played which song (Bertin-Mahieux et al. 2011)."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edlae_sweeps.datasets.archives import Archive, member, obtain
from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions, Published
from edlae_sweeps.datasets.tables import Columns, Text, file_source, read_text
from edlae_sweeps.errors import DataError

_TEXT = "train_triplets.txt"


@dataclass
class Msd(DatasetSettings):
    """Every play counts; songs of 200 users, then users of 20 songs, 50,000 held-out users each (Liang et al. 2018)."""

    # No checksum of it is published: the zip's own CRC-32 is verified as it is read, and the counts afterwards.
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
    def label(self) -> str:
        return "msd"

    def content_digest(self, data_dir: Path) -> str:  # noqa: ARG002 - the counts tell
        return "taste profile, 48,373,586 triplets"

    def read(self, data_dir: Path, advance: Advance | None = None) -> Interactions:
        """From train_triplets.txt in data_dir, or else from its zip archive."""
        plain = data_dir / _TEXT
        source = file_source(plain) if plain.exists() else member(obtain(self.archive, data_dir, advance), _TEXT)
        events = read_text(source, Text("\t", ("user", "song", "plays"), quoted=False), Columns("user", "song"))
        if len(events.users) != self.triplets:
            raise DataError(
                f"{source.name} holds {len(events.users):,} triplets, and the Taste Profile {self.triplets:,}: "
                "is it whole? Delete it, and it will be downloaded"
            )
        return events

"""MovieLens: film ratings (Harper & Konstan 2015). The licence forbids redistribution."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edlae_sweeps.datasets.archives import Archive, member, obtain
from edlae_sweeps.datasets.base import Advance, DatasetSettings, Interactions, Published
from edlae_sweeps.datasets.tables import Columns, Text, read_text
from edlae_sweeps.imports import override

_COLUMNS = Columns("userId", "movieId", "rating", min_rating=4)


@dataclass(frozen=True, kw_only=True, repr=False)
class MovieLens1M(DatasetSettings):
    """ML-1M: ratings of 4 and above."""

    heldout_users: int | None = 600

    archive: ClassVar[Archive] = Archive(
        "ml-1m.zip",
        "https://files.grouplens.org/datasets/movielens/ml-1m.zip",
        "c4d9eecfca2ab87c1945afe126590906",
    )
    published: ClassVar[Published] = Published(
        {"min_user_events": 5, "min_item_events": 0}, {"events": 575_272, "users": 6_034, "filtered items": 3_533}
    )

    @property
    @override
    def label(self) -> str:
        return "ml-1m"

    @override
    def source(self, data_dir: Path) -> str:
        return self.archive.url

    @override
    def content_digest(self, data_dir: Path) -> str:
        return str(self.archive.md5)

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        # The separator is ::. Split at single colons, each field is followed by an empty one.
        text = Text(":", ("userId", "_1", "movieId", "_2", "rating", "_3", "timestamp"), quoted=False)
        return read_text(member(obtain(self.archive, data_dir, advance), "ratings.dat"), text, _COLUMNS, memory)


@dataclass(frozen=True, kw_only=True, repr=False)
class MovieLens20M(DatasetSettings):
    """ML-20M: ratings of 4 and above. The defaults give the published split (Liang et al. 2018)."""

    heldout_users: int | None = 10_000

    archive: ClassVar[Archive] = Archive(
        "ml-20m.zip",
        "https://files.grouplens.org/datasets/movielens/ml-20m.zip",
        "cd245b17a1ae2cc31bb14903e1204af3",
    )
    published: ClassVar[Published] = Published(
        {
            "heldout_users": 10_000,
            "min_user_events": 5,
            "min_item_events": 0,
            "holdout_fraction": 0.2,
            "split_seed": 98765,
        },
        {
            "events": 9_990_682,
            "users": 136_677,
            "filtered items": 20_720,
            "items in training": 20_108,
            "held-out events of validation": 142_514,
            "held-out events of test": 139_775,
        },
    )

    @property
    @override
    def label(self) -> str:
        return "ml-20m"

    @override
    def source(self, data_dir: Path) -> str:
        return self.archive.url

    @override
    def content_digest(self, data_dir: Path) -> str:
        return str(self.archive.md5)

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        return read_text(member(obtain(self.archive, data_dir, advance), "ratings.csv"), Text(","), _COLUMNS, memory)

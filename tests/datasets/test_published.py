"""Published splits: their counts are checked, and MovieLens-1M where its archive is at hand."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from conftest import DEBIAN

from edlae_sweeps.datasets import DATASETS, Debian, MovieLens1M, load
from edlae_sweeps.datasets.base import Published
from edlae_sweeps.datasets.store import check_published
from edlae_sweeps.errors import DataError


def test_a_count_that_differs_is_shown_beside_the_published_one(debian, tmp_path, monkeypatch):
    settings = Debian(**DEBIAN)
    monkeypatch.setattr(Debian, "published", Published({"min_user_events": 5}, {"events": 205_517, "users": 20_037}))
    check_published(settings, debian)
    monkeypatch.setattr(Debian, "published", Published({"min_user_events": 5}, {"events": 205_518}))
    with pytest.raises(DataError, match="debian has 205,517 events, and the published split has 205,518"):
        load(settings, tmp_path)
    assert not list(tmp_path.rglob("*.npz"))
    # Other settings have other counts.
    check_published(dataclasses.replace(settings, min_user_events=6), debian)


def test_published_counts_are_of_settings_and_counts_that_exist(debian):
    for dataset in DATASETS.values():
        if dataset.published is not None:
            assert dataset.published.settings.keys() <= {field.name for field in dataclasses.fields(dataset)}
            assert dataset.published.counts.keys() <= debian.counts().keys()


@pytest.mark.realdata
def test_movielens_1m(tmp_path: Path):
    # EDLAE_SWEEPS_ARCHIVES is a folder that holds ml-1m.zip.
    source = Path(os.environ.get("EDLAE_SWEEPS_ARCHIVES", "")) / "ml-1m.zip"
    if not source.is_file():
        pytest.skip("EDLAE_SWEEPS_ARCHIVES names no folder with ml-1m.zip")
    shutil.copy(source, tmp_path)
    data = load(MovieLens1M(600, 5, 0, 0.2, 98765), tmp_path)
    assert (data.events, len(data.user_names), data.filtered_items) == (575_272, 6_034, 3_533)
    assert data.user_names.dtype.kind == "i"
    assert (data.n_items, data.train.nnz) == (3_497, 462_827)

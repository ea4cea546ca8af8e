"""The counts of published splits, and the MovieLens-1M split if its archive is available."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from edlae_sweeps.datasets import DATASETS, Debian, MovieLens1M, load
from edlae_sweeps.datasets.base import Published
from edlae_sweeps.datasets.store import check_published
from edlae_sweeps.errors import DataError


def test_a_wrong_count_is_an_error_that_gives_both_numbers(debian, tmp_path, monkeypatch):
    settings = Debian()
    monkeypatch.setattr(Debian, "published", Published({"min_user_events": 5}, {"events": 205_517, "users": 20_037}))
    check_published(settings, debian)
    monkeypatch.setattr(Debian, "published", Published({"min_user_events": 5}, {"events": 205_518}))
    with pytest.raises(DataError, match="debian has 205,517 events, but the published split has 205,518"):
        load(settings, tmp_path)
    assert not list(tmp_path.rglob("*.npz"))
    # Other settings have other counts.
    check_published(dataclasses.replace(settings, min_user_events=6), debian)


def test_published_counts_name_existing_settings_and_counts(debian):
    for dataset in DATASETS.values():
        if dataset.published is not None:
            assert dataset.published.settings.keys() <= {field.name for field in dataclasses.fields(dataset)}
            assert dataset.published.counts.keys() <= debian.counts().keys()


@pytest.mark.realdata
def test_movielens_1m(tmp_path: Path):
    # EDLAE_SWEEPS_ARCHIVES is a folder with ml-1m.zip.
    source = Path(os.environ.get("EDLAE_SWEEPS_ARCHIVES", "")) / "ml-1m.zip"
    if not source.is_file():
        pytest.skip("EDLAE_SWEEPS_ARCHIVES is not a folder with ml-1m.zip")
    shutil.copy(source, tmp_path)
    data = load(MovieLens1M(), tmp_path)
    assert (data.events, len(data.user_names), data.filtered_items) == (575_272, 6_034, 3_533)
    assert data.user_names.dtype.kind == "i"
    assert (data.n_items, data.train.nnz) == (3_497, 462_827)

"""Data set options: defaults, checks, printing, and the names of their cache files."""

import dataclasses
from pathlib import Path

import pytest

from edlae_sweeps.datasets import (
    DATASETS,
    DatasetSettings,
    Debian,
    InteractionsFile,
    MovieLens1M,
    MovieLens20M,
    Msd,
    Netflix,
    Synthetic,
    store,
)
from edlae_sweeps.errors import ConfigError


def cache_file(settings: DatasetSettings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the file in which `load` looks for prepared data."""
    paths = []
    monkeypatch.setattr(store, "load_or_build", lambda path, *_: paths.append(path))
    monkeypatch.setattr(store, "_unpack", lambda _: None)
    store.load(settings, Path())
    return paths[0].name


@pytest.mark.parametrize(
    ("name", "heldout_users", "min_user_events", "min_item_events"),
    [
        ("debian", 2000, 5, 5),
        ("ml-1m", 600, 5, 0),
        ("ml-20m", 10_000, 5, 0),
        ("netflix", 40_000, 5, 0),
        ("msd", 50_000, 20, 200),
        ("synthetic", 1000, 5, 0),
    ],
)
def test_defaults(name, heldout_users, min_user_events, min_item_events):
    settings = DATASETS[name]()
    thresholds = (settings.heldout_users, settings.min_user_events, settings.min_item_events)
    assert thresholds == (heldout_users, min_user_events, min_item_events)
    assert (settings.holdout_fraction, settings.split_seed) == (0.2, 98765)
    assert settings.label == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heldout_users": 0}, r"dataset\.heldout_users=0: choose 1 or more"),
        ({"heldout_users": 1.5}, r"dataset\.heldout_users=1\.5: choose a whole number"),
        ({"min_user_events": -1}, r"dataset\.min_user_events=-1"),
        ({"min_item_events": -1}, r"dataset\.min_item_events=-1"),
        ({"holdout_fraction": 1}, r"dataset\.holdout_fraction=1\.0: choose a number between 0 and 1"),
        ({"holdout_fraction": float("nan")}, r"dataset\.holdout_fraction=nan"),
        ({"split_seed": 2**32}, r"dataset\.split_seed=4294967296: choose less than"),
    ],
)
def test_values_out_of_range_are_refused_when_the_object_is_made(changes, message):
    with pytest.raises(ConfigError, match=message):
        Debian(**changes)


def test_settings_are_frozen_and_can_be_replaced():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Debian().heldout_users = 1
    assert dataclasses.replace(Debian(), heldout_users=7).heldout_users == 7


def test_a_file_of_interactions_needs_a_path():
    with pytest.raises(ConfigError, match=r"dataset\.path is not set: name a csv"):
        InteractionsFile()


def test_reprs_show_changed_values_only():
    assert repr(Debian()) == "Debian()"
    assert repr(Debian(start={"closed": {"l2": 3}})) == "Debian(start={'closed': {'l2': 3}})"
    assert repr(Synthetic(n_items=50, mean_events=7)) == "Synthetic(n_items=50, mean_events=7.0)"


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        (Debian(), "debian-ce18598825a2995334356f3c152947fb.npz"),
        (MovieLens1M(search={"l2": [1, 2]}), "ml-1m-1fc4103582b1d218911f51d9a6f87a30.npz"),
        (MovieLens20M(start={"closed": {"l2": 1}}), "ml-20m-982361bf05389e632783dd5bfac6bc81.npz"),
        (Netflix(), "netflix-85e7f6fb83518fc16af1489d3cf84229.npz"),
        (Msd(), "msd-3792de50ada422352aed8b24d1892778.npz"),
        (Synthetic(mean_events=40), "synthetic-b389471004c4f4370431fbd5d5fce840.npz"),
    ],
)
def test_cache_files_keep_their_names(settings, file, monkeypatch: pytest.MonkeyPatch):
    """A new name would prepare a data set again that an earlier version has cached."""
    assert cache_file(settings, monkeypatch) == file


def test_the_cache_file_of_a_table_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("plays.csv").write_bytes(b"user,item\na,b\n")
    table = InteractionsFile(path="plays.csv", heldout_users=1000)
    assert cache_file(table, monkeypatch) == "plays-9b229daccbbc8886fd9ddfaac05caecf.npz"

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

from edlae_sweeps.datasets import (
    Debian,
    InteractionsFile,
    Synthetic,
    cache,
    fixed_width,
    load,
    load_gram,
    read_arrays,
    write_arrays,
)
from edlae_sweeps.datasets.cache import load_or_build
from edlae_sweeps.errors import DataError

ARRAYS = {"numbers": np.arange(1000), "names": np.array(["a", "é", "zz"])}


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_every_flipped_byte_is_detected_or_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # It takes most of the time.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    path = tmp_path / "cache.npz"
    write_arrays(path, ARRAYS, "data_dir")
    intact = path.read_bytes()
    rebuilt = 0
    for position in range(0, len(intact), 7):
        path.write_bytes(intact[:position] + bytes([intact[position] ^ 0x5A]) + intact[position + 1 :])
        built = []
        assert equal(load_or_build(path, frozenset(ARRAYS), lambda: built.append(1) or ARRAYS), ARRAYS)  # noqa: B023
        rebuilt += bool(built)
        assert equal(read_arrays(path), ARRAYS)
    assert rebuilt > 0.9 * len(range(0, len(intact), 7))


def test_every_truncation_is_detected(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "cache.npz"
    write_arrays(path, ARRAYS, "data_dir")
    intact = path.read_bytes()
    for length in [0, 1, 10, 100, len(intact) // 2, len(intact) - 1]:
        path.write_bytes(intact[:length])
        caplog.clear()
        assert equal(load_or_build(path, frozenset(ARRAYS), lambda: ARRAYS), ARRAYS)
        assert "rebuilding the cache file" in caplog.text
        assert path.read_bytes() == intact


def test_pickled_arrays_are_never_loaded(tmp_path: Path):
    path = tmp_path / "cache.npz"
    np.savez(path, numbers=np.array([{"a": 1}], dtype=object), names=ARRAYS["names"])
    assert equal(load_or_build(path, frozenset(ARRAYS), lambda: ARRAYS), ARRAYS)


def test_strings_that_are_objects_take_their_own_length(tmp_path: Path):
    names = np.array(["a", "", "é\n\u2028,", "x" * 60_000, *map(str, range(1000))], dtype=object)
    write_arrays(tmp_path / "cache.npz", {"names": names, "codes": np.arange(3)}, "data_dir")
    # As an array of NumPy's strings it would take 240 MB.
    assert (tmp_path / "cache.npz").stat().st_size < 100_000
    arrays = read_arrays(tmp_path / "cache.npz")
    assert arrays.keys() == {"names", "codes"}
    assert arrays["names"].dtype == object
    assert arrays["names"].tolist() == names.tolist()


def test_what_killed_processes_left_is_removed_as_data_are_loaded(tmp_path: Path):
    """Also a download: it has a folder of its own."""
    settings = Synthetic(n_users=60, n_items=20, mean_events=8, topics=2, heldout_users=10)
    old, new = ".000000000000-1-5-0123456789ab.tmp", ".000000000000-1-5-ba9876543210.tmp"
    then = time.time() - 2 * 24 * 3600
    for folder in (tmp_path, tmp_path / "prepared", tmp_path / "gram"):
        folder.mkdir(exist_ok=True)
        for name in (old, new, "mine.npz"):
            (folder / name).write_text("half")
        os.utime(folder / old, (then, then))
        os.utime(folder / "mine.npz", (then, then))
    (tmp_path / f"{old[:-5]}c.tmp").mkdir()
    (tmp_path / f"{old[:-5]}c.tmp" / "ml-1m.zip").write_text("half")
    for path in (tmp_path / f"{old[:-5]}c.tmp" / "ml-1m.zip", tmp_path / f"{old[:-5]}c.tmp"):
        os.utime(path, (then, then))
    load_gram(load(settings, tmp_path), "float32", tmp_path)
    for folder in (tmp_path, tmp_path / "prepared", tmp_path / "gram"):
        names = {path.name for path in folder.iterdir() if path.name.startswith(".") or path.name == "mine.npz"}
        assert names == {new, "mine.npz"}


def test_data_of_an_earlier_version_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It kept strings as arrays of NumPy's own."""
    path = tmp_path / "x.csv"
    path.write_text("user,item\n" + "".join(f"u{user},i{item}\n" for user in range(9) for item in range(user % 3 + 5)))
    settings = InteractionsFile(path=str(path), heldout_users=2)
    data = load(settings, tmp_path)
    (file,) = (tmp_path / "prepared").iterdir()
    old = {name: fixed_width(array) for name, array in read_arrays(file).items()}
    assert old["user_names"].dtype.kind == "U"
    write_arrays(file, old, "data_dir")
    monkeypatch.setattr(InteractionsFile, "read", None)
    again = load(settings, tmp_path)
    assert again.digest == data.digest
    assert again.user_names.tolist() == data.user_names.tolist()


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    with pytest.raises(DataError, match=r"cache\.npz: No space left on device; free some space"):
        write_arrays(tmp_path / "cache.npz", ARRAYS, "data_dir")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/cache\.npz.*another folder with data_dir"):
        write_arrays(tmp_path / "file" / "cache.npz", ARRAYS, "data_dir")


def test_cached_data_and_gram_are_reused_until_the_settings_change(debian, debian_gram, data_dir):
    settings = Debian()
    files = sorted(data_dir.rglob("*.npz"))
    again = load(settings, data_dir)
    assert again.digest == debian.digest
    assert np.array_equal(load_gram(again, "float32", data_dir), debian_gram)
    assert sorted(data_dir.rglob("*.npz")) == files
    for name, (matrix, _) in again.parts().items():
        assert (matrix != debian.parts()[name][0]).nnz == 0
    assert load(Debian(split_seed=1), data_dir).digest != debian.digest

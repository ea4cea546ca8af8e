import errno
from pathlib import Path

import numpy as np
import pytest

from edlae_sweeps.datasets import Debian, cache, load, load_gram, read_arrays, write_arrays
from edlae_sweeps.datasets.cache import load_or_build
from edlae_sweeps.errors import DataError

ARRAYS = {"numbers": np.arange(1000), "names": np.array(["a", "é", "zz"])}


def equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_every_flipped_byte_is_detected_or_harmless(tmp_path: Path):
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

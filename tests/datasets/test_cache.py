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


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path):
    path = tmp_path / "cache.npz"
    write_arrays(path, ARRAYS, "data_dir")
    whole = path.read_bytes()
    rebuilt = 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x5A]) + whole[position + 1 :])
        built = []
        assert equal(load_or_build(path, frozenset(ARRAYS), lambda: built.append(1) or ARRAYS), ARRAYS)  # noqa: B023
        rebuilt += bool(built)
        assert equal(read_arrays(path), ARRAYS)
    assert rebuilt > 0.9 * len(range(0, len(whole), 7))


def test_every_truncation_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "cache.npz"
    write_arrays(path, ARRAYS, "data_dir")
    whole = path.read_bytes()
    for length in [0, 1, 10, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        caplog.clear()
        assert equal(load_or_build(path, frozenset(ARRAYS), lambda: ARRAYS), ARRAYS)
        assert "is built again" in caplog.text
        assert path.read_bytes() == whole


def test_pickled_arrays_are_never_loaded(tmp_path: Path):
    path = tmp_path / "cache.npz"
    np.savez(path, numbers=np.array([{"a": 1}], dtype=object), names=ARRAYS["names"])
    assert equal(load_or_build(path, frozenset(ARRAYS), lambda: ARRAYS), ARRAYS)


def test_a_write_that_fails_leaves_neither_file_nor_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    with pytest.raises(DataError, match=r"cache\.npz: No space left on device; free some space"):
        write_arrays(tmp_path / "cache.npz", ARRAYS, "data_dir")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/cache\.npz.*another folder by data_dir"):
        write_arrays(tmp_path / "file" / "cache.npz", ARRAYS, "data_dir")


def test_prepared_data_and_gram_come_back_the_same_and_changed_settings_are_prepared_anew(
    debian, debian_gram, data_dir
):
    settings = Debian(2000, 5, 5, 0.2, 98765)
    files = sorted(data_dir.rglob("*.npz"))
    again = load(settings, data_dir)
    assert again.digest == debian.digest
    assert np.array_equal(load_gram(again, "float32", data_dir), debian_gram)
    assert sorted(data_dir.rglob("*.npz")) == files
    for name, (matrix, _) in again.parts().items():
        assert (matrix != debian.parts()[name][0]).nnz == 0
    assert load(Debian(2000, 5, 5, 0.2, 1), data_dir).digest != debian.digest

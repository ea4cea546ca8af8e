"""Models in a folder: mapped into memory, whole or not at all, and refused if damaged."""

import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from examples import KINDS, NAMES, N, examples
from scipy.sparse import csr_array

from edlae_sweeps import disk
from edlae_sweeps.errors import DataError
from edlae_sweeps.models import FullRank, LowRank, Model, folder, load_model

FOLD_IN = csr_array((np.random.default_rng(1).random((6, N)) < 0.4).astype(np.float32))
# A full-rank model of n items answers one basket; prints the file's size and how much the resident memory grew.
ANSWER = """
import sys
import psutil
import numpy as np
from edlae_sweeps.models import load_model
load_model(sys.argv[2]).recommend([0])
before = psutil.Process().memory_info().rss
model = load_model(sys.argv[1])
recommended = model.recommend([5, 77, 1234], k=10)
model.contributions(np.array([5, 77, 1234]), np.array([item for item, _ in recommended]))
grown = psutil.Process().memory_info().rss - before
print(model.B.nbytes, grown, recommended[0].item)
"""


def is_mapped(array: np.ndarray) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mmap", [True, False])
def test_a_folder_is_mapped_unless_told_otherwise(kind, mmap, tmp_path):
    model = examples(names=NAMES)[kind]
    loaded = load_model(model.save(tmp_path / "model"), mmap=mmap)
    assert np.array_equal(loaded.scores(FOLD_IN), model.scores(FOLD_IN))
    large = [array for array in loaded.arrays().values() if array.ndim]
    assert {is_mapped(array) for array in large} == {mmap}
    if mmap:
        with pytest.raises(ValueError, match="read-only"):
            large[0][:] = 0


def test_a_folder_holds_npy_files_and_json(tmp_path):
    path = examples(names=NAMES)["network"].save(tmp_path / "model")
    header = json.loads((path / "model.json").read_text())
    assert (header["format"], header["model"]) == (1, "Network")
    assert header["values"] == {"activation": "gelu", "last_linear": False}
    assert {file.name for file in path.iterdir()} == {"model.json", *(f"{name}.npy" for name in header["arrays"])}
    assert np.array_equal(np.load(path / "items.npy", allow_pickle=False), NAMES)


def test_arrays_in_any_order_are_written_row_by_row(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_BLOCK_BYTES", 64)
    B = np.asfortranarray(np.random.default_rng(0).random((9, 9)))
    loaded = load_model(FullRank(B, np.ones(9)).save(tmp_path / "model"))
    assert np.array_equal(loaded.B, B)
    assert loaded.B.flags.c_contiguous


def test_an_empty_array_loads(tmp_path):
    folder.write_array(tmp_path / "empty.npy", np.empty((0, 3), np.int32))
    assert folder.read_array(tmp_path / "empty.npy", mmap=True).shape == (0, 3)


def test_a_model_in_use_survives_its_replacement(tmp_path):
    first, second = examples("float32")["full rank"], examples("float64")["full rank"]
    loaded = load_model(first.save(tmp_path / "model"))
    second.save(tmp_path / "model")
    assert np.array_equal(loaded.scores(FOLD_IN), first.scores(FOLD_IN))
    assert load_model(tmp_path / "model").dtype == np.float64
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_old_model_has_its_name_until_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    path = examples()["low rank"].save(tmp_path / "model")
    named: dict[str, bool] = {}

    def flushed(number: int) -> None:
        named.setdefault(Path(f"/proc/self/fd/{number}").readlink().name, path.exists())

    monkeypatch.setattr(disk.os, "fsync", flushed)
    examples()["low rank"].save(path)
    assert {"model.json", "U.npy", "V.npy"} <= set(named)
    assert all(named.values())


def test_other_files_are_not_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="something else is there; choose another path"):
        examples()["low rank"].save(tmp_path / "model")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="something else is there"):
        examples()["low rank"].save(tmp_path / "file")
    assert (tmp_path / "model" / "thesis.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_a_failure_leaves_the_old_model(tmp_path, monkeypatch):
    path = examples()["low rank"].save(tmp_path / "model")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_array", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        examples()["full rank"].save(path)
    monkeypatch.undo()
    assert repr(load_model(path)) == repr(examples()["low rank"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_folder_above_the_model_stands_for_it(tmp_path):
    model = examples()["low rank"]
    # As in an MLflow model, and in the output of a run that kept one.
    model.save(tmp_path / "output" / "model" / "data")
    assert repr(load_model(tmp_path / "output" / "model")) == repr(model)
    assert repr(load_model(tmp_path / "output")) == repr(model)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "U.npy").unlink(), "No such file"),
        (lambda path: (path / "U.npy").write_bytes(b""), ""),
        (lambda path: (path / "U.npy").write_bytes((path / "U.npy").read_bytes()[:-4]), ""),
        (lambda path: np.save(path / "U.npy", np.ones((N, 2), np.float32)), "U.npy and model.json disagree"),
        (lambda path: np.save(path / "U.npy", np.array([{}] * N)), ""),
        (lambda path: (path / "model.json").write_text("{"), ""),
        (lambda path: (path / "model.json").write_text("[]"), ""),
        (lambda path: (path / "model.json").write_text("{}"), "it has no array 'format'"),
    ],
)
def test_damaged_folders_are_refused_in_one_line(damage, message, tmp_path):
    path = examples(names=NAMES)["low rank"].save(tmp_path / "model")
    damage(path)
    with pytest.raises(DataError, match="can't read a model from") as caught:
        load_model(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 2}, "format 2 is newer .*upgrade"), ({"arrays": {"../U": ["<f4", [N, 3]]}}, "an array named '../U'")],
)
def test_headers_of_another_kind_are_refused(change, message, tmp_path):
    path = examples()["low rank"].save(tmp_path / "model")
    header = json.loads((path / "model.json").read_text())
    (path / "model.json").write_text(json.dumps({**header, **change}))
    with pytest.raises(DataError, match=message):
        load_model(path)


def answer(n: int, folder, small: Model) -> tuple[int, int]:
    """Save a full-rank model of n items, answer a basket in another process: bytes of the model, growth of memory."""
    B = np.zeros((n, n), np.float32)
    B[[5, 77, 1234]] = np.random.default_rng(0).random((3, n))
    expected = int(B.sum(axis=0).argmax())
    path = FullRank(B, np.ones(n)).save(folder / "model")
    del B
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, path, small.save(folder / "small")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    size, grown, item = map(int, done.stdout.split())
    assert item == expected
    shutil.rmtree(path)
    return size, grown


def test_a_large_model_answers_without_being_read(tmp_path):
    size, grown = answer(5_000, tmp_path, examples()["full rank"])
    assert size == 100_000_000
    assert grown < size / 10


def test_factors_are_saved_loaded_and_used_without_a_copy(tmp_path):
    n, random = 200_000, np.random.default_rng(0)
    U, V = random.standard_normal((2, n, 40), dtype=np.float32)
    names = np.char.mod("item%07d", random.permutation(n))
    model = LowRank(U, V, item_names=names, item_counts=np.arange(n, 0.0, -1))
    basket = names[[5, 77, 1234]].tolist()
    expected = model.recommend(basket), model.similar(basket[0]), model.popular()
    tracemalloc.start()
    loaded = load_model(model.save(tmp_path / "model"))
    assert (loaded.recommend(basket), loaded.similar(basket[0]), loaded.popular()) == expected
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # U takes 32 MB, and so does V.
    assert peak < 24e6


@pytest.mark.slow
def test_a_model_of_the_largest_catalogue_answers_without_being_read(tmp_path):
    size, grown = answer(20_108, tmp_path, examples()["full rank"])
    assert size > 1.6e9
    assert grown < 40e6

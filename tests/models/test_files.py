"""Models on disk: round trips, files of the first wave, and damaged files."""

import subprocess
import sys

import numpy as np
import pytest
from examples import KINDS, NAMES, N, examples
from scipy.sparse import csr_array

from edlae_sweeps.errors import DataError
from edlae_sweeps.models import load_model

FOLD_IN = csr_array((np.random.default_rng(1).random((6, N)) < 0.4).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("names", [None, NAMES], ids=["without names", "with names"])
@pytest.mark.parametrize("file", ["any name", "model.npz"])
def test_a_saved_model_loads_as_it_was(kind, dtype, names, file, tmp_path):
    model = examples(dtype, names)[kind]
    path = model.save(tmp_path / "new folder" / file)
    assert path == tmp_path / "new folder" / file
    loaded = load_model(path)
    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    assert loaded.arrays().keys() == model.arrays().keys()
    for name, array in model.arrays().items():
        assert np.array_equal(loaded.arrays()[name], array)
        assert loaded.arrays()[name].dtype == array.dtype
    fold_in = FOLD_IN.astype(dtype)
    assert np.array_equal(loaded.scores(fold_in), model.scores(fold_in))
    assert loaded.record is None
    if names is None:
        assert loaded.item_names is None
        assert loaded.recommend([0]) == model.recommend([0])
    else:
        assert loaded.item_names.tolist() == names
        assert loaded.recommend(names[:2]) == model.recommend(names[:2])


def test_a_folder_stands_for_the_file_in_it(tmp_path):
    model = examples()["low rank"]
    model.save(tmp_path / "model.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]
    assert np.array_equal(load_model(tmp_path).U, model.U)
    assert np.array_equal(load_model(str(tmp_path)).U, model.U)


@pytest.mark.parametrize("name", ["model", "model.npz"])
def test_saving_replaces_the_model(name, tmp_path):
    models = examples()
    models["low rank"].save(tmp_path / name)
    models["network"].save(tmp_path / name)
    assert repr(load_model(tmp_path / name)) == repr(models["network"])
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_names_that_are_numbers_stay_numbers(tmp_path):
    model = examples()["low rank"].named(np.arange(100, 100 + N))
    loaded = load_model(model.save(tmp_path))
    assert loaded.recommend([103], k=1)[0].item in range(100, 100 + N)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_the_first_wave_loads_and_scores(kind, tmp_path):
    model = examples()[kind]
    # The first wave wrote every model with names, and a full-rank one without d.
    arrays = {name: array for name, array in model.arrays().items() if name != "d"}
    np.savez(tmp_path / "model.npz", items=np.array(NAMES), **arrays)
    loaded = load_model(tmp_path)
    assert loaded.item_names.tolist() == NAMES
    assert np.array_equal(loaded.scores(FOLD_IN), model.scores(FOLD_IN))
    assert [item for item, _ in loaded.recommend(NAMES[:1], k=3)] == [
        item for item, _ in model.named(np.array(NAMES)).recommend(NAMES[:1], k=3)
    ]
    if kind == "full rank":
        with pytest.raises(DataError, match="has no d"):
            loaded.training_metrics(np.eye(N), np.ones(N))


def refusal(path) -> str:
    with pytest.raises(DataError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_path_is_refused(tmp_path):
    assert "there is no such file; name a model.npz or the folder that holds a model" in refusal(tmp_path / "nowhere")
    assert "there is no such file" in refusal(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_a_damaged_file_is_refused(kind, damage, tmp_path):
    path = examples(names=NAMES)[kind].save(tmp_path / "model.npz")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        # In the data of the first array, after both headers.
        content[200] ^= 0xFF
    damaged = {"empty": b"", "text": b"no model\n" * 50, "cut": content[: len(content) // 2], "flipped": content}
    path.write_bytes(damaged[damage])
    assert "can't read a model from" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "low rank", "V": None}, "it has no array 'V'"),
        ({"kind": "network", "b2": None}, "it has no array 'b2'"),
        ({"kind": "network", "activation": None}, "it has no array 'activation'"),
        ({"kind": "network", "activation": np.array("sine")}, "activation 'sine' is none of relu, tanh, gelu, selu"),
        ({"kind": "low rank", "V": np.ones((N, 2))}, r"its arrays don't match: U \(7, 3\), V \(7, 2\)"),
        ({"kind": "low rank", "items": np.array(["a"])}, r"its arrays don't match: .*items \(1,\)"),
        ({"kind": "low rank", "U": np.ones(N), "V": np.ones(N)}, "its arrays don't match"),
        ({"kind": "full rank", "B": np.ones((N, 2))}, "its arrays don't match"),
        ({"kind": "full rank", "d": np.ones(2)}, "its arrays don't match"),
        ({"kind": "full rank", "B": None}, "it has no array"),
        ({"kind": "network", "W2": np.ones((4, 3))}, "its arrays don't match"),
        ({"kind": "network", "V": np.ones((N, 9))}, "its arrays don't match"),
        ({"kind": "factorisation", "V": np.ones(N)}, "its arrays don't match"),
        ({"kind": "factorisation", "alpha": np.ones(2)}, "its arrays don't match"),
        ({"kind": "cosine", "A": np.ones(N)}, "its arrays don't match"),
        ({"kind": "network", "items": np.array([["a"]])}, "its arrays don't match"),
    ],
)
def test_arrays_that_make_no_model_are_refused(changes, message, tmp_path):
    kind = changes.pop("kind")
    arrays = {**examples()[kind].arrays(), **changes}
    np.savez(tmp_path / "model.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=message):
        load_model(tmp_path)


def test_pickles_are_refused(tmp_path):
    arrays = examples()["low rank"].arrays()
    np.savez(tmp_path / "model.npz", **arrays, items=np.array([object()] * N), allow_pickle=True)
    assert "can't read a model from" in refusal(tmp_path / "model.npz")


def test_a_path_that_can_not_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another folder with the path") as caught:
        examples()["low rank"].save(tmp_path / "file" / "model.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_recommends_in_a_new_process_without_frameworks(kind, tmp_path):
    model = examples(names=NAMES)[kind]
    path = model.save(tmp_path)
    script = f"""
import sys
from edlae_sweeps.models import load_model
for item, score in load_model({str(path)!r}).recommend(["plain"], k=3):
    print(ascii(item), score)
loaded = {{"hydra", "omegaconf", "mlflow", "optuna", "matplotlib", "rich", "torch"}} & set(sys.modules)
sys.exit(", ".join(sorted(loaded)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    expected = [f"{item!a} {score}" for item, score in model.recommend(["plain"], k=3)]
    assert done.stdout.splitlines() == expected

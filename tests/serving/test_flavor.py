"""The MLflow model folder: no code, no pickle, a signature, and the same recommendations."""

import json
import tracemalloc
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model as MlflowModel
from mlflow.models import get_model_info

from edlae_sweeps.errors import DataError
from edlae_sweeps.models import LowRank, load_model
from edlae_sweeps.serving import Basket, Recommender, UserHistory, save_mlflow_model
from edlae_sweeps.serving.flavor import PyfuncRecommender, load_recommender

ODD = ["plain", "it's", 'say "hi"', "a,b;c", "naïve Ωmega 日本", "<b>bold</b> & more", " space ", "new\nline", "=1+1"]
N = len(ODD)


@pytest.fixture
def recommender() -> Recommender:
    random = np.random.default_rng(0)
    model = LowRank(*(random.standard_normal((N, 3)).astype(np.float32) for _ in range(2)))
    history = UserHistory(np.array(["u,1", "ü2"]), np.array([0, 2, 3]), np.array([0, 3, 5]))
    return Recommender(model.described(np.array(ODD), np.arange(N, 0, -1.0)), history)


@pytest.fixture
def folder(recommender, tmp_path) -> Path:
    return save_mlflow_model(tmp_path / "model", recommender)


def test_the_folder_holds_arrays_and_text_alone(folder, recommender):
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {"", ".npy", ".json", ".yaml", ".txt"}
    for path in files:
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
    assert repr(load_model(folder)) == repr(recommender.model)
    description = MlflowModel.load(str(folder / "MLmodel"))
    assert description.flavors["python_function"]["loader_module"] == "edlae_sweeps.serving.flavor"
    assert description.model_size_bytes == pytest.approx(sum(path.stat().st_size for path in files), rel=0.05)


def test_the_signature_says_what_a_request_has(folder):
    signature = get_model_info(str(folder)).signature
    assert [(c.name, str(c.type), c.required) for c in signature.inputs] == [
        ("items", "Array(string)", False), ("user", "DataType.string", False)
    ]  # fmt: skip
    assert {p.name: (p.dtype.name, p.default) for p in signature.params} == {
        "k": ("long", 10), "exclude_known": ("boolean", True), "explain": ("boolean", False)
    }  # fmt: skip
    requirements = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in requirements] == ["edlae_sweeps", "mlflow", "numpy", "pandas", "scipy"]
    example = json.loads((folder / "serving_input_example.json").read_text())
    assert example["dataframe_split"]["data"] == [[ODD[:3]]]


@pytest.mark.parametrize("explain", [True, False])
def test_mlflow_gives_the_same_recommendations(folder, recommender, explain):
    loaded = mlflow.pyfunc.load_model(str(folder))
    frame = pd.DataFrame({"items": [[ODD[1], ODD[4]], [*ODD[5:], "x"], [], ["x"]], "user": [None, None, "ü2", None]})
    answer = loaded.predict(frame, params={"k": 4, "explain": explain})
    baskets = [Basket(items, user) for items, user in zip(frame["items"], frame["user"], strict=True)]
    baskets = [Basket(basket.items, None if pd.isna(basket.user) else basket.user) for basket in baskets]
    table = recommender.recommend_table(baskets, 4, explain=explain)
    assert list(answer.columns) == ["row", "item", "score", "rank", *(["because"] if explain else []), "note"]
    for name in ("row", "item", "score", "rank", "note"):
        assert answer[name].tolist() == table[name]
    if explain:
        reasons = [tuple((r["item"], r["contribution"]) for r in line) for line in answer["because"]]
        assert reasons == table["because"]


def test_the_defaults_are_those_of_recommend(folder, recommender):
    answer = mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"items": [[ODD[2]]]}))
    assert answer["item"].tolist() == [r.item for r in recommender.recommend([ODD[2]])]
    by_user = mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"user": ["u,1"]}), params={"k": 3})
    assert by_user["item"].tolist() == [r.item for r in recommender.recommend(user="u,1", k=3)]


@pytest.mark.parametrize(
    ("frame", "params", "message"),
    [
        ({"items": [["plain"]]}, {"k": 0}, "k=0: choose a whole number from 1"),
        ({"itms": [["plain"]]}, None, "pass a column items"),
        ({"items": [["plain"], None]}, None, "row 1: give items, a user, or both"),
    ],
)
def test_bad_requests_are_the_callers_error(recommender, frame, params, message):
    with pytest.raises(MlflowException, match=message) as caught:
        PyfuncRecommender(recommender).predict(pd.DataFrame(frame), params)
    assert caught.value.get_http_status_code() == 400


def test_missing_values_of_pandas_are_no_names(recommender):
    frame = pd.DataFrame({"items": [["plain"], np.nan, None], "user": [np.nan, "u,1", "ü2"]})
    assert set(PyfuncRecommender(recommender).predict(frame, {"k": 1})["note"]) == {""}


def test_integer_names_stay_integers(tmp_path):
    model = LowRank(np.ones((3, 1)), np.arange(3.0)[:, None]).described(np.array([10, 20, 30]), np.ones(3))
    history = UserHistory(np.array([7]), np.array([0, 1]), np.array([1]))
    loaded = mlflow.pyfunc.load_model(str(save_mlflow_model(tmp_path / "model", Recommender(model, history))))
    answer = loaded.predict(pd.DataFrame({"items": [[10]]}))
    assert answer["item"].tolist() == [30, 20]
    assert loaded.predict(pd.DataFrame({"user": [7]}))["item"].tolist() == [30, 10]


def test_a_model_without_names_or_users_goes_by_index(tmp_path):
    model = LowRank(np.ones((3, 1)), np.arange(3.0)[:, None])
    loaded = mlflow.pyfunc.load_model(str(save_mlflow_model(tmp_path / "model", Recommender(model))))
    assert loaded.predict(pd.DataFrame({"items": [[0]]}))["item"].tolist() == [2, 1]
    assert [column.name for column in loaded.metadata.signature.inputs] == ["items"]


def test_many_items_and_users_are_kept_and_served_without_a_copy(tmp_path):
    n, random = 150_000, np.random.default_rng(0)
    U, V = random.standard_normal((2, n, 50), dtype=np.float32)
    items, users = (np.char.mod(f"{kind}%07d", random.permutation(n)) for kind in ("item", "user"))
    history = UserHistory(users, np.arange(n + 1), random.integers(0, n, n, dtype=np.int32))
    model = LowRank(U, V).described(items, np.ones(n))
    tracemalloc.start()
    save_mlflow_model(tmp_path / "model", Recommender(model, history))
    serving = load_recommender(tmp_path / "model" / "data")
    by_name, by_user = serving.recommend(items[history.indices[7:8]].tolist()), serving.recommend(user=users[7].item())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert by_name == by_user
    # U takes 30 MB, and so does V.
    assert peak < 26e6


def test_a_full_disk_leaves_nothing(recommender, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(UserHistory, "save", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        save_mlflow_model(tmp_path / "model", recommender)
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_not_replaced(recommender, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="something else is there"):
        save_mlflow_model(tmp_path, recommender)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_saving_replaces_the_model(folder, tmp_path):
    model = LowRank(np.ones((3, 1)), np.ones((3, 1)))
    assert save_mlflow_model(folder, Recommender(model)) == folder
    assert repr(load_model(folder)) == repr(model)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

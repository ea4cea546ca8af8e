"""Recommendations by name: for baskets, for users of the data, and for tables of both."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edlae_sweeps.datasets import Prepared, Synthetic, load
from edlae_sweeps.errors import ConfigError, DataError
from edlae_sweeps.models import Encoder, Layer, LowRank, Network
from edlae_sweeps.serving import Basket, Recommender, UserHistory
from edlae_sweeps.serving.names import as_name

ODD = ["plain", "it's", 'say "hi"', "a,b;c", "naïve Ωmega 日本", "<b>bold</b> & more", " space ", "new\nline", "=1+1"]
N = len(ODD)
COUNTS = np.arange(N, 0, -1.0)


def recommender(names=tuple(ODD), users=("u,1", "ü2")) -> Recommender:
    """A model with scores that are easy to follow: item i adds i + 1 to each item j, times (N − j) / 10."""
    U, V = np.arange(1.0, N + 1)[:, None], (N - np.arange(N))[:, None] / 10
    model = LowRank(U, V).described(np.array(names), COUNTS)
    return Recommender(model, UserHistory(np.array(users), np.array([0, 2, 3]), np.array([0, 3, 5])))


@pytest.fixture(scope="module")
def data(data_dir: Path) -> Prepared:
    return load(Synthetic(n_users=300, n_items=40, mean_events=12, topics=5, heldout_users=50), data_dir)


def test_a_basket_gets_items_with_score_and_rank():
    first, second = recommender().recommend(["it's", "=1+1"], k=2)
    assert (first.item, first.rank, first.because, first.note) == ("plain", 1, (), "")
    assert first.score == pytest.approx((2 + 9) * N / 10)
    assert (second.item, second.rank) == ('say "hi"', 2)


def test_the_answer_is_the_models():
    serving = recommender()
    expected = serving.model.recommend(ODD[2:5], k=4, exclude_known=False)
    assert [(r.item, r.score) for r in serving.recommend(ODD[2:5], k=4, exclude_known=False)] == expected
    assert serving.similar(ODD[1], k=3) == serving.model.similar(ODD[1], k=3)


@pytest.mark.parametrize("container", [list, tuple, set, np.array, iter])
def test_a_basket_is_any_collection(container):
    serving = recommender()
    rows = [Basket(container(ODD[:2])), Basket(container(ODD[4:5])), Basket(user="u,1"), Basket(container([]))]
    lists = [Basket(ODD[:2]), Basket(ODD[4:5]), Basket(user="u,1"), Basket([])]
    assert serving.recommend_table(rows, 3, explain=True) == serving.recommend_table(lists, 3, explain=True)


def test_items_that_the_basket_has_are_left_out():
    assert [r.item for r in recommender().recommend(ODD[1:], k=5)] == [ODD[0]]
    assert len(recommender().recommend(ODD[1:], k=50, exclude_known=False)) == N
    assert recommender().recommend(ODD, k=5) == []


def test_a_users_items_are_the_basket():
    serving = recommender()
    assert serving.recommend(user="u,1", k=3) == serving.recommend([ODD[0], ODD[3]], k=3)
    assert serving.recommend([ODD[3], ODD[8]], "u,1", k=3) == serving.recommend([ODD[0], ODD[3], ODD[8]], k=3)


def test_explanations_are_the_items_that_add_most():
    (best,) = recommender().recommend([*ODD[1:6], "nope"], k=1, explain=True)
    assert [item for item, _ in best.because] == [ODD[5], ODD[4], ODD[3]]
    assert [value for _, value in best.because] == pytest.approx([6 * N / 10, 5 * N / 10, 4 * N / 10])
    # Items that lower a score do not explain it.
    serving = recommender()
    lowered = Recommender(LowRank(-serving.model.U, serving.model.V).described(np.array(ODD), COUNTS))
    assert {r.because for r in lowered.recommend(ODD[:2], k=3, explain=True)} == {()}


def test_unknown_names_are_noted_and_ignored():
    known = recommender().recommend([ODD[4]], k=2)
    noted = recommender().recommend([ODD[4], "<i>x</i>", None, "y"], k=2)
    assert [r[:3] for r in noted] == [r[:3] for r in known]
    assert {r.note for r in noted} == {"unknown items, ignored: <i>x</i>, None, y"}
    many = recommender().recommend([ODD[4], *"abcdefgh"], k=1)
    assert many[0].note == "unknown items, ignored: a, b, c, d, e, …"
    assert recommender().recommend([ODD[4]], "nobody", k=1)[0].note == "unknown user: nobody"


@pytest.mark.parametrize(("items", "user"), [([], None), (["x"], None), (None, "nobody"), (["x"], "nobody")])
def test_popular_items_stand_in_and_say_so(items, user):
    recommended = recommender().recommend(items, user, k=3, explain=True)
    assert [(r.item, r.score, r.rank, r.because) for r in recommended] == [
        (ODD[0], 9, 1, ()), (ODD[1], 8, 2, ()), (ODD[2], 7, 3, ())
    ]  # fmt: skip
    assert all(r.note.endswith("these are the most popular items") for r in recommended)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "row 0: give items, a user, or both"),
        ({"items": ["plain"], "k": 0}, "k=0: choose a whole number from 1"),
        ({"items": ["plain"], "k": 1.5}, "k=1.5: choose a whole number from 1"),
        ({"items": "plain"}, r"items='plain': pass a list of items, such as \['plain'\]"),
    ],
)
def test_requests_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises((ConfigError, DataError), match=message):
        recommender().recommend(**arguments)


def test_what_the_model_was_kept_without_is_said():
    bare = Recommender(LowRank(np.ones((3, 1)), np.ones((3, 1))))
    with pytest.raises(DataError, match="user=u: the model was kept without the users"):
        bare.recommend(user="u")
    with pytest.raises(DataError, match="row 0: the basket has no item that the model knows"):
        bare.recommend([7])
    assert [r.item for r in bare.recommend([1], k=5)] == [0, 2]
    network = Network(Encoder([Layer(np.ones((3, 2)), np.ones(2))], "relu", False), np.ones((3, 2)))
    assert len(Recommender(network).recommend([0], k=5)) == 2
    with pytest.raises(ConfigError, match="choose explain=false"):
        Recommender(network).recommend([0], explain=True)


@given(st.lists(st.lists(st.sampled_from([*ODD, "x"]), max_size=6), max_size=12), st.integers(1, 12), st.booleans())
def test_a_table_is_its_rows(baskets, k, explain):
    serving = recommender()
    table = serving.recommend_table([Basket(items) for items in baskets], k, explain=explain)
    because = table.get("because", [()] * len(table["row"]))
    lines = [(row, r) for row, items in enumerate(baskets) for r in serving.recommend(items, k=k, explain=explain)]
    assert table["row"] == [row for row, _ in lines]
    for name in ("item", "rank", "note"):
        assert table[name] == [getattr(r, name) for _, r in lines]
    # A product of one row may be summed in another order.
    assert table["score"] == pytest.approx([r.score for _, r in lines])
    assert [[item for item, _ in reasons] for reasons in because] == [[item for item, _ in r.because] for _, r in lines]


@pytest.mark.parametrize(
    ("value", "names", "expected"),
    [
        ("12", np.array([12]), 12),
        (12.0, np.array([12]), 12),
        (np.int64(12), np.array([12]), 12),
        ("-3", np.array([12]), -3),
        ("x", np.array([12]), "x"),
        (1.5, np.array([12]), "1.5"),
        ("12", None, 12),
        (12, np.array(["12"]), "12"),
        (12.0, np.array(["12"]), "12"),
        (np.str_("a"), np.array(["12"]), "a"),
        (None, np.array(["12"]), "None"),
        (["a"], np.array(["12"]), "['a']"),
        (["a"], np.array([12]), "['a']"),
        ("²", np.array([12]), "²"),
        (0.5, np.array([0.5]), 0.5),
        ("0.5", np.array([0.5]), "0.5"),
    ],
)
def test_names_take_the_type_of_the_models(value, names, expected):
    name = as_name(value, names)
    assert name == expected
    assert type(name) is type(expected)


def test_integer_names_may_come_as_text():
    serving = recommender(range(100, 100 + N), (7, 8))
    assert serving.recommend(["103", 104.0], k=2) == serving.recommend([103, 104], k=2)
    assert serving.recommend(user="7", k=2) == serving.recommend([100, 103], k=2)
    assert type(serving.recommend([103], k=1)[0].item) is int


def test_the_history_has_what_the_split_lets_a_model_see(data):
    history = UserHistory.of(data)
    assert history.names.tolist() == data.user_names.tolist()
    parts = ((data.train, 0), (data.validation.fold_in, data.validation.first_user),
             (data.test.fold_in, data.test.first_user))  # fmt: skip
    for matrix, first in parts:
        for row in range(matrix.shape[0]):
            columns = history.columns(data.user_names[first + row].item())
            assert columns.tolist() == matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist()
    targets = data.test.targets[[0]].indices
    assert not set(targets) & set(history.columns(data.user_names[data.test.first_user].item()))
    assert history.columns("nobody") is None


def test_the_history_is_saved(data, tmp_path):
    history = UserHistory.of(data)
    history.save(tmp_path)
    assert history.bytes == pytest.approx(sum(file.stat().st_size for file in tmp_path.iterdir()), abs=3 * 128)
    loaded = UserHistory.load(tmp_path)
    for name in ("names", "indptr", "indices"):
        assert np.array_equal(getattr(loaded, name), getattr(history, name))
    (tmp_path / "empty").mkdir()
    assert UserHistory.load(tmp_path / "empty") is None


@pytest.mark.parametrize("name", ["user_names", "history_indptr", "history_indices"])
@pytest.mark.parametrize("content", [None, b"", b"cut"])
def test_a_damaged_history_is_refused(data, tmp_path, name, content):
    UserHistory.of(data).save(tmp_path)
    file = tmp_path / f"{name}.npy"
    if content is None:
        np.save(file, np.arange(3))
    else:
        file.write_bytes(content and file.read_bytes()[:-8])
    with pytest.raises(DataError, match="can't read the users' history from") as caught:
        UserHistory.load(tmp_path)
    assert "\n" not in str(caught.value)

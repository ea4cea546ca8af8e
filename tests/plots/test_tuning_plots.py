"""Pictures of a search: the best evaluation is the largest value, but for Gini the smallest, which has no errors."""

import pytest
from matplotlib.axes import Axes

from edlae_sweeps.plots import plot_history, plot_landscape

VALUES = (0.5, 0.7, 0.4, 0.6, 0.45)
ROWS = [
    {"l2": float(number), "dropout": 0.1 * number, "ndcg_10_tail": value, "ndcg_10_tail_se": 0.01, "gini_5": value}
    for number, value in enumerate(VALUES, 1)
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """The arguments of each call of some methods of Axes."""
    calls: dict[str, list] = {}

    def watch(name: str) -> None:
        method = getattr(Axes, name)

        def call(ax, *args, **keys):
            calls.setdefault(name, []).append((*args, keys))
            return method(ax, *args, **keys)

        monkeypatch.setattr(Axes, name, call)

    for name in ("set_title", "step", "errorbar", "scatter"):
        watch(name)
    return calls


@pytest.mark.parametrize(
    ("metric", "best", "so_far", "errors", "colours"),
    [
        ("ndcg_10_tail", "0.7000 at λ = 2", [0.5, 0.7, 0.7, 0.7, 0.7], [0.01] * 5, "viridis"),
        ("gini_5", "0.4000 at λ = 3", [0.5, 0.5, 0.4, 0.4, 0.4], None, "viridis_r"),
    ],
)
def test_the_best_is_marked(drawn, tmp_path, metric, best, so_far, errors, colours):
    plot_landscape(ROWS, {"l2": True}, metric, "search", tmp_path / "one.png")
    plot_landscape(ROWS, {"l2": True, "dropout": False}, metric, "search", tmp_path / "two.png")
    plot_history(ROWS, metric, "search", tmp_path / "history.png")
    assert [title.partition(",")[0] for title, _ in drawn["set_title"]] == [f"search: best {best}"] * 2 + ["search"]
    assert drawn["step"][0][1] == so_far
    assert [call[2] for call in drawn["errorbar"]] == [errors, errors]
    assert drawn["scatter"][1][-1]["cmap"] == colours


def test_a_dollar_in_the_name_of_the_data_is_no_mathematics(tmp_path):
    for name, axes in (("one", {"l2": True}), ("two", {"l2": True, "dropout": False})):
        plot_landscape(ROWS, axes, "gini_5", "a $_^$ b", tmp_path / f"{name}.png")
    plot_history(ROWS, "gini_5", "a $_^$ b", tmp_path / "history.png")
    assert len(list(tmp_path.iterdir())) == 3

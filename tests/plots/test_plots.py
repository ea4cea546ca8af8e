"""Plots take labels and styles as they come, and draw nothing else."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from edlae_sweeps.plots import (
    DiagonalPair,
    Differences,
    Epochs,
    Residuals,
    Series,
    SplitPanel,
    Trial,
    plot_curves,
    plot_diagonal,
    plot_epochs,
    plot_proposition,
    plot_splits,
    plot_tail,
    plot_training,
)
from edlae_sweeps.plots.ranks import positions, sorted_ranks

LINE = Series("a", {"color": "red"}, [2, 5, None], [0.1, 0.2, 0.3], [0.01, 0.01, 0.01])
PLAIN = Series("b", {}, [5], [0.4])


def test_full_is_the_last_rank():
    ranks = sorted_ranks([None, 5, 2, 5, None])
    assert ranks == [2, 5, None]
    assert positions(ranks, ranks) == [2.0, 5.0, pytest.approx(11.0)]
    # Without a low rank, full still has a place on a logarithmic axis.
    assert positions([None], [None])[0] > 0


def test_lines_have_their_label_and_style(tmp_path, monkeypatch):
    drawn = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda ax, *args, **keys: drawn.append(keys) or plot(ax, *args, **keys))
    plot_training("title", [LINE, PLAIN], [LINE], tmp_path / "training")
    assert [keys["label"] for keys in drawn] == ["a", "b", "a"]
    assert drawn[0]["color"] == "red"
    assert "color" not in drawn[1]


@pytest.mark.parametrize("style", [{}, {"color": "blue", "linestyle": ":", "marker": "o"}])
def test_figure_1_needs_no_style_and_no_pairs(tmp_path, style):
    picture = plot_curves("title", {"ndcg_100": [LINE, PLAIN]}, Differences("a", style, []), tmp_path / "figure")
    files = picture.png, picture.svg, picture.pdf
    assert [file.suffix for file in files] == [".png", ".svg", ".pdf"]
    assert all(file.stat().st_size for file in files)


def test_panels_are_parts_that_do_not_overlap(tmp_path):
    picture = plot_curves("title", {"ndcg_100": [LINE, PLAIN]}, Differences("a", {}, [LINE]), tmp_path / "figure")
    assert len(picture.panels) == 4
    for number, box in enumerate(picture.panels):
        assert 0.3 < box.width < 0.6
        assert 0.3 < box.height < 0.6
        assert 0 <= box.left <= box.left + box.width <= 1
        assert 0 <= box.top <= box.top + box.height <= 1
        for other in picture.panels[:number]:
            beside = other.left + other.width < box.left or box.left + box.width < other.left
            assert beside or other.top + other.height < box.top or box.top + box.height < other.top


def test_a_legend_beside_the_panels_is_one_of_them_and_an_empty_panel_is_not(tmp_path):
    run = Epochs([1.0, 2.0], [3.0, 2.0], [], None, None)
    by_epoch = plot_epochs("title", {5: run}, "reference", tmp_path / "epochs")
    assert len(by_epoch.panels) == 3
    panels = [SplitPanel("a", {}, [5], [[0.1, 0.2]], [(0.0, 0.3)])] * 4
    assert len(plot_splits("title", panels, "reference", tmp_path / "splits").panels) == 4


def test_a_dollar_in_a_name_is_no_mathematics(tmp_path):
    name = r"$\frac{"
    line = Series(name, {}, [2, 5], [0.1, 0.2])
    plot_curves(name, {"ndcg_100": [line]}, Differences(name, {}, [line]), tmp_path / "figure")
    plot_splits(name, [SplitPanel(name, {}, [5], [[0.1]], [None])], name, tmp_path / "splits")
    picture = plot_tail(name, [line], [line], tmp_path / "tail")
    assert f"<!-- {name} -->" in picture.svg.read_text(encoding="utf-8")


def test_points_of_many_items_are_no_vectors(tmp_path):
    residuals = Residuals([2, 5], [1e-3, 1e-4], [1e-4, 1e-5])
    sizes = []
    for items in (10, 10_000):
        diagonal = np.random.default_rng(0).random(items)
        picture = plot_diagonal("title", residuals, DiagonalPair(5, diagonal, diagonal), ("a", "b"), tmp_path / "d")
        sizes.append(picture.svg.stat().st_size)
    assert sizes[1] < sizes[0] + 200_000


def test_constant_diagonal_has_no_correlation(tmp_path):
    pair = DiagonalPair(5, np.zeros(3), np.arange(3.0))
    assert pair.correlation is None
    assert DiagonalPair(5, np.arange(3.0), -np.arange(3.0)).correlation == pytest.approx(-1)
    residuals = Residuals([2, 5, None], [1e-3, 1e-4, 1e-5], [1e-4, 1e-5, 1e-6])
    for shown in (pair, None):
        plot_diagonal("title", residuals, shown, ("a", "b"), tmp_path / "diagonal")


def test_only_narrow_networks_leave_the_depth_panel_empty(tmp_path):
    narrow = Trial(
        rank=5, hidden=(3,), last="linear", activation="sine", init="random", weights="none", bound=10.0, ratio=1.5,
        start_ratio=2.0, trained_ratio=1.5, epochs=3, seconds=1.0, validation=0.2, ndcg=0.3, error=0.01,
    )  # fmt: skip
    assert narrow.narrow
    assert narrow.depth == 1
    assert plot_proposition("title", [narrow], tmp_path / "proposition").png.is_file()

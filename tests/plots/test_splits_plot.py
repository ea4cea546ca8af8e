"""The picture of differences over splits."""

import pytest
from matplotlib.axes import Axes

from edlae_sweeps.plots import SplitPanel, plot_splits

PANEL = SplitPanel("a", {"color": "blue", "marker": "D"}, [2, None], [[0.1, -0.1, 0.2], [0.3]], [(-0.1, 0.2), None])


def test_each_split_is_a_point_and_only_several_have_an_interval(tmp_path, monkeypatch):
    drawn = []
    plot = Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda ax, x, y, *args, **keys: drawn.append(y) or plot(ax, x, y, *args, **keys))
    plot_splits("title", [PANEL], "reference", tmp_path / "splits")
    points, interval, mean, single, its_mean = drawn
    assert (list(points), tuple(interval), list(single)) == ([0.1, -0.1, 0.2], (-0.1, 0.2), [0.3])
    assert (mean, its_mean) == ([pytest.approx(0.2 / 3)], [0.3])


@pytest.mark.parametrize("number", [1, 4])
def test_panels_need_no_style(tmp_path, number):
    plain = SplitPanel("b", {}, [5], [[0.1, 0.2]], [(0.0, 0.3)])
    picture = plot_splits("title", [PANEL, *[plain] * (number - 1)], "reference", tmp_path / "splits")
    files = picture.png, picture.svg, picture.pdf
    assert [file.suffix for file in files] == [".png", ".svg", ".pdf"]
    assert all(file.stat().st_size for file in files)

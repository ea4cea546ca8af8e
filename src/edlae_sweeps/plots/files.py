"""Saving pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text

# Space around a panel, in inches: less than the layout leaves between panels.
_MARGIN = 0.02


@dataclass(frozen=True)
class Box:
    """A part of a picture, in shares of its width and height, from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Picture:
    """The files of a picture, and where its panels are: a narrow screen shows one below the other."""

    png: Path
    svg: Path
    pdf: Path
    panels: tuple[Box, ...]


def save(figure: Figure, path: Path) -> Picture:
    """Save as png, svg and pdf. They hold no date: equal figures give equal bytes."""
    without_math(figure)
    png, svg, pdf = (path.with_suffix(suffix) for suffix in (".png", ".svg", ".pdf"))
    with rc_context({"svg.hashsalt": "edlae_sweeps"}):
        for file, metadata in ((png, {}), (svg, {"Date": None}), (pdf, {"CreationDate": None})):
            figure.savefig(file, dpi=140, metadata=metadata)
            # The layout takes as long as the drawing, and is the same for each format.
            figure.set_layout_engine("none")
    return Picture(png, svg, pdf, tuple(_panels(figure)))


def without_math(figure: Figure) -> None:
    """Let a $ be a $ in what is given: names come from users and from shared stores."""
    for text in _given_texts(figure):
        text.set_parse_math(False)


def _given_texts(figure: Figure) -> Iterator[Text]:
    """Titles, labels and legends. Those of ticks are matplotlib's own, with mathematics."""
    yield from figure.texts
    for ax in figure.axes:
        yield from (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts)
    for legend in (*(ax.get_legend() for ax in figure.axes), *figure.legends):
        if legend is not None:
            yield from (legend.get_title(), *legend.get_texts())


def _panels(figure: Figure) -> Iterator[Box]:
    """The box of each panel with its labels, and of each legend beside the panels."""
    width, height = figure.bbox.width, figure.bbox.height
    margin = _MARGIN * figure.dpi
    drawn: list[Artist] = [ax for ax in figure.axes if ax.axison or ax.texts]
    for artist in [*drawn, *figure.legends]:
        box = artist.get_tightbbox()
        if box is not None:
            left, right = max(box.x0 - margin, 0), min(box.x1 + margin, width)
            low, high = max(box.y0 - margin, 0), min(box.y1 + margin, height)
            yield Box(left / width, 1 - high / height, (right - left) / width, (high - low) / height)

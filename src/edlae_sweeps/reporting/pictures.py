"""Pictures inside a page: sharp at any size, and on a narrow screen one panel below the other."""

import base64
import re
from dataclasses import dataclass

from markupsafe import Markup

from edlae_sweeps.plots import Picture

_SVG = re.compile(r'<svg[^>]* viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>(.*)</svg>', re.DOTALL)
# What says nothing in a page; comments hold the texts that were drawn.
_SUPERFLUOUS = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
# CSS pixels of a point where a panel has room: its text is then as large as that of the page.
_PIXELS = 1.25
# Names of parts, and references to them.
_NAMES = re.compile(r'( id="| xlink:href="#|url\(#)')


@dataclass(frozen=True)
class Drawing:
    """A picture for a page.

    key      its name in the page
    content  the elements of its SVG, with names of their own
    box      the viewBox of the whole
    panels   the viewBox of each panel and its largest width in CSS pixels
    png      the same as png, in base64
    """

    key: str
    content: Markup
    box: str
    panels: tuple[tuple[str, int], ...]
    png: str


def drawing(picture: Picture) -> Drawing:
    """The drawing of a picture that was saved."""
    match = _SVG.search(picture.svg.read_text(encoding="utf-8"))
    if match is None:
        raise RuntimeError(f"{picture.svg} is not an SVG as matplotlib writes it")
    key = re.sub(r"\W", "-", picture.svg.stem)
    content = _NAMES.sub(rf"\g<1>{key}-", _SUPERFLUOUS.sub("", match[3]))
    width, height = float(match[1]), float(match[2])
    panels = tuple(
        (
            f"{box.left * width:.1f} {box.top * height:.1f} {box.width * width:.1f} {box.height * height:.1f}",
            round(box.width * width * _PIXELS),
        )
        for box in picture.panels
    )
    png = base64.b64encode(picture.png.read_bytes()).decode()
    # matplotlib escaped the texts that it drew.
    return Drawing(key, Markup(content), f"0 0 {match[1]} {match[2]}", panels, png)  # noqa: S704

"""Saving pictures."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure


def save(figure: Figure, path: Path) -> list[Path]:
    """Save as png, svg and pdf and return the files, png first. They hold no date: equal figures give equal bytes."""
    files = []
    with rc_context({"svg.hashsalt": "edlae_sweeps"}):
        for suffix, metadata in ((".png", {}), (".svg", {"Date": None}), (".pdf", {"CreationDate": None})):
            files.append(path.with_suffix(suffix))
            figure.savefig(files[-1], dpi=140, metadata=metadata)
            # The layout takes as long as the drawing, and is the same for each format.
            figure.set_layout_engine("none")
    return files

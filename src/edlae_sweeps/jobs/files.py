"""The files that a job writes to its output folder, each whole or not at all."""

import csv
import io
import json
import logging
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from edlae_sweeps.datasets import write_arrays
from edlae_sweeps.disk import OLD_SECONDS, remove_leftovers, whole
from edlae_sweeps.errors import DataError
from edlae_sweeps.evaluation import METRICS, PerUser
from edlae_sweeps.jobs.result import Result
from edlae_sweeps.methods import Rank
from edlae_sweeps.models.objective import Vector
from edlae_sweeps.tuning import Search, at_border

_SETTING = "tracking.dir"
_log = logging.getLogger(__name__)


def clean_outputs(folder: Path) -> None:
    """Once a day, remove what killed jobs left half-written anywhere below `folder`, that of all output folders.

    A model that was being kept may be as large as the memory.
    """
    marker = folder / ".cleaned"
    # A job must not fail for this.
    with suppress(OSError):
        if marker.exists() and time.time() - marker.stat().st_mtime < OLD_SECONDS:
            return
        marker.touch()
        for place, _, _ in os.walk(folder):
            remove_leftovers(Path(place))


def write_context(folder: Path, composed: Mapping[str, str]) -> list[Path]:
    """Write the composed configuration and environment.json, which a run can be repeated from; list the files."""
    environment = {"platform": platform.platform(), "packages": _packages()}
    return _write_texts(folder, {**composed, "environment.json": json.dumps(environment, indent=2)})


@cache
def _packages() -> dict[str, str]:
    """The version of each package that is installed."""
    # Each access to the metadata reads the file again.
    return dict(sorted({(data["Name"], data["Version"]) for data in (dist.metadata for dist in distributions())}))


def write_result(result: Result, per_user: PerUser, beta: Vector | None, folder: Path) -> list[Path]:
    """Write result.json, per_user.npz and, if there is one, the diagonal `beta` (n,) to `folder`; list the files.

    Raises DataError if that fails.
    """
    files = _write_texts(folder, {"result.json": result.json()})
    arrays = {"per_user.npz": per_user.arrays()}
    if beta is not None:
        arrays["diagonal.npz"] = {"diagonal": beta}
    for name, content in arrays.items():
        write_arrays(folder / name, content, _SETTING, compressed=True)
        files.append(folder / name)
    return files


def write_search(search: Search, rank: Rank, folder: Path) -> list[Path]:
    """Write the evaluations of a rank as a table and as pictures; list the files."""
    # It imports matplotlib.
    from edlae_sweeps.plots import plot_history, plot_landscape

    rows, metric = search.table(rank), search.tune.metric
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files = _write_texts(folder, {"evaluations.csv": buffer.getvalue().rstrip("\n")})
    title = f"{search.settings.dataset.label}, {search.settings.method.name}, rank {rank}"
    scales = {name: ends.log for name, ends in search.space.items()}
    plot_landscape(rows, scales, metric, title, folder / "landscape.png")
    plot_history(rows, metric, title, folder / "history.png")
    return [*files, folder / "landscape.png", folder / "history.png"]


def search_tags(search: Search, rank: Rank) -> dict[str, str]:
    """Tags of a tuned result. A best value at the border of its range is also logged as a warning."""
    point = search.best(rank).point
    border = at_border(search.space, point)
    for name in border:
        ends = search.space[name]
        _log.warning(
            "rank %s: the best %s = %.4g lies on the border of tune.search.%s=[%g,%g]: widen it",
            rank, name, point[name], name, ends.low, ends.high,
        )  # fmt: skip
    metric = search.tune.metric
    return {
        "search": "cut" if search.cut else "complete",
        # Older cells were tuned by nDCG@100, most of them.
        **({"tuned_by": metric} if metric != METRICS[0] else {}),
        **({"border": ",".join(border)} if border else {}),
    }


def _write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write each text to the file of that name, whole or not at all."""
    for name, text in texts.items():
        try:
            with whole(folder / name) as written:
                written.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"can't write {folder / name}: {error.strerror}; free some space or choose tracking.dir"
            ) from error
    return [folder / name for name in texts]

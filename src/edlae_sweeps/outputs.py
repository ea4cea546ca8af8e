"""The files that a job leaves in its output folder, each whole or not there."""

import csv
import io
import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import distributions
from pathlib import Path

from edlae_sweeps.cells import Cell
from edlae_sweeps.datasets import Prepared, write_arrays
from edlae_sweeps.errors import DataError
from edlae_sweeps.evaluation import PerUser, diagonal
from edlae_sweeps.methods import LowRank, Model, Rank
from edlae_sweeps.plots import plot_history, plot_landscape
from edlae_sweeps.search import Search
from edlae_sweeps.tuning import at_border

_SETTING = "tracking.dir"
_log = logging.getLogger(__name__)


def write_context(folder: Path, composed: Mapping[str, str]) -> list[Path]:
    """Write the composed configuration and environment.json, all that a run can be repeated from; list the files."""
    packages = sorted({(dist.metadata["Name"], dist.version) for dist in distributions()})
    environment = {"platform": platform.platform(), "packages": dict(packages)}
    return _write_texts(folder, {**composed, "environment.json": json.dumps(environment, indent=2)})


def keep(cell: Cell, per_user: PerUser, model: Model, folder: Path) -> list[Path]:
    """Write the cell to `folder` as result.json, per_user.npz and diagonal.npz; list them. DataError if that fails."""
    folder.mkdir(exist_ok=True)
    files = _write_texts(folder, {"result.json": json.dumps(asdict(cell), indent=2)})
    arrays = {"per_user.npz": vars(per_user)}
    if isinstance(model, LowRank):
        arrays["diagonal.npz"] = {"diagonal": diagonal(model)}
    for name, content in arrays.items():
        write_arrays(folder / name, content, _SETTING, compressed=True)
        files.append(folder / name)
    return files


def save_model(model: Model, data: Prepared, folder: Path) -> Path:
    """Write the model as model.npz: U and V (n, k), or B (n, n), and `items`, the names of its n items."""
    path = folder / "model.npz"
    write_arrays(path, {**model.arrays(), "items": data.item_names}, _SETTING)
    return path


def tell_search(search: Search, rank: Rank, folder: Path, files: list[Path]) -> dict[str, str]:
    """Write the evaluations that count for a rank, as a table and as pictures, and add them to `files`.

    A best value on the border of its range is warned of; it is the tag that is returned.
    """
    rows, metric = search.table(rank), search.tune.metric.value
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files += _write_texts(folder, {"evaluations.csv": buffer.getvalue().rstrip("\n")})
    title = f"{search.settings.dataset.label}, {search.settings.method.name}, rank {rank}"
    scales = {name: ends.log for name, ends in search.space.items()}
    plot_landscape(rows, scales, metric, title, folder / "landscape.png")
    plot_history(rows, metric, title, folder / "history.png")
    files += [folder / "landscape.png", folder / "history.png"]
    border = at_border(search.space, search.best(rank).point)
    for name in border:
        ends = search.space[name]
        _log.warning(
            "rank %s: the best %s = %.4g lies on the border of method.search.%s=[%g,%g]: widen it",
            rank, name, search.best(rank).point[name], name, ends.low, ends.high,
        )  # fmt: skip
    return {"border": ",".join(border)} if border else {}


def _write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write each text to the file of its name, whole or not at all."""
    for name, text in texts.items():
        temporary = folder / f".{name}"
        try:
            temporary.write_text(text + "\n", encoding="utf-8")
            temporary.replace(folder / name)
        except OSError as error:
            raise DataError(
                f"can't write {folder / name}: {error.strerror}; free some space or choose tracking.dir"
            ) from error
    return [folder / name for name in texts]

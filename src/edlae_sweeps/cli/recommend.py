"""`python -m edlae_sweeps.recommend`: compose → typed settings → recommendations, printed or written to a file."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from omegaconf import DictConfig

from edlae_sweeps.cli.compose import typed
from edlae_sweeps.cli.errors import USER_ERROR, near
from edlae_sweeps.cli.hydra_app import end, run_app
from edlae_sweeps.errors import DataError, EdlaeSweepsError
from edlae_sweeps.imports import quick_imports
from edlae_sweeps.settings import RecommendSettings, table_format

if TYPE_CHECKING:
    from edlae_sweeps.serving import Basket, Recommender
    from edlae_sweeps.serving.tables import Write

# Lines of a table of recommendations in memory at once, and baskets.
_BATCH_LINES, _BATCH_ROWS = 200_000, 2000
# Rows whose unknown names are reported, and names among which the nearest are looked for.
_MOST_REPORTS, _MOST_NAMES = 5, 100_000
_log = logging.getLogger(__name__)


def main() -> NoReturn:
    """Run the command line; the exit status is that of `run_app`."""
    run_app("recommend", task)


def task(config: DictConfig) -> None:
    """Recommend, as Hydra calls it."""
    try:
        recommend(typed(config, RecommendSettings))
    except EdlaeSweepsError as error:
        # Raised further, Hydra would log it too.
        end(str(error), USER_ERROR)


def recommend(settings: RecommendSettings) -> None:
    """Answer the one query of the settings."""
    # They import MLflow, which takes seconds: not before the settings are known to be good.
    with quick_imports():
        from edlae_sweeps.serving import load_model
        from edlae_sweeps.serving.registry import find_champion
        from edlae_sweeps.tracking import database_uri

    if settings.input is not None and not Path(settings.input).is_file():
        raise DataError(f"input={settings.input}: there is no such file")
    uri = settings.tracking.uri or database_uri(Path(settings.tracking.dir).absolute())
    place = find_champion(settings.model, uri)
    recommender = load_model(place, uri)
    if settings.input is not None:
        _recommend_file(settings, recommender, Path(settings.input))
    elif settings.similar is not None:
        _show_similar(settings, recommender, place, settings.similar)
    else:
        _show_recommended(settings, recommender, place)


def _show_recommended(settings: RecommendSettings, recommender: "Recommender", place: str) -> None:
    """Print the recommendations for one basket or user, or write them to the output."""
    from edlae_sweeps.serving import Basket

    basket = Basket(settings.items, settings.user)
    table = recommender.recommend_table([basket], settings.k, settings.exclude_known, settings.explain)
    notes = list(dict.fromkeys(table["note"]))
    for note in filter(None, notes):
        _log.warning("note: %s", note)
    if near_names := _nearest(recommender, settings.items or ()):
        _log.warning("note: names near to them%s", near_names)
    if settings.output is not None:
        with _writer(settings, recommender, []) as write:
            write(table)
        return
    query = f"user {settings.user}" if settings.items is None else ", ".join(settings.items)
    _print(f"{place}: recommendations for {query}", table, settings.explain)


def _show_similar(settings: RecommendSettings, recommender: "Recommender", place: str, item: str) -> None:
    """Print the items similar to one, or write them to the output."""
    try:
        similar = recommender.similar(item, settings.k)
    except DataError as error:
        raise DataError(f"similar={item}: the model has no such item{_nearest(recommender, [item])}") from error
    table: dict[str, list[Any]] = {
        "rank": list(range(1, len(similar) + 1)),
        "item": [each.item for each in similar],
        "score": [each.score for each in similar],
    }
    if settings.output is not None:
        with _writer(settings, recommender, [], ("rank", "item", "score")) as write:
            write(table)
        return
    _print(f"{place}: items similar to {item}", table, False)


def _print(title: str, table: Mapping[str, list[Any]], explain: bool) -> None:
    from edlae_sweeps.console import print_table, printable

    # Popular items have counts of users for scores.
    digits = 0 if all(score == int(score) for score in table["score"]) else 4
    rows = [
        [str(rank), str(item), f"{score:z,.{digits}f}"]
        for rank, item, score in zip(table["rank"], table["item"], table["score"], strict=True)
    ]
    header = ["rank", "item", "score"]
    if explain:
        header.append("because")
        for row, reasons in zip(rows, table["because"], strict=True):
            row.append(", ".join(f"{item} ({value:+z.3f})" for item, value in reasons))
    print_table(printable(title), header, rows, texts=("item", "because"))


def _recommend_file(settings: RecommendSettings, recommender: "Recommender", path: Path) -> None:
    """Recommend for every row of the input, batch by batch, and report what the rows lack."""
    from edlae_sweeps.console import print_line, stage
    from edlae_sweeps.serving.baskets import BasketFile

    file = BasketFile(path, table_format(str(path)), settings.separator)
    columns = file.columns()
    rows, notes = 0, 0
    size = max(1, min(_BATCH_ROWS, _BATCH_LINES // settings.k))
    with stage(f"recommend for {path.name}") as advance, _writer(settings, recommender, columns) as write:
        for batch in file.batches(size):
            table = _recommend_batch(settings, recommender, batch.rows, rows)
            table["user"] = [batch.rows[row - rows].user for row in table["row"]]
            write(table)
            for row, note in dict(zip(table["row"], table["note"], strict=True)).items():
                if note:
                    notes += 1
                    if notes <= _MOST_REPORTS:
                        advance.tell(f"row {row}: {note}")
            rows += len(batch.rows)
            advance(batch.done, batch.total)
    if notes > _MOST_REPORTS:
        _log.warning("%s rows have notes, which the column note of the output holds", f"{notes:,}")
    print_line(f"{settings.output}: recommendations for {rows:,} rows, numbered from 0")


def _recommend_batch(
    settings: RecommendSettings, recommender: "Recommender", rows: "list[Basket]", first: int
) -> dict[str, list[Any]]:
    """The table of some rows, numbered from `first`."""
    try:
        table = recommender.recommend_table(rows, settings.k, settings.exclude_known, settings.explain)
    except DataError as error:
        # The number of the row in the file, not in the batch.
        message = re.sub(r"^row (\d+)", lambda match: f"row {int(match[1]) + first}", str(error))
        raise DataError(message) from error
    table["row"] = [row + first for row in table["row"]]
    return table


def _writer(
    settings: RecommendSettings,
    recommender: "Recommender",
    queries: Sequence[str],
    columns: Sequence[str] = ("row", "user", "rank", "item", "score", "because", "note"),
) -> "AbstractContextManager[Write]":
    """The writer of the output; `queries` are the columns of the input."""
    from edlae_sweeps.serving.tables import table_writer

    absent = {name for name, given in (("user", "user" in queries), ("because", settings.explain)) if not given}
    names = recommender.model.item_names
    whole = {"item": names is None or names.dtype.kind in "iu"}
    output = str(settings.output)
    kinds = {name: whole.get(name, False) for name in columns if name not in absent}
    return table_writer(Path(output), table_format(output), kinds, settings.separator)


def _nearest(recommender: "Recommender", items: Iterable[str]) -> str:
    """Known names near to the unknown ones among `items`, in parentheses."""
    names = recommender.model.item_names
    if names is None or names.dtype.kind != "U" or len(names) > _MOST_NAMES:
        return ""
    known = set(names.tolist())
    return "".join(near(item, known) for item in items if item not in known)

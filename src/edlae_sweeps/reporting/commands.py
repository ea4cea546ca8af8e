"""Commands of a report, to be copied into a shell."""

from collections.abc import Sequence

from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.reporting.looks import by_products, paper_methods
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.settings import command, dataset_overrides, redacted, shell_line

_JOB = ("python", "-m", "edlae_sweeps")


def command_of(cell: StoredCell, reader: Reader) -> str:
    """The command that ran the cell, perhaps along with other ranks; empty if its configuration is gone."""
    text = reader.text(cell, "overrides.yaml")
    if text is None:
        return ""
    overrides = [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]
    return redacted(shell_line([*_JOB, *overrides]))


def missing_ranks(best: Sequence[StoredCell], split_seed: int | None, reader: Reader) -> list[str]:
    """Ranks that some of the paper's methods have and others lack, with the command that runs them.

    Ranks that only products have don't count, since other methods can't have them. `split_seed` is that of the cells,
    where there are other splits.
    """
    methods = paper_methods()
    cells = sorted((cell for cell in best if cell.method in methods), key=lambda cell: cell.order[2])
    ranks: dict[str, int | str] = {cell.rank_text: cell.rank or cell.rank_text for cell in cells}
    lines = []
    for method in methods:
        finished = {cell.rank_text for cell in best if cell.method in (method, by_products(method))}
        if missing := {text: rank for text, rank in ranks.items() if text not in finished}:
            config = reader.tree(cells[0], "config.yaml").get("dataset")
            data = dataset_overrides(cells[0].run.params["dataset"], config if isinstance(config, dict) else None)
            split = {} if split_seed is None else {"dataset.split_seed": split_seed}
            run = command({**data, **split, "method": method, "rank": list(missing.values())})
            lines.append(f"{method} has no finished cell at rank {', '.join(missing)}; run {run}")
    return lines

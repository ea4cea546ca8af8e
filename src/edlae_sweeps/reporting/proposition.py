"""The Proposition tested: nonlinear models against the bound at their rank."""

import json
import re
from collections.abc import Mapping

from edlae_sweeps.plots import Trial
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.tuned import tuning

# What a trial has beside what every cell has.
_METRICS = ("train/ratio", "train/start_ratio", "train/bound", "train/epochs")
_PARAMS = ("hidden", "activation", "last_linear", "batch_norm", "init", "row_weights")
# The widths of hidden layers, perhaps none.
_WIDTHS = re.compile(r"\[(\d{1,9}(, ?\d{1,9})*)?\]", re.ASCII)


def read_trials(collected: Collected, reader: Reader) -> dict[str, Trial]:
    """Every nonlinear autoencoder with a logged bound by the id of its run, sorted by its settings."""
    trials = {cell.run.id: _trial(cell, reader) for cell in collected.trials if _is_trial(cell)}
    return dict(sorted(trials.items(), key=lambda item: _order(item[1])))


def _is_trial(cell: StoredCell) -> bool:
    whole = cell.rank is not None and cell.holds(_METRICS, _PARAMS)
    return whole and _WIDTHS.fullmatch(cell.run.params["hidden"]) is not None


def _order(trial: Trial) -> tuple[object, ...]:
    return trial.rank, len(trial.hidden), trial.hidden, trial.activation, trial.init, trial.weights


def _trial(cell: StoredCell, reader: Reader) -> Trial:
    params, metrics = cell.run.params, cell.metrics
    last = "linear" if params["last_linear"] == "True" else params["activation"]
    return Trial(
        rank=int(params["rank"]),
        hidden=tuple(json.loads(params["hidden"])),
        last=last + (", batch norm" if params["batch_norm"] == "True" else ""),
        activation=params["activation"],
        init=params["init"],
        weights=params["row_weights"],
        bound=metrics["train/bound"],
        ratio=metrics["train/ratio"],
        start_ratio=metrics["train/start_ratio"],
        trained_ratio=min(reader.history(cell, "train/ratio"), default=metrics["train/ratio"]),
        epochs=int(metrics["train/epochs"]),
        seconds=metrics["time/fit_seconds"],
        validation=metrics["validation/ndcg_100"],
        ndcg=metrics["test/ndcg_100"],
        error=metrics["test/ndcg_100_se"],
    )


def proposition_table(collected: Collected, trials: Mapping[str, Trial]) -> Table:
    """One row per network: its settings, its squared error relative to the bound, epochs, seconds and accuracy."""
    cells = {cell.run.id: cell for cell in collected.trials}
    header = ("rank", "hidden", "activation", "last hidden", "init", "row weights", "bound",
              "ratio − 1", "at the start", "trained", "epochs", "s", "nDCG@100 ± SE", "parameters")  # fmt: skip
    rows = [
        (
            str(trial.rank),
            "–".join(map(str, trial.hidden)),
            trial.activation,
            trial.last,
            trial.init,
            trial.weights,
            f"{trial.bound:,.1f}",
            f"{trial.ratio - 1:.4g}",
            f"{trial.start_ratio - 1:.4g}",
            f"{trial.trained_ratio - 1:.4g}",
            str(trial.epochs),
            f"{trial.seconds:.0f}",
            f"{trial.ndcg:.4f} ± {trial.error:.4f}",
            tuning(cells[run_id]),
        )
        for run_id, trial in trials.items()
    ]
    return Table(
        "The Proposition: squared error of nonlinear models relative to the bound",
        header,
        tuple(rows),
        caption="One network a row; a ratio below 1 would contradict the Proposition.",
        keys=2,
        links={(row, 0): run_id for row, run_id in enumerate(trials)},
    )

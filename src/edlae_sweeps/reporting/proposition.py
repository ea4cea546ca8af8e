"""The Proposition tested: nonlinear models against the bound at their rank."""

import json
from collections.abc import Sequence

from edlae_sweeps.plots import Trial
from edlae_sweeps.reporting.collect import Collected, StoredCell
from edlae_sweeps.reporting.reader import Reader
from edlae_sweeps.reporting.tables import Table


def read_trials(collected: Collected, reader: Reader) -> list[Trial]:
    """Every nonlinear autoencoder with a logged bound, sorted by its settings."""
    trials = [_trial(cell, reader) for cell in collected.trials if "train/ratio" in cell.metrics]
    return sorted(trials, key=lambda t: (t.rank, len(t.hidden), t.hidden, t.activation, t.init, t.weights))


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


def proposition_table(trials: Sequence[Trial]) -> Table:
    """One row per network: its settings, its squared error relative to the bound, epochs, seconds and accuracy."""
    header = ("rank", "hidden", "activation", "last hidden", "init", "row weights", "bound",
              "ratio − 1", "at the start", "trained", "epochs", "s", "nDCG@100 ± SE")  # fmt: skip
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
        )
        for trial in trials
    ]
    return Table("The Proposition: squared error of nonlinear models relative to the bound", header, tuple(rows))

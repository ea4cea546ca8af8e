"""The Proposition on trial: nonlinear models against the bound of their rank, and what depth does to accuracy."""

import json
from collections.abc import Sequence

from edlae_sweeps.plots import Trial
from edlae_sweeps.reporting.collect import Collected, Entry
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.tracking import Experiment


def trials(collected: Collected, experiment: Experiment) -> list[Trial]:
    """Every deep autoencoder that has a bound to be measured by, in the order of its settings."""
    found = [_trial(entry, experiment) for entry in collected.deep if "train/ratio" in entry.metrics]
    return sorted(found, key=lambda one: (one.rank, len(one.hidden), one.hidden, one.activation, one.init, one.weights))


def _trial(entry: Entry, experiment: Experiment) -> Trial:
    params, metrics = entry.run.params, entry.metrics
    linear = params["last_linear"] == "True"
    return Trial(
        rank=int(params["rank"]),
        hidden=tuple(json.loads(params["hidden"])),
        last=("linear" if linear else params["activation"])
        + (", batch norm" if params["batch_norm"] == "True" else ""),
        activation=params["activation"],
        init=params["init"],
        weights=params["row_weights"],
        bound=metrics["train/bound"],
        ratio=metrics["train/ratio"],
        start_ratio=metrics["train/start_ratio"],
        trained_ratio=min(experiment.history(entry.run.id, "train/ratio"), default=metrics["train/ratio"]),
        epochs=int(metrics["train/epochs"]),
        seconds=metrics["time/fit_seconds"],
        validation=metrics["validation/ndcg_100"],
        ndcg=metrics["test/ndcg_100"],
        error=metrics["test/ndcg_100_se"],
    )


def proposition_table(found: Sequence[Trial]) -> Table:
    """A row for each network: how near it came to the bound, from where, in how many epochs and seconds."""
    header = ("rank", "hidden", "activation", "last hidden", "init", "row weights", "bound",
              "ratio − 1", "at the start", "trained", "epochs", "s", "nDCG@100 ± SE")  # fmt: skip
    rows = [
        (
            str(one.rank),
            "–".join(map(str, one.hidden)),
            one.activation,
            one.last,
            one.init,
            one.weights,
            f"{one.bound:,.1f}",
            f"{one.ratio - 1:.4g}",
            f"{one.start_ratio - 1:.4g}",
            f"{one.trained_ratio - 1:.4g}",
            str(one.epochs),
            f"{one.seconds:.0f}",
            f"{one.ndcg:.4f} ± {one.error:.4f}",
        )
        for one in found
    ]
    return Table("The Proposition: squared error of nonlinear models over its bound", header, tuple(rows))

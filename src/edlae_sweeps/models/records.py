"""How a model was fitted: what a run logs of it beside the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from edlae_sweeps.linalg import Eigenpairs, Inverse, InverseDiagonal
from edlae_sweeps.models.objective import TrainingFit

Ended = Literal["epochs", "converged", "diverged"]


class Record(Protocol):
    """How a model was fitted, under the names that a store uses."""

    def tags(self) -> dict[str, str]:
        """Tags."""

    def metrics(self) -> dict[str, float]:
        """Metrics of the fit."""

    def series(self) -> dict[str, list[float]]:
        """Metrics by epoch, from epoch 1."""


@dataclass(frozen=True)
class Solved:
    """How the eigenvectors of a model were computed: by LAPACK (`dense`) or by products with blocks (`block`).

    `gap` is the estimated share of the captured energy Σθ that is missed, `steps` the number of block products. `lean`
    means that memory was short and the full-rank model was not kept.
    """

    solver: Literal["dense", "block"]
    gap: float
    steps: int
    lean: bool = False

    @classmethod
    def by(cls, pairs: Eigenpairs, lean: bool = False) -> "Solved":
        """The record of what the eigensolver did."""
        return cls("block" if pairs.steps else "dense", pairs.gap, pairs.steps, lean)

    def tags(self) -> dict[str, str]:
        return {"eigensolver": f"{self.solver}, lean" if self.lean else self.solver}

    def metrics(self) -> dict[str, float]:
        return {"eigen/gap": self.gap, "eigen/steps": float(self.steps)}

    def series(self) -> dict[str, list[float]]:
        return {}


@dataclass(frozen=True)
class SolvedByProducts:
    """How a model was computed from products with X: the eigenvectors, the solutions with A, and diag C.

    columns, iterations, most_iterations, residual  of conjugate gradients: right-hand sides, iterations of a column on
                                                    average and at most, and the largest relative residual
    deflation               eigenpairs in its preconditioner
    error, largest_error    estimated relative error of d, root mean square and largest; None if d needs no diag C
    exact                   items whose d was solved exactly
    seconds                 of each part: deflation, diagonal, eigenpairs, encoder
    gflops                  10⁹ flops per second of the products with X, all threads together
    """

    gap: float
    steps: int
    columns: int
    iterations: float
    most_iterations: int
    residual: float
    deflation: int
    error: float | None
    largest_error: float | None
    exact: int
    seconds: Mapping[str, float]
    gflops: float

    @classmethod
    def by(
        cls,
        pairs: Eigenpairs,
        inverse: Inverse,
        diagonal: InverseDiagonal | None,
        seconds: Mapping[str, float],
        rate: float,
    ) -> "SolvedByProducts":
        """The record of what was done until now; `rate` is in flops per second."""
        effort = inverse.effort
        return cls(
            gap=pairs.gap,
            steps=pairs.steps,
            columns=effort.columns,
            iterations=effort.iterations / max(1, effort.columns),
            most_iterations=effort.most,
            residual=effort.residual,
            deflation=0 if inverse.deflation is None else len(inverse.deflation.values),
            error=None if diagonal is None else float(np.sqrt(np.mean(diagonal.errors**2))),
            largest_error=None if diagonal is None else float(diagonal.errors.max()),
            exact=0 if diagonal is None else diagonal.exact,
            seconds=seconds,
            gflops=rate / 1e9,
        )

    def tags(self) -> dict[str, str]:
        return {"eigensolver": "block"}

    def metrics(self) -> dict[str, float]:
        metrics = {
            "eigen/gap": self.gap,
            "eigen/steps": float(self.steps),
            "cg/columns": float(self.columns),
            "cg/iterations": self.iterations,
            "cg/most_iterations": float(self.most_iterations),
            "cg/residual": self.residual,
            "cg/deflation": float(self.deflation),
            "cg/gflops": self.gflops,
            **{f"time/{part}_seconds": seconds for part, seconds in self.seconds.items()},
        }
        if self.error is not None and self.largest_error is not None:
            metrics |= {"probes/error": self.error, "probes/largest_error": self.largest_error}
            metrics["probes/exact_items"] = float(self.exact)
        return metrics

    def series(self) -> dict[str, list[float]]:
        return {}


@dataclass(frozen=True)
class Polished:
    """How a model was fitted in closed form, and then polished: its Eq. 7 before and after, and the iterations."""

    fit: Record
    before: float
    after: float
    iterations: int

    def tags(self) -> dict[str, str]:
        return self.fit.tags()

    def metrics(self) -> dict[str, float]:
        return {
            **self.fit.metrics(),
            "eq7/closed_form": self.before,
            "eq7/polished": self.after,
            "polish/iterations": float(self.iterations),
        }

    def series(self) -> dict[str, list[float]]:
        return self.fit.series()


@dataclass(frozen=True)
class Epochs:
    """The epochs of an iterative method, from 1: how well each iterate fits, and the seconds since the start.

    `kept` is the epoch whose iterate became the model, the best by objective; `ended` is why the epochs stopped.
    """

    fits: tuple[TrainingFit, ...]
    seconds: tuple[float, ...]
    kept: int
    ended: Ended

    def tags(self) -> dict[str, str]:
        return {"ended": self.ended}

    def metrics(self) -> dict[str, float]:
        return epoch_metrics(len(self.seconds), self.kept, self.ended)

    def series(self) -> dict[str, list[float]]:
        return {
            "train/objective": [fit.objective for fit in self.fits],
            "train/squared_error": [fit.squared_error for fit in self.fits],
            "time/elapsed_seconds": list(self.seconds),
        }


@dataclass(frozen=True)
class Trials:
    """The training of a network, from epoch 1: each epoch is a trial of the Proposition (Eqs. 1-6).

    losses, squared_errors  ‖X − f(X)Vᵀ‖² after each epoch, with the weights of rows and without; at index 0 before the
                            first epoch
    bound                   the least loss of any autoencoder of this rank
    kept                    the epoch that became the model, the best by loss; 0 is the start
    """

    losses: tuple[float, ...]
    squared_errors: tuple[float, ...]
    bound: float
    seconds: tuple[float, ...]
    kept: int
    ended: Ended

    def tags(self) -> dict[str, str]:
        return {"ended": self.ended}

    def metrics(self) -> dict[str, float]:
        metrics = {"train/squared_error": self.squared_errors[self.kept], "train/bound": self.bound}
        # The bound is 0 if k is the rank of X: there is nothing to compare with.
        if self.bound > 0:
            metrics["train/ratio"] = self.losses[self.kept] / self.bound
            metrics["train/start_ratio"] = self.losses[0] / self.bound
        return metrics | epoch_metrics(len(self.seconds), self.kept, self.ended)

    def series(self) -> dict[str, list[float]]:
        losses = self.losses[1:]
        series = {
            "train/squared_error": list(self.squared_errors[1:]),
            "train/bound": [self.bound] * len(losses),
            "time/elapsed_seconds": list(self.seconds),
        }
        return series | ({"train/ratio": [loss / self.bound for loss in losses]} if self.bound > 0 else {})


@dataclass(frozen=True)
class Passes:
    """Passes over the data, all of which were run; the last one is the model.

    seconds  of each pass, since the start
    losses   of each pass, the mean over its batches as they were met; empty if the method does not know them
    """

    seconds: tuple[float, ...]
    losses: tuple[float, ...] = ()

    def tags(self) -> dict[str, str]:
        return {}

    def metrics(self) -> dict[str, float]:
        return {"train/epochs": float(len(self.seconds)), **({"train/loss": self.losses[-1]} if self.losses else {})}

    def series(self) -> dict[str, list[float]]:
        losses = {"train/loss": list(self.losses)} if self.losses else {}
        return {**losses, "time/elapsed_seconds": list(self.seconds)}


def epoch_metrics(epochs: int, kept: int, ended: Ended) -> dict[str, float]:
    """What every method that trains by epochs logs."""
    return {
        "train/epochs": float(epochs),
        "train/kept_epoch": float(kept),
        "train/diverged": float(ended == "diverged"),
    }

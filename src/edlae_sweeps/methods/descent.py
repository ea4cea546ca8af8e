"""Descending towards the bound of the Proposition: epochs, the exact output layer after each, and when to stop."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import SolverError
from edlae_sweeps.methods.base import Advance, Ended, Observe, Vector
from edlae_sweeps.methods.bound import energy, output_layer, squared_error
from edlae_sweeps.methods.network import Encoder, Network, Training

_log = logging.getLogger(__name__)
# Rows of X whose hidden units are at hand at a time.
ROWS = 4096
# A plateau takes the learning rate down by this factor, and the training ends below this part of the first rate.
_DECAY, _LAST_RATE = 0.3, 0.01


class Trained(Protocol):
    """What takes the steps: an encoder and an output layer on their way."""

    def epoch(self, rate: float) -> None:
        """One pass over the users at a learning rate."""

    def encoder(self) -> Encoder:
        """The encoder as it is now, a copy."""

    def set_output(self, V: NDArray[Any]) -> None:
        """Replace the output layer."""


@dataclass(frozen=True)
class Fit:
    """The best output layer V (n, k) of given hidden units, and the squared error with weights of rows and without."""

    V: NDArray[Any]
    loss: float
    squared_error: float


class Plateau:
    """A learning rate that falls where the error has not fallen by a part `tolerance` within `patience` epochs.

    The start does not count: from the bound itself the first steps lead away, and what follows is the trial.
    """

    def __init__(self, rate: float, patience: int, tolerance: float) -> None:
        self.rate = rate
        self._last = rate * _LAST_RATE
        self._patience, self._tolerance = patience, tolerance
        self._best, self._idle = math.inf, 0

    def over(self, error: float) -> bool:
        """Take the error of an epoch; whether the rate would fall below its last value."""
        self._idle = 0 if error < self._best * (1 - self._tolerance) else self._idle + 1
        self._best = min(self._best, error)
        if self._idle < self._patience:
            return False
        self._idle = 0
        self.rate *= _DECAY
        return self.rate < self._last


def descend(
    trained: Trained,
    X: csr_array,
    w: Vector,
    bound: float,
    epochs: int,
    plateau: Plateau,
    advance: Advance | None,
    observe: Observe | None,
) -> Network:
    """Epoch after epoch until the plateau is over, or the last; the best by exact (weighted) error is kept.

    The start is one of them, epoch 0. Raises SolverError where its hidden units are not finite.
    """
    began, beside = time.perf_counter(), 0.0
    encoder = trained.encoder()
    fit = fit_output(encoder, X, w)
    if fit is None:
        raise SolverError("the hidden units of the network are not finite at its start; choose fewer layers")
    start, best, kept = fit.loss, (encoder, fit), 0
    errors: list[tuple[float, float, float]] = []
    ended: Ended = "epochs"
    for epoch in range(1, epochs + 1):
        trained.set_output(fit.V)
        trained.epoch(plateau.rate)
        encoder = trained.encoder()
        fit = fit_output(encoder, X, w)
        if fit is None:
            ended = "diverged"
            _log.warning("the network diverged in epoch %d: the best before it, that of epoch %d, is kept", epoch, kept)
            break
        errors.append((fit.loss, fit.squared_error, time.perf_counter() - began - beside))
        if fit.loss < best[1].loss:
            best, kept = (encoder, fit), epoch
        look = time.perf_counter()
        if observe is not None:
            observe(Network(encoder, fit.V, fit.loss, fit.squared_error, None))
        beside += time.perf_counter() - look
        if advance is not None:
            advance(epoch, epochs)
        if plateau.over(fit.loss):
            ended = "converged"
            break
    losses, squared_errors, seconds = zip(*errors, strict=True) if errors else ((), (), ())
    history = Training(start, losses, squared_errors, bound, seconds, kept, ended)
    return Network(best[0], best[1].V, best[1].loss, best[1].squared_error, history)


def fit_output(encoder: Encoder, X: csr_array, w: Vector) -> Fit | None:
    """The least-squares V of the hidden units Z = f(X), and its errors, accumulated in float64; None if not finite."""
    n, plain = X.shape[1], bool((w == 1).all())
    k = encoder.layers[-1].W.shape[1]
    # With weights, and without where that is another.
    ZtZ = np.zeros((1 if plain else 2, k, k))
    XtZ = np.zeros((len(ZtZ), n, k))
    for start in range(0, X.shape[0], ROWS):
        rows = slice(start, start + ROWS)
        part = X[rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            Z = encoder(X[rows]).astype(np.float64)
        if not np.isfinite(Z).all():
            return None
        for index, weights in enumerate((w[rows], np.ones(len(Z)))[: len(ZtZ)]):
            weighted = weights[:, None] * Z
            ZtZ[index] += Z.T @ weighted
            XtZ[index] += part.T @ weighted
    # What is stored and scored with: the error is that of this one.
    V = output_layer(ZtZ[0], XtZ[0]).astype(X.dtype)
    wide = V.astype(np.float64)
    totals = (energy(X, w), energy(X, np.ones(len(w))))
    errors = [squared_error(totals[i], ZtZ[i], XtZ[i], wide) for i in range(len(ZtZ))]
    return Fit(V, errors[0], errors[-1]) if np.isfinite(errors).all() else None

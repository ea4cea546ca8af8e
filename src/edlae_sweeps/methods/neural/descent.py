"""Descent towards the bound of the Proposition: epochs, the exact output layer after each, and when to stop."""

import logging
import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Advance
from edlae_sweeps.errors import SolverError
from edlae_sweeps.methods.base import Observe, Vector
from edlae_sweeps.methods.bound import energy, output_layer, squared_error
from edlae_sweeps.methods.clock import Clock
from edlae_sweeps.models import Encoder, Ended, Network, Trials

_log = logging.getLogger(__name__)
# Rows of X whose hidden units are in memory at a time.
ROWS = 4096
# A plateau lowers the learning rate by this factor; training ends below this fraction of the first rate.
_DECAY, _LAST_RATE = 0.3, 0.01


class Trained(Protocol):
    """Takes the steps of training an encoder and an output layer."""

    def epoch(self, rate: float) -> None:
        """One pass over the users at a learning rate."""

    def encoder(self) -> Encoder:
        """A copy of the encoder."""

    def set_output(self, V: NDArray[Any]) -> None:
        """Replace the output layer."""


@dataclass(frozen=True)
class Fit:
    """The best output layer V (n, k) for given hidden units, and the squared error with row weights and without."""

    V: NDArray[Any]
    loss: float
    squared_error: float


class Plateau:
    """A learning rate that falls if the error has not fallen by the fraction `tolerance` within `patience` epochs.

    The start does not count: from the bound the first steps lead away, and the trial is what follows.
    """

    def __init__(self, rate: float, patience: int, tolerance: float) -> None:
        self.rate = rate
        self._last = rate * _LAST_RATE
        self._patience, self._tolerance = patience, tolerance
        self._best, self._idle = math.inf, 0

    def over(self, error: float) -> bool:
        """Record the error of an epoch; True if the rate would fall below its last value."""
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
    """Run epochs until the last plateau or the last epoch, and keep the best by exact (weighted) error.

    The start counts as epoch 0. Raises SolverError if its hidden units are not finite.
    """
    encoder = trained.encoder()
    fit = fit_output(encoder, X, w)
    if fit is None:
        raise SolverError("the hidden units of the network are not finite at its start; choose fewer layers")
    clock = Clock()
    fits, seconds, best, kept = [fit], [], Network(encoder, fit.V), 0
    ended: Ended = "epochs"
    for epoch in range(1, epochs + 1):
        trained.set_output(fit.V)
        trained.epoch(plateau.rate)
        encoder = trained.encoder()
        fit = fit_output(encoder, X, w)
        if fit is None:
            ended = "diverged"
            _log.warning("the network diverged in epoch %d: keeping epoch %d, the best before it", epoch, kept)
            break
        fits.append(fit)
        seconds.append(clock.elapsed())
        network = Network(encoder, fit.V)
        if fit.loss < fits[kept].loss:
            best, kept = network, epoch
        if observe is not None:
            with clock.paused():
                observe(network)
        if advance is not None:
            advance(epoch, epochs)
        if plateau.over(fit.loss):
            ended = "converged"
            break
    losses, squared_errors = tuple(fit.loss for fit in fits), tuple(fit.squared_error for fit in fits)
    return replace(best, record=Trials(losses, squared_errors, bound, tuple(seconds), kept, ended))


def fit_output(encoder: Encoder, X: csr_array, w: Vector) -> Fit | None:
    """The least-squares V for the hidden units Z = f(X), and its errors, accumulated in float64; None if not finite."""
    n, plain = X.shape[1], bool((w == 1).all())
    k = encoder.layers[-1].W.shape[1]
    # With row weights, and without them if they differ.
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
    # The error is that of the V in the type of X, which the model keeps.
    V = output_layer(ZtZ[0], XtZ[0]).astype(X.dtype)
    wide = V.astype(np.float64)
    totals = (energy(X, w), energy(X, np.ones(len(w))))
    errors = [squared_error(totals[i], ZtZ[i], XtZ[i], wide) for i in range(len(ZtZ))]
    return Fit(V, errors[0], errors[-1]) if np.isfinite(errors).all() else None

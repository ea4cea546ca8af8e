"""A trained deep autoencoder, in NumPy alone: what trained it is not needed to use it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr

# Klambauer et al. (2017), "Self-Normalizing Neural Networks".
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class Activation(StrEnum):
    """What makes a hidden layer nonlinear."""

    relu = "relu"
    tanh = "tanh"
    gelu = "gelu"
    selu = "selu"


def _selu(a: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = SELU_SCALE * (SELU_ALPHA * np.expm1(np.minimum(a, 0)) + np.maximum(a, 0))
    return found


FUNCTIONS: dict[Activation, Callable[[NDArray[Any]], NDArray[Any]]] = {
    Activation.relu: lambda a: np.maximum(a, 0),
    Activation.tanh: np.tanh,
    Activation.gelu: lambda a: a * ndtr(a),
    Activation.selu: _selu,
}


@dataclass(frozen=True)
class Layer:
    """aW + b, with W (inputs, outputs) and b (outputs,)."""

    W: NDArray[Any]
    b: NDArray[Any]


@dataclass(frozen=True)
class Encoder:
    """Hidden units Z (m, k) of X (m, n): layer by layer, each followed by the activation; the last only if not linear.

    z = x;  z ← φ(zW + b) for each layer;  the last layer has k outputs, and no φ where `last_linear`.
    """

    layers: Sequence[Layer]
    activation: Activation
    last_linear: bool

    def __call__(self, X: csr_array) -> NDArray[Any]:
        """Z (m, k)."""
        function = FUNCTIONS[self.activation]
        Z: NDArray[Any] = X @ self.layers[0].W + self.layers[0].b
        for layer in self.layers[1:]:
            Z = function(Z) @ layer.W + layer.b
        return Z if self.last_linear else function(Z)


@dataclass(frozen=True)
class Training:
    """The training of a network by epochs, from 1: squared error with its weights of rows and without, and seconds.

    `start` is the (weighted) squared error before the first epoch. `kept` is the epoch that became the model, the best
    by weighted error, 0 for the start; `ended` says why there was no further one. `bound` is that of the Proposition
    for the weighted error.
    """

    start: float
    losses: tuple[float, ...]
    squared_errors: tuple[float, ...]
    bound: float
    seconds: tuple[float, ...]
    kept: int
    ended: str

    def series(self) -> dict[str, list[float]]:
        """Values by epoch, under the names that they have in a store; the bound beside the error."""
        found = {
            "train/squared_error": list(self.squared_errors),
            "train/bound": [self.bound] * len(self.losses),
            "time/elapsed_seconds": list(self.seconds),
        }
        # Where k is the rank of X there is nothing to be compared with.
        return found | ({"train/ratio": [loss / self.bound for loss in self.losses]} if self.bound > 0 else {})


@dataclass(frozen=True)
class Network:
    """Scores f(X)Vᵀ, with an encoder f of k hidden units and a linear output layer V (n, k) without bias.

    `loss` and `squared_error` are ‖X − f(X)Vᵀ‖² over the training data, with the weights of rows and without.
    """

    encoder: Encoder
    V: NDArray[Any]
    loss: float
    squared_error: float
    history: Training | None

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        """(users, n) scores of every item, from fold-in interactions (users, n)."""
        scores: NDArray[Any] = self.encoder(fold_in) @ self.V.T
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the model is made of, by name: W1, b1, W2, b2, …, V, `activation` and `last_linear`."""
        layers = {
            f"{name}{number}": values
            for number, layer in enumerate(self.encoder.layers, 1)
            for name, values in vars(layer).items()
        }
        kind = {
            "activation": np.array(self.encoder.activation.value),
            "last_linear": np.array(self.encoder.last_linear),
        }
        return {**layers, "V": self.V, **kind}

"""A trained deep autoencoder, in NumPy alone: using it does not need PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.datasets import Gram
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.models.base import Model
from edlae_sweeps.models.best import Encode
from edlae_sweeps.models.objective import row_sums

# Klambauer et al. (2017), "Self-Normalizing Neural Networks".
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

Activation = Literal["relu", "tanh", "gelu", "selu"]


def _gelu(a: NDArray[Any]) -> NDArray[Any]:
    # SciPy's special functions take as long to import as its sparse arrays.
    from scipy.special import ndtr

    values: NDArray[Any] = a * ndtr(a)
    return values


def _selu(a: NDArray[Any]) -> NDArray[Any]:
    values: NDArray[Any] = SELU_SCALE * (SELU_ALPHA * np.expm1(np.minimum(a, 0)) + np.maximum(a, 0))
    return values


FUNCTIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "gelu": _gelu,
    "selu": _selu,
}


@dataclass(frozen=True)
class Layer:
    """aW + b, with W (inputs, outputs) and b (outputs,)."""

    W: NDArray[Any]
    b: NDArray[Any]


@dataclass(frozen=True)
class Encoder:
    """Hidden units Z (m, k) of X (m, n).

    z = x;  z ← φ(zW + b) for each layer;  the last layer has k outputs, and no φ if `last_linear`.
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


@dataclass(frozen=True, eq=False, repr=False)
class Network(Model):
    """Scores f(X)Vᵀ, with an encoder f of k hidden units and a linear output layer V (n, k) without bias."""

    encoder: Encoder
    V: NDArray[Any]

    @property
    def n_items(self) -> int:
        return len(self.V)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.V.dtype

    def scores(self, fold_in: csr_array) -> NDArray[Any]:
        scores: NDArray[Any] = self.encoder(fold_in) @ self.V.T
        return scores

    def halves(self) -> tuple[Encode, NDArray[Any]]:
        return self.encoder, self.V

    def arrays(self) -> dict[str, NDArray[Any]]:
        """W1, b1, W2, b2, …, V, `activation` and `last_linear`."""
        layers = {
            f"{name}{number}": values
            for number, layer in enumerate(self.encoder.layers, 1)
            for name, values in vars(layer).items()
        }
        kind = {"activation": np.array(self.encoder.activation), "last_linear": np.array(self.encoder.last_linear)}
        return {**layers, "V": self.V, **kind}

    def overlaps(self, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """From VVᵀ, as if the hidden units were uncorrelated and of equal size."""
        return self.V @ self.V[column], row_sums(self.V, self.V)

    @override
    def contributions(self, basket: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        """Raises ConfigError."""
        raise ConfigError("explain=true: a network's scores don't split into what each item adds; choose explain=false")

    @override
    def training_metrics(self, gram: Gram, penalty: NDArray[np.float64]) -> Mapping[str, float]:
        """None from G: the record of the training has the squared error."""
        return {}

    def _shape(self) -> list[str]:
        widths = [str(layer.W.shape[1]) for layer in self.encoder.layers]
        return [f"layers {'–'.join(widths)}", self.encoder.activation]

"""Training of deep autoencoders, with PyTorch; imported only to fit."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.linalg.torch_backend import torch_device
from edlae_sweeps.linalg.torch_sparse import rows_product
from edlae_sweeps.methods.base import Vector
from edlae_sweeps.models.network import FUNCTIONS, Encoder, Layer
from edlae_sweeps.resources import Resources

if TYPE_CHECKING:
    from edlae_sweeps.methods.neural.deep import Deep

_ACTIVATIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
    "selu": torch.nn.functional.selu,
}
_EPSILON = 1e-5


def place(resources: Resources) -> torch.device:
    """The device of settled resources. Sets PyTorch's threads, for the whole process."""
    torch.set_num_threads(resources.threads)
    return torch_device(resources.device)


def batches(users: int, size: int) -> list[slice]:
    """Slices of nearly equal length that cover all users, none shorter than `size` if there are that many users."""
    ends = np.linspace(0, users, max(1, users // size) + 1).astype(int).tolist()
    return [slice(low, high) for low, high in itertools.pairwise(ends)]


class Normaliser:
    """Batch norm of one layer: γ(a − μ)/√(σ² + ε) + β, with the batch's μ, σ² in training and running ones after."""

    def __init__(self, a: NDArray[Any], device: torch.device) -> None:
        """Starts as the identity for the inputs a (m, h) of the layer."""
        mean, variance = a.mean(axis=0), a.var(axis=0)
        self.mean, self.variance = (torch.from_numpy(part).to(device) for part in (mean, variance))
        self.gamma = torch.sqrt(self.variance + _EPSILON).requires_grad_()
        self.beta = self.mean.clone().requires_grad_()

    def __call__(self, a: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.batch_norm(
            a, self.mean, self.variance, self.gamma, self.beta, training=True, eps=_EPSILON
        )

    def folded(self, W: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """W, b of one layer that does both, with the running μ and σ²."""
        scale = self.gamma / torch.sqrt(self.variance + _EPSILON)
        return W * scale, (b - self.mean) * scale + self.beta


class Trainer:
    """An encoder and an output layer V (n, k) in training, with the options of `Deep`."""

    def __init__(self, options: "Deep", start: Encoder, k: int, X: csr_array, w: Vector, resources: Resources) -> None:
        self._start, self._X, self._w, self._batch = start, X, w.astype(X.dtype), options.batch
        self._device = place(resources)
        self._random = np.random.default_rng([options.seed, 1])
        self._layers = [[self._parameter(layer.W), self._parameter(layer.b)] for layer in start.layers]
        self._V = self._parameter(np.zeros((X.shape[1], k), dtype=X.dtype))
        self._norms = self._normalisers() if options.batch_norm else []
        parameters = [*(part for layer in self._layers for part in layer), self._V]
        parameters += [part for norm in self._norms for part in (norm.gamma, norm.beta)]
        self._adam = torch.optim.Adam(parameters, lr=options.learning_rate, weight_decay=0, fused=True)

    def epoch(self, rate: float) -> None:
        """One pass over the users, in a new order."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        order = self._random.permutation(self._X.shape[0])
        X, w = self._X[order], self._w[order]
        for rows in batches(len(order), self._batch):
            self._adam.zero_grad()
            self._loss(X[rows], torch.from_numpy(w[rows]).to(self._device)).backward()
            self._adam.step()

    def encoder(self) -> Encoder:
        """A copy of the encoder, with batch norm folded into its weights."""
        with torch.no_grad():
            layers = [list(layer) for layer in self._layers]
            for index, norm in enumerate(self._norms):
                layers[index] = list(norm.folded(*layers[index]))
            # A copy, since the next epoch changes these in place.
            folded = [Layer(*(part.to("cpu", copy=True).numpy() for part in layer)) for layer in layers]
        return Encoder(folded, self._start.activation, self._start.last_linear)

    def set_output(self, V: NDArray[Any]) -> None:
        """Replace the output layer."""
        with torch.no_grad():
            self._V.copy_(torch.from_numpy(V))

    def _loss(self, X: csr_array, w: torch.Tensor) -> torch.Tensor:
        """Σ_u w_u‖x_u − z_uVᵀ‖² ÷ users, without the ‖x_u‖², which have no gradient:

        ⟨ZᵀdMat(w)Z, VᵀV⟩ − 2⟨XV, dMat(w)Z⟩. Neither X nor the scores (b, n) are ever dense.
        """
        Z = self._hidden(X)
        weighted = w[:, None] * Z
        fit = ((Z.T @ weighted) * (self._V.T @ self._V)).sum() - 2 * (rows_product(X, self._V) * weighted).sum()
        return fit / X.shape[0]

    def _hidden(self, X: csr_array) -> torch.Tensor:
        function = _ACTIVATIONS[self._start.activation]
        (W, b), *rest = self._layers
        Z = rows_product(X, W) + b
        for index, (W, b) in enumerate(rest):
            Z = function(self._norms[index](Z) if self._norms else Z) @ W + b
        return Z if self._start.last_linear else function(Z)

    def _normalisers(self) -> list[Normaliser]:
        """Batch norm of every layer but the last, from the activations of the start."""
        norms, function = [], FUNCTIONS[self._start.activation]
        Z: Any = self._X
        for layer in self._start.layers[:-1]:
            a = Z @ layer.W + layer.b
            norms.append(Normaliser(a, self._device))
            Z = function(a)
        return norms

    def _parameter(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.tensor(values, device=self._device, requires_grad=True)

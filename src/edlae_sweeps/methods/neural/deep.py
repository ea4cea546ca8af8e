"""Deep nonlinear autoencoders with a linear output layer, which by the Proposition can't fit better than the SVD."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import Advance, TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.methods.about import Estimate, Look, Rank, largest_rank, low_ranks
from edlae_sweeps.methods.base import Observe, State, Vector
from edlae_sweeps.methods.bound import RowWeights, bounds, bounds_bytes, energy, row_weights
from edlae_sweeps.methods.neural.descent import ROWS, Plateau, descend
from edlae_sweeps.methods.neural.start import random_layers, svd_layers
from edlae_sweeps.methods.neural.torch_extra import Trained
from edlae_sweeps.models import Activation, Encoder, Layer, Network
from edlae_sweeps.resources import Resources

# Weights of wider layers would fit nowhere.
_MOST_UNITS = 1_000_000
# For each user and weight of a layer between hidden ones, in one epoch.
_SECONDS_PER_WEIGHT = 6e-10


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DeepState(State):
    """Weights w (m,) of the rows of X, Q (n, max_rank), and the bound of each rank from 1 (max_rank,)."""

    w: Vector
    Q: NDArray[np.float64]
    bounds: Vector


@dataclass(frozen=True, kw_only=True, repr=False)
class Deep(Trained[DeepState]):
    """Minimises Σ_u w_u‖x_u − f(x_u)Vᵀ‖² over an encoder f and V (n, k) by Adam, without any regularisation.

    f has the hidden layers `hidden`, each nonlinear, and then a last one of k units, linear or not. After each epoch V
    becomes the exact least-squares solution for the hidden units f(X), the best V possible, and its error is measured
    over all of X in float64: each epoch is a trial of the Proposition (Eqs. 1-6). The best epoch is kept. The learning
    rate falls when the error stalls, and training ends when a lower rate no longer helps.

    Eq. 7 does not apply: a nonlinear encoder has no diagonal of UVᵀ.

    hidden         widths of the nonlinear layers before the last hidden one
    activation     relu, tanh, gelu or selu
    last_linear    whether the last hidden layer, of k units, is linear
    batch_norm     before each activation but that of the last hidden layer
    init           random, or svd: the leading singular vectors pass through the layers, so that training starts at the
                   bound; needs last_linear
    row_weights    none: all users weigh the same; inverse_activity: 1 / number of the user's items
    epochs         at most
    batch          users of a batch
    learning_rate  of Adam at the start; it falls by 0.3 at each plateau, to a hundredth
    patience       epochs without progress that make a plateau
    tolerance      progress is an error that falls by more than this, relative to itself
    seed           of the random start and of the order of the users
    """

    name: ClassVar[str] = "deep"
    look: ClassVar[Look] = Look("deep", {}, role="trial")
    # For the bound.
    host_arrays: ClassVar[bool] = True

    hidden: tuple[int, ...] = (500,)
    activation: Activation = "tanh"
    last_linear: bool = True
    batch_norm: bool = False
    init: Literal["random", "svd"] = "random"
    row_weights: RowWeights = "none"
    epochs: int = 60
    learning_rate: float = 0.002
    patience: int = 2
    tolerance: float = 5e-4

    def check(self) -> None:
        super().check()
        if not all(1 <= width <= _MOST_UNITS for width in self.hidden):
            raise ConfigError(f"method.hidden={list(self.hidden)}: choose widths from 1 to {_MOST_UNITS}")
        if self.patience < 1:
            raise ConfigError(f"method.patience={self.patience}: choose 1 or more")
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"method.tolerance={self.tolerance}: choose a relative change, at least 0 and below 1")
        if self.init == "svd" and not self.last_linear:
            raise ConfigError(
                "method.init=svd: XQ_k needs a last hidden layer that is linear; set method.last_linear=true"
            )
        if self.batch_norm and self.batch < 2:
            raise ConfigError("method.batch=1: batch norm needs two users or more in a batch; choose 2 or more")

    @override
    def _prepare(self, data: TrainingData, max_rank: int, resources: Resources, advance: Advance | None) -> DeepState:
        """The bound of every rank, and the directions that `init=svd` starts with."""
        if max_rank == 0:
            self.check_rank("full")
        w = row_weights(self.row_weights, data.X)
        if self.batch_norm and data.shape[0] < 2:
            raise ConfigError("method.batch_norm=true: it needs two training users or more")
        Q, tails = bounds(data.X, w, max_rank)
        penalty = np.zeros(data.n_items)
        return DeepState(data=data, penalty=penalty, max_rank=max_rank, resources=resources, w=w, Q=Q, bounds=tails)

    def _fit(self, state: DeepState, rank: Rank, advance: Advance | None, observe: Observe | None) -> Network:
        # PyTorch is an extra.
        from edlae_sweeps.methods.neural.gradient import Trainer

        (k,) = low_ranks([rank])
        X, w = state.data.X, state.w
        trainer = Trainer(self, self.start(state, k), k, X, w, state.resources)
        plateau = Plateau(self.learning_rate, self.patience, self.tolerance)
        return descend(trainer, X, w, float(state.bounds[k - 1]), self.epochs, plateau, advance, observe)

    def start(self, state: DeepState, k: int) -> Encoder:
        """The encoder before its first epoch, in the type of X."""
        X, widths = state.data.X, [*self.hidden, k]
        random = np.random.default_rng(self.seed)
        norm = max(1.0, energy(X, np.ones(X.shape[0])) / X.shape[0])
        if self.init == "random":
            layers = random_layers(X.shape[1], widths, self.activation, norm, random)
        else:
            Q = state.Q[:, :k]
            layers = svd_layers(Q, widths, self.activation, norm, float(np.abs(X @ Q).max()), random)
        typed = [Layer(layer.W.astype(X.dtype), layer.b.astype(X.dtype)) for layer in layers]
        return Encoder(typed, self.activation, self.last_linear)

    def model_size(self, n: int, k: int) -> int:
        """How many numbers the model of rank k consists of."""
        sizes = [n, *self.hidden, k]
        return n * k + sum((a + 1) * b for a, b in itertools.pairwise(sizes))

    @override
    def estimate(self, data: TrainingData, ranks: Sequence[Rank], resources: Resources) -> Estimate:
        """Products: the bound. Seconds: all epochs, from what two cores took on debian; a plateau ends them sooner.

        Memory: G, Q, and then the bound; or the parameters with gradients and two moments, twice kept, and the output.
        """
        n, k, itemsize = data.n_items, largest_rank(ranks), data.dtype.itemsize
        products = 8 * (k / n) ** 2 if k <= n / 10 else 6.0
        training = 6 * self.model_size(n, k) * itemsize + 5 * 8 * n * k + 3 * 8 * ROWS * max([k, *self.hidden])
        peak = n * n * itemsize + 8 * n * k + max(bounds_bytes(n, k), training)
        seconds = self.epochs * sum(self._weights(data, k) for k in low_ranks(ranks)) * _SECONDS_PER_WEIGHT
        models = sum(self.model_size(n, k) for k in low_ranks(ranks)) * itemsize
        return Estimate(products, seconds, peak, models)

    def _weights(self, data: TrainingData, k: int) -> float:
        """Weights that an epoch of rank k visits, over all users."""
        widths = [*self.hidden, k]
        dense = sum(a * b for a, b in itertools.pairwise(widths))
        return data.shape[0] * (dense + 40 * sum(widths)) + data.events * (widths[0] + k)

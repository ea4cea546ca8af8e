"""Deep nonlinear autoencoders with a linear output layer: what the Proposition says can't beat the SVD."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods.base import Advance, ByEpoch, Observe, Rank, Reached, Vector, low_ranks
from edlae_sweeps.methods.bound import RowWeights, bounds, bounds_bytes, energy, row_weights
from edlae_sweeps.methods.descent import ROWS, Plateau, descend
from edlae_sweeps.methods.extra import Device, require_torch
from edlae_sweeps.methods.network import Activation, Encoder, Layer, Network
from edlae_sweeps.methods.start import random_layers, svd_layers

# Of an epoch, for each user and weight of a layer between hidden ones.
_SECONDS_PER_WEIGHT = 6e-10
_COUNTS = ("epochs", "batch", "patience")


class Init(StrEnum):
    """Where training begins."""

    random = "random"
    svd = "svd"


@dataclass(frozen=True)
class Problem:
    """X (m, n), weights w (m,) of its rows, Q (n, max_rank), and the bound of each rank from 1 (max_rank,)."""

    X: csr_array
    w: Vector
    Q: NDArray[np.float64]
    bounds: Vector


@dataclass
class Deep(ByEpoch):
    """Minimises Σ_u w_u‖x_u − f(x_u)Vᵀ‖² over an encoder f and V (n, k) by Adam, without any regularisation.

    f has the hidden layers `hidden`, each nonlinear, and then a last one of k units, linear or not. After each epoch V
    is replaced by the exact least-squares solution given the hidden units f(X), the best that any V can do, and its
    error is measured over all of X in float64: each epoch is a trial of the Proposition (Eqs. 1-6). The best one is
    kept. The learning rate falls when the error stands still, and training ends when that does not help any more.

    There is no objective of Eq. 7, whose diagonal UVᵀ a nonlinear encoder does not have.
    """

    name: ClassVar[str] = "deep"
    limit: ClassVar[None] = None
    log_scale: ClassVar[frozenset[str]] = frozenset({"learning_rate"})

    hidden: list[int]
    activation: Activation
    last_linear: bool
    batch_norm: bool
    init: Init
    row_weights: RowWeights
    epochs: int
    batch: int
    learning_rate: float
    patience: int
    tolerance: float
    device: Device
    seed: int

    def check(self) -> None:
        for key, value in (("hidden", min([1, *self.hidden])), *((key, getattr(self, key)) for key in _COUNTS)):
            if value < 1:
                raise ConfigError(f"method.{key}={getattr(self, key)}: choose 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"method.learning_rate={self.learning_rate}: choose a number above 0, up to 1")
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"method.tolerance={self.tolerance}: choose a relative change, at least 0 and below 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"method.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")
        if self.init == Init.svd and not self.last_linear:
            raise ConfigError(
                "method.init=svd: XQ_k needs a last hidden layer that is linear; set method.last_linear=true"
            )
        if self.batch_norm and self.batch < 2:
            raise ConfigError("method.batch=1: the batch norm of one user is nothing; choose 2 or more")

    def require(self) -> None:
        require_torch(self.name, self.device)

    def params(self) -> dict[str, Any]:
        """Where it is computed makes no difference to a model but rounding."""
        return {name: value for name, value in super().params().items() if name != "device"}

    def penalty(self, gram: NDArray[Any]) -> Vector:
        return np.zeros(len(gram))

    def factorise(self, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Any:  # noqa: ARG002
        raise TypeError(f"{self.name} learns from the interactions, which G does not tell: call learn with X")

    def learn(self, X: csr_array, gram: NDArray[Any], penalty: Vector, max_rank: int) -> Problem:  # noqa: ARG002
        """The bound of every rank, and the directions that `init=svd` starts with."""
        w = row_weights(self.row_weights, X)
        if self.batch_norm and X.shape[0] < 2:
            raise ConfigError("method.batch_norm=true: it needs two training users or more")
        return Problem(csr_array(X, dtype=gram.dtype), w, *bounds(X, w, max_rank))

    def at_rank(
        self, state: Problem, rank: Rank, advance: Advance | None = None, observe: Observe | None = None
    ) -> Network:
        from edlae_sweeps.methods.gradient import Trainer

        self.check_rank(rank)
        k = low_ranks([rank])[0]
        trainer = Trainer(self, self.start(state, k), k, state.X, state.w)
        plateau = Plateau(self.learning_rate, self.patience, self.tolerance)
        bound = float(state.bounds[k - 1])
        return descend(trainer, state.X, state.w, bound, self.epochs, plateau, advance, observe)

    def start(self, state: Problem, k: int) -> Encoder:
        """The encoder before its first epoch, in the type of X."""
        X, widths = state.X, [*self.hidden, k]
        random = np.random.default_rng(self.seed)
        norm = max(1.0, energy(X, np.ones(X.shape[0])) / X.shape[0])
        if self.init == Init.random:
            layers = random_layers(X.shape[1], widths, self.activation, norm, random)
        else:
            Q = state.Q[:, :k]
            layers = svd_layers(Q, widths, self.activation, norm, float(np.abs(X @ Q).max()), random)
        typed = [Layer(layer.W.astype(X.dtype), layer.b.astype(X.dtype)) for layer in layers]
        return Encoder(typed, self.activation, self.last_linear)

    def reached(self, state: Problem, model: Network) -> Reached:
        return Reached(model.loss, float(state.bounds[model.V.shape[1] - 1]))

    def model_size(self, n: int, rank: Rank) -> int:
        sizes = [n, *self.hidden, *low_ranks([rank])]
        k = sizes[-1]
        return n * k + sum((a + 1) * b for a, b in itertools.pairwise(sizes))

    def cost(self, n: int, ranks: Sequence[Rank]) -> float:
        """That of the bound; the training is in `events_cost`."""
        k = max(low_ranks(ranks))
        return 8 * (k / n) ** 2 if k <= n / 10 else 6.0

    def events_cost(self, users: int, events: int, ranks: Sequence[Rank]) -> float:
        """All epochs, from what two cores took on debian; a plateau ends them sooner."""
        total = 0.0
        for k in low_ranks(ranks):
            widths = [*self.hidden, k]
            dense = sum(a * b for a, b in itertools.pairwise(widths))
            total += users * (dense + 40 * sum(widths)) + events * (widths[0] + k)
        return self.epochs * total * _SECONDS_PER_WEIGHT

    def peak_bytes(self, n: int, max_rank: int, itemsize: int) -> int:
        """G, Q, and then the bound; or the parameters with gradients and two moments, twice kept, and the output."""
        k = max_rank
        training = 6 * self.model_size(n, k) * itemsize + 5 * 8 * n * k + 3 * 8 * ROWS * max([k, *self.hidden])
        return n * n * itemsize + 8 * n * k + max(bounds_bytes(n, k), training)

"""The start of training a deep autoencoder: at random, or at the bound of the Proposition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.models.network import SELU_ALPHA, SELU_SCALE, Activation, Layer

# The largest input of tanh and selu that `svd_layers` starts with. Most are far smaller: on debian the error is within
# 0.05 % of the bound after three layers. The first steps of training would swamp much smaller ones.
_SMALL = 0.5
# φ(a) − φ(−a) = slope·a: exactly, for any a, with relu and gelu; for small a with the others.
_PAIR_SLOPE = {
    "relu": 1.0,
    "gelu": 1.0,
    "tanh": 2.0,
    "selu": SELU_SCALE * (1 + SELU_ALPHA),
}


def random_layers(
    n: int, widths: Sequence[int], activation: Activation, norm: float, random: np.random.Generator
) -> list[Layer]:
    """Normal weights that keep the scale of the activations (Glorot, He); `norm` is the mean ‖x‖² of a row.

    Rows are sparse: scaled by their length n, the inputs of the first layer would almost vanish.
    """
    gain = 2.0 if activation in ("relu", "gelu") else 1.0
    scales = [1 / norm, *(gain / width for width in widths[:-1])]
    inputs = [n, *widths[:-1]]
    return [
        Layer(np.sqrt(scale) * random.standard_normal((size, width)), np.zeros(width))
        for scale, size, width in zip(scales, inputs, widths, strict=True)
    ]


def svd_layers(
    Q: NDArray[Any],
    widths: Sequence[int],
    activation: Activation,
    norm: float,
    reach: float,
    random: np.random.Generator,
) -> list[Layer]:
    """Layers whose last one, which is linear, outputs XQ_r up to the nonlinearity of small inputs.

    Each direction passes through every layer as a pair of units, φ(a) − φ(−a) = slope·a. r is the number of pairs that
    fit into the narrowest hidden layer, at most k, the columns of Q (n, k). `reach` is max |XQ|. The remaining units
    start at random, with zero weight in the next layer; so do the k − r hidden units without a direction, which
    training may use for others.
    """
    k = Q.shape[1]
    hidden = list(widths[:-1])
    if not hidden:
        return [Layer(Q.copy(), np.zeros(k))]
    r = min([k, *(width // 2 for width in hidden)])
    layers = random_layers(len(Q), widths, activation, norm, random)
    # An exact pair needs no small scale, which would make the first steps of training relatively large.
    scale = _SMALL / reach if activation in ("tanh", "selu") and reach > 0 else 1.0
    layers[0].W[:, : 2 * r] = scale * np.hstack([Q[:, :r], -Q[:, :r]])
    slope = _PAIR_SLOPE[activation]
    single = np.vstack([np.eye(r), -np.eye(r)]) / slope
    for layer in layers[1:-1]:
        layer.W[:, : 2 * r] = 0
        layer.W[: 2 * r, : 2 * r] = np.hstack([single, -single])
    last = layers[-1].W
    last[:, :r] = 0
    last[: 2 * r, :r] = single / scale
    return layers

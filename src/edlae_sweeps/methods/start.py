"""Where the training of a deep autoencoder begins: at random, or at the bound of the Proposition."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.methods.network import SELU_ALPHA, SELU_SCALE, Activation, Layer

# The largest input of tanh and selu that `svd_layers` starts with. Most are far smaller: on debian the error is within
# 0.05 % of the bound after three layers. Much smaller ones would be lost in the first steps of training.
_SMALL = 0.5
# φ(a) − φ(−a) = slope·a: exactly, for any a, of relu and gelu; for small a of the others.
_PAIR_SLOPE = {
    Activation.relu: 1.0,
    Activation.gelu: 1.0,
    Activation.tanh: 2.0,
    Activation.selu: SELU_SCALE * (1 + SELU_ALPHA),
}


def random_layers(
    n: int, widths: Sequence[int], activation: Activation, norm: float, random: np.random.Generator
) -> list[Layer]:
    """Normal weights that keep the scale of what passes (Glorot, He); `norm` is the mean ‖x‖² of a row.

    A row is far from dense: scaled by its length n, the inputs of the first layer would be next to nothing.
    """
    gain = 2.0 if activation in (Activation.relu, Activation.gelu) else 1.0
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
    """Layers whose last one, linear, gives XQ_r to within the nonlinearity of small inputs.

    Each direction travels as a pair of units, φ(a) − φ(−a) = slope·a, through every layer. r is the number of pairs
    that the narrowest hidden layer has room for, at most k, the columns of Q (n, k). `reach` is max |XQ|. Units left
    over start at random, and with no weight in what comes after them; so do the k − r hidden units without a
    direction, from which training may find others.
    """
    k = Q.shape[1]
    hidden = list(widths[:-1])
    if not hidden:
        return [Layer(Q.copy(), np.zeros(k))]
    r = min([k, *(width // 2 for width in hidden)])
    layers = random_layers(len(Q), widths, activation, norm, random)
    # What is exact needs no small scale, which would make the first steps of training large in proportion.
    scale = _SMALL / reach if activation in (Activation.tanh, Activation.selu) and reach > 0 else 1.0
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

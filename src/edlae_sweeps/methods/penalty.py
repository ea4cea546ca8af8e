"""The L2 penalty of emphasised denoising: Λ = λI + p/(1−p)·dMat(diag G) (Steck & Garcia 2021, Eq. 8)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.errors import ConfigError

# Item counts are lost in rounding long before, in either dtype; far beyond, float32 overflows.
_MOST = 1e15


def penalty(gram: NDArray[Any], l2: float, dropout: float) -> NDArray[np.float64]:
    """diag Λ (n,), in float64, from G (n, n), λ = `l2` ≥ 0 and the dropout probability p = `dropout` in [0, 1)."""
    return l2 + dropout / (1 - dropout) * gram.diagonal().astype(np.float64)


def check_penalty(l2: float, dropout: float) -> None:
    """Raise ConfigError unless 0 ≤ λ ≤ 1e15 and 0 ≤ p < 1."""
    if not 0 <= l2 <= _MOST:
        raise ConfigError(f"method.l2={l2}: choose a number from 0 to {_MOST:g}")
    if not 0 <= dropout < 1:
        raise ConfigError(f"method.dropout={dropout}: choose a probability, at least 0 and below 1")

"""Options that several methods share: λ and p, the tolerance of the eigensolver, a seed.

Λ = λI + p/(1−p)·dMat(diag G) is the L2 penalty of emphasised denoising (Steck & Garcia 2021, Eq. 8).
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.options import Options

# Rounding loses item counts long before this, in either dtype; far beyond it float32 overflows.
_MOST = 1e15


@dataclass(frozen=True, kw_only=True, repr=False)
class Penalised(Options):
    """Options of a method with Λ = λI + p/(1−p)·dMat(diag G).

    l2       λ ≥ 0; None: the mean of diag G of the data, see `scaled`
    dropout  p, the dropout probability of emphasised denoising, at least 0 and below 1
    """

    l2: float | None = 500.0
    dropout: float = 0.33

    def check(self) -> None:
        super().check()
        if self.l2 is not None and not 0 <= self.l2 <= _MOST:
            raise ConfigError(f"method.l2={self.l2}: choose a number from 0 to {_MOST:g}")
        check_dropout(self.dropout)

    def penalty(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """diag Λ (n,) from diag G (n,)."""
        return penalty(counts, self.strength, self.dropout)

    def check_state(self, state: Any) -> None:
        """Raise ConfigError for a state that `prepare` made with another λ or p."""
        if not np.array_equal(state.penalty, self.penalty(state.data.item_counts)):
            raise ConfigError(
                f"method.l2={self.l2:g}, method.dropout={self.dropout:g}: this state was prepared with another λ or p; "
                "prepare it with these"
            )

    @property
    def strength(self) -> float:
        """λ. Raises ConfigError for None: λ depends on the data."""
        if self.l2 is None:
            raise ConfigError("method.l2=null: λ is taken from the data; name it, or call scaled(data) first")
        return self.l2

    def scaled(self, data: TrainingData) -> Self:
        """The same options, with λ = mean(diag G) in three digits if it is None.

        λI is then as large as the mean of the diagonal that it is added to, about the λ published for MovieLens-20M. On
        debian, MovieLens-1M, synthetic data and random parts of them, nDCG@100 at p = 0.33 is .002 (rank 10), .003
        (rank 100) and .007 (full rank) below that of the best λ, on average, and .022 at most.
        """
        return self if self.l2 is not None else replace(self, l2=float(f"{self.mean_diagonal(data):.3g}"))

    def mean_diagonal(self, data: TrainingData) -> float:
        """The mean of the diagonal that Λ is added to: diag G."""
        return float(data.item_counts.mean())


def penalty(counts: NDArray[np.float64], l2: float, dropout: float) -> NDArray[np.float64]:
    """diag Λ (n,) from diag G (n,), λ = `l2` ≥ 0 and p = `dropout` in [0, 1)."""
    return l2 + dropout / (1 - dropout) * counts


def check_dropout(dropout: float) -> None:
    """Raise ConfigError unless 0 ≤ p < 1."""
    if not 0 <= dropout < 1:
        raise ConfigError(f"method.dropout={dropout}: choose a probability, at least 0 and below 1")


@dataclass(frozen=True, kw_only=True, repr=False)
class EigenOptions(Options):
    """Option of a method that computes leading eigenpairs.

    eig_tol  share of the captured energy Σθ that the eigensolver may miss, and the mean squared sine of the angles of
             its vectors, from 0 (LAPACK's dense solver) to 0.01
    """

    eig_tol: float = 1e-8

    def check(self) -> None:
        super().check()
        if not 0 <= self.eig_tol <= 0.01:
            raise ConfigError(
                f"method.eig_tol={self.eig_tol}: choose a relative gap from 0 (dense eigensolver) to 0.01"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class Seeded(Options):
    """Option of a method that draws at random.

    seed  a whole number from 0 to 2**32 − 1; equal seeds give equal draws
    """

    seed: int = 0

    def check(self) -> None:
        super().check()
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"method.seed={self.seed}: choose a whole number from 0 to 2**32 - 1")

"""Statistics of paired differences: intervals, effect sizes, tests, and their correction for many comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# Intervals reach to these quantiles, below and above: 95 % lie between.
_QUANTILE = 0.975


@dataclass(frozen=True)
class Paired:
    """What paired differences over n users say.

    mean, error  the mean and its standard error SD/√n (ddof 0)
    effect       Cohen's d_z = mean/SD, the mean in units of the SD of the differences; 0 if they are constant
    better, worse, tied  shares of users with a difference above, below and of 0
    normal       p of the mean, two-sided, by the normal approximation; 1 if the differences are constant
    wilcoxon     p of Wilcoxon's signed-rank test, two-sided; users that are tied are dropped (zero_method="wilcox");
                 1 if all are
    """

    mean: float
    error: float
    effect: float
    better: float
    worse: float
    tied: float
    normal: float
    wilcoxon: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, by the normal approximation."""
        half = float(stats.norm.ppf(_QUANTILE)) * self.error
        return self.mean - half, self.mean + half


def paired(differences: NDArray[np.floating]) -> Paired:
    """The statistics of `differences` (n,)."""
    # The SD of equal numbers may be off 0 by rounding.
    deviation = float(differences.std()) if np.ptp(differences) else 0.0
    mean, error = float(differences.mean()), deviation / sqrt(len(differences))
    return Paired(
        mean=mean,
        error=error,
        effect=mean / deviation if deviation else 0.0,
        better=float((differences > 0).mean()),
        worse=float((differences < 0).mean()),
        tied=float((differences == 0).mean()),
        normal=float(2 * stats.norm.sf(abs(mean) / error)) if error else 1.0,
        wilcoxon=float(stats.wilcoxon(differences, zero_method="wilcox").pvalue) if differences.any() else 1.0,
    )


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p for each p of a family: below α, the hypothesis is rejected at family-wise level α.

    The i-th smallest of m (from 0) is multiplied by m − i; then each is at least those before it, and at most 1.
    Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(values, dtype=np.float64)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return [float(value) for value in adjusted]


def over_splits(differences: Sequence[float], overlap: float) -> tuple[float, float] | None:
    """The 95 % interval of the mean of differences, one from each of J random splits of the same data.

    The splits share users, so their differences are not independent and SD²/J is too small a variance of the mean. The
    corrected resampled t takes (1/J + overlap)·SD², with J − 1 degrees of freedom; `overlap` is the number of test
    users divided by that of training users. None for a single split.
    Nadeau & Bengio (2003), Inference for the generalization error, Machine Learning 52.
    """
    J = len(differences)
    if J < 2:
        return None
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    half = float(stats.t.ppf(_QUANTILE, J - 1)) * deviation * sqrt(1 / J + overlap)
    return mean - half, mean + half

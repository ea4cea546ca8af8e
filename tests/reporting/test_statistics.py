"""Intervals, effect sizes, tests and their correction, against their definitions and other implementations."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from edlae_sweeps.reporting.statistics import holm, over_splits, paired

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("size", [1, 2, 7, 40])
@pytest.mark.parametrize("power", [1, 6])
@pytest.mark.parametrize("decimals", [1, 15])
def test_holm_equals_that_of_statsmodels(size: int, power: int, decimals: int):
    # Rounded to one decimal, many are tied, and some are 0 or 1.
    values = np.round(RANDOM.random(size) ** power, decimals)
    np.testing.assert_allclose(holm(values), multipletests(values, method="holm")[1], rtol=1e-14)


def test_holm_of_few():
    assert holm([]) == []
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("size", [10, 300])
def test_paired_equals_its_definitions(size: int):
    differences = np.round(RANDOM.normal(0.02, 0.1, size), 2)
    differences[::3] = 0
    it = paired(differences)
    mean, deviation = differences.mean(), differences.std()
    assert (it.mean, it.error) == pytest.approx((mean, deviation / np.sqrt(size)))
    assert it.effect == pytest.approx(mean / deviation)
    assert it.normal == pytest.approx(2 * (1 - stats.norm.cdf(abs(mean) / it.error)))
    assert it.wilcoxon == stats.wilcoxon(differences, zero_method="wilcox").pvalue
    assert it.interval == pytest.approx((mean - 1.959964 * it.error, mean + 1.959964 * it.error))
    shares = np.mean(differences > 0), np.mean(differences < 0), np.mean(differences == 0)
    assert (it.better, it.worse, it.tied) == shares


def test_signs_of_a_difference_and_of_its_reverse():
    differences = RANDOM.normal(0.05, 0.1, 60)
    one, other = paired(differences), paired(-differences)
    assert (one.mean, one.effect, one.better) == (-other.mean, -other.effect, other.worse)
    assert (one.normal, one.wilcoxon) == pytest.approx((other.normal, other.wilcoxon))


def test_equal_methods_and_constant_differences_are_not_significant_by_the_mean():
    same = paired(np.zeros(20))
    assert (same.mean, same.error, same.effect, same.normal, same.wilcoxon) == (0, 0, 0, 1, 1)
    # 0.1 has no exact mean: its SD may be off 0.
    constant = paired(np.full(30, 0.1))
    assert (constant.error, constant.effect, constant.normal) == (0, 0, 1)


def test_interval_over_splits_is_the_corrected_resampled_t():
    differences, overlap = [0.01, 0.03, 0.02, 0.025, 0.005], 2000 / 16037
    deviation = np.std(differences, ddof=1)
    half = 2.776445 * deviation * np.sqrt(1 / 5 + overlap)
    assert over_splits(differences, overlap) == pytest.approx((0.018 - half, 0.018 + half), rel=1e-6)
    # Without overlap, it is the usual interval of a mean.
    usual = stats.t.interval(0.95, 4, np.mean(differences), stats.sem(differences))
    assert over_splits(differences, 0) == pytest.approx(usual)


@pytest.mark.parametrize("differences", [[], [0.01]])
def test_one_split_has_no_interval(differences: list[float]):
    assert over_splits(differences, 0.1) is None

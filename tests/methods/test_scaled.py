"""λ that is left to the data: the mean of the diagonal that it is added to, the same for every method of Eq. 7."""

import numpy as np
import pytest
from cases import LINEAR_CASES, PLENTY

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.methods import Closed, Dan, Svd
from edlae_sweeps.methods.shared import Penalised

X = (np.random.default_rng(3).random((60, 12)) < 0.3).astype(float)
X[:12] += np.eye(12)
X = X.clip(0, 1)
UNNAMED = [type(method)(**{**vars(method), "l2": None}) for method in LINEAR_CASES if isinstance(method, Penalised)]


@pytest.mark.parametrize("method", UNNAMED, ids=repr)
def test_a_method_without_a_strength_fits_as_with_the_number_that_it_takes(method):
    data = TrainingData(X, "float64", [f"item{j}" for j in range(12)])
    named = method.scaled(data)
    assert isinstance(named.l2, float)
    assert named.scaled(data) is named
    for (rank, model), expected in zip(
        method.fit_ranks(data, [3], resources=PLENTY).items(),
        named.fit_ranks(data, [3], resources=PLENTY).values(),
        strict=True,
    ):
        assert rank == 3
        for name, array in model.arrays().items():
            np.testing.assert_array_equal(array, expected.arrays()[name])


def test_the_strength_is_the_mean_item_count_in_three_digits():
    mean = X.sum() / 12
    assert Closed(l2=None).scaled(TrainingData(X)).l2 == pytest.approx(mean, rel=5e-3)
    assert Closed(l2=None).scaled(TrainingData(np.ones((1234, 2)))).l2 == 1230.0
    assert Closed(l2=7).scaled(TrainingData(X)).l2 == 7.0
    assert Svd().scaled(TrainingData(X)) == Svd()


def test_the_strength_of_dan_is_on_the_scale_of_its_weighted_gram():
    dan, data = Dan(l2=None, beta=0.5), TrainingData(X)
    assert dan.scaled(data).l2 == pytest.approx(dan.weighted_gram(data).diagonal().mean(), rel=5e-3)
    assert Dan(l2=None, beta=0).scaled(data).l2 == Closed(l2=None).scaled(data).l2


def test_a_penalty_without_data_is_refused():
    with pytest.raises(ConfigError, match=r"method.l2=null: .* call scaled\(data\) first"):
        Closed(l2=None).penalty(X.sum(axis=0))

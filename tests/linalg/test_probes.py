import numpy as np
import pytest
from operators import inverse, problem

from edlae_sweeps.linalg import inverse_diagonal


def truth(A: np.ndarray) -> np.ndarray:
    return np.linalg.inv(A).diagonal()


@pytest.mark.parametrize("exact", [120, 10**6])
def test_all_items_exactly(exact):
    A = problem()
    result = inverse_diagonal(inverse(A, 1e-8), np.full(120, 2.0), np.float64, 2, exact)
    np.testing.assert_allclose(result.values, truth(A), rtol=1e-10)
    assert (result.exact, result.errors.max()) == (120, 0)


def test_probes_are_right_within_their_standard_errors():
    A = problem()
    result = inverse_diagonal(inverse(A, 1e-6), np.full(120, 2.0), np.float64, 400, 0)
    deviations = (result.values / truth(A) - 1) / result.errors
    assert result.exact == 0
    assert np.abs(deviations).max() < 4.5
    assert 0.7 < np.sqrt(np.mean(deviations**2)) < 1.3
    assert result.errors.max() < 0.1


def test_the_error_falls_with_the_root_of_the_number_of_probes():
    A = problem()
    few, many = (
        inverse_diagonal(inverse(A, 1e-6), np.full(120, 2.0), np.float64, probes, 0).errors for probes in (50, 800)
    )
    assert np.median(few / many) == pytest.approx(4, rel=0.15)


def test_the_worst_items_are_solved_exactly():
    A = problem()
    penalty = np.full(120, 2.0)
    before = inverse_diagonal(inverse(A, 1e-8), penalty, np.float64, 20, 0)
    after = inverse_diagonal(inverse(A, 1e-8), penalty, np.float64, 20, 30)
    # An item that nobody has is exact by itself.
    solved = (after.errors == 0) & (before.errors > 0)
    assert solved.sum() == after.exact == 30
    of_d = before.errors / before.values
    assert of_d[solved].min() >= of_d[~solved].max()
    np.testing.assert_allclose(after.values[solved], truth(A)[solved], rtol=1e-10)
    np.testing.assert_array_equal(after.values[~solved], before.values[~solved])


def test_estimates_keep_to_the_bounds_of_the_diagonal():
    A = problem(penalty=0.5)
    penalty = 0.5 + (A.diagonal() - 0.5) / 11
    values = inverse_diagonal(inverse(A, 1e-6), penalty, np.float64, 2, 0).values
    assert np.all(1 / values <= A.diagonal() * (1 + 1e-12))
    assert np.all(1 / values >= penalty * (1 - 1e-12))
    assert np.any(np.isclose(1 / values, A.diagonal()))

from dataclasses import replace

import numpy as np
import pytest
from operators import inverse, problem

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import Effort, deflated, parts
from edlae_sweeps.linalg.deflation import choose_rank, iterations
from edlae_sweeps.linalg.parts import WIDTH


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("columns", [1, 7, WIDTH, 2 * WIDTH + 3])
def test_the_product_with_the_inverse_is_that_of_a_dense_solver(columns, threads):
    A, Y = problem(), np.random.default_rng(1).standard_normal((120, columns))
    C = inverse(A, 1e-12, threads=threads)
    np.testing.assert_allclose(C(Y), np.linalg.solve(A, Y), atol=1e-10)
    assert C.effort.columns == columns
    assert C.effort.residual <= 1e-12


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_every_column_has_the_residual_that_was_asked_for_in_float32(tolerance):
    A = problem()
    Y = np.random.default_rng(1).standard_normal((120, 20)).astype(np.float32)
    C = inverse(A, tolerance)
    X = C.scaled_inverse(Y)
    assert X.dtype == np.float32
    residuals = np.linalg.norm(C.scaled(X) - Y, axis=0) / np.linalg.norm(Y, axis=0)
    assert residuals.max() <= 1.05 * tolerance
    # The tolerance is used: a solver that is always exact would be too slow.
    assert residuals.max() > tolerance / 20


def test_easy_columns_leave_early_and_zero_columns_take_nothing():
    A = problem()
    s = 1 / np.sqrt(A.diagonal())
    values, vectors = np.linalg.eigh(A * s * s[:, None])
    hard = np.random.default_rng(1).standard_normal(120)
    # An eigenvector of Â is solved in one step.
    C = inverse(A, 1e-8)
    X = C.scaled_inverse(np.column_stack([hard, vectors[:, -1], np.zeros(120)]))
    np.testing.assert_allclose(X[:, 1], vectors[:, -1] / values[-1], atol=1e-10)
    assert not X[:, 2].any()
    assert C.effort.columns == 2
    assert C.effort.most > 10
    assert C.effort.iterations == C.effort.most + 1


def test_an_entry_of_the_diagonal_converges_with_the_square_of_the_residual():
    A = problem()
    C = inverse(A, 1e-2)
    s = 1 / np.sqrt(A.diagonal())
    exact = np.linalg.inv(A * s * s[:, None])
    X = C.scaled_inverse(np.eye(120))
    entries, columns = np.abs(X.diagonal() / exact.diagonal() - 1), np.abs(X - exact).max(axis=0)
    assert entries.max() < 2e-3
    assert columns.max() > 10 * entries.max()


def test_deflation_takes_fewer_iterations_and_gives_the_same():
    A, Y = problem(400, 0.1), np.random.default_rng(1).standard_normal((400, 200))
    plain = inverse(A, 1e-6)
    better = deflated(inverse(A, 1e-6), np.float64, 2000, 0.05, 0.0, 400)
    assert better.deflation is not None
    expected = plain(Y)
    np.testing.assert_allclose(better(Y), expected, atol=1e-5 * np.abs(expected).max())
    assert better.effort.columns == plain.effort.columns
    assert better.effort.iterations < 0.75 * plain.effort.iterations


@pytest.mark.parametrize(("columns", "most"), [(2000, 31), (50, 400)])
def test_few_columns_or_little_memory_are_not_worth_a_deflation(columns, most):
    assert deflated(inverse(problem(400), 1e-3), np.float64, columns, 0.1, 0.0, most).deflation is None


def test_an_indefinite_matrix_is_refused():
    A = np.diag([1.0, 2, 3]) + 5 * (1 - np.eye(3))
    with pytest.raises(SolverError, match=r"not positive definite: raise method\.l2"):
        inverse(A, 1e-6)(np.eye(3))


def test_the_number_of_pairs_grows_with_the_columns_and_falls_with_their_cost():
    values = 100.0 / np.arange(1, 33)
    ranks = [choose_rank(values, columns, 0.1, 1e-3, 0.0, 1024) for columns in (100, 1000, 10_000, 100_000)]
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[-1]
    assert choose_rank(values, 100_000, 0.1, 1e-3, 0.5, 1024) < ranks[-1]
    assert choose_rank(values, 100_000, 0.1, 1e-3, 0.0, 100) <= 64
    # A flat spectrum gains nothing.
    assert choose_rank(np.ones(32), 10_000, 0.1, 1e-3, 1e-3, 1024) == 0


def test_iterations_follow_the_root_of_the_condition_number():
    assert iterations(400, 1e-3) == pytest.approx(2 * iterations(100, 1e-3))
    assert iterations(1, 0.5) == 1


def test_threads_give_the_same_to_the_bit(monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 7)
    A, Y = problem(), np.random.default_rng(1).standard_normal((120, 20)).astype(np.float32)
    alone, others = (deflated(inverse(A, 1e-4, threads=t), np.float32, 2000, 0.1, 0.0, 40)(Y) for t in (1, 3))
    np.testing.assert_array_equal(alone, others)
    np.testing.assert_allclose(alone, np.linalg.solve(A, Y), atol=1e-3 * np.abs(alone).max())


def test_progress_counts_the_columns_that_are_done():
    told = []
    C = replace(inverse(problem(), 1e-6, threads=3), effort=Effort(told.append))
    C(np.random.default_rng(1).standard_normal((120, 40)))
    assert told == sorted(told)
    assert told[-1] == 40

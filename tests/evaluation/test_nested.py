"""One product for the factors of all nested ranks."""

import numpy as np

from edlae_sweeps.evaluation import NestedProducts


class Counted:
    """A matrix that counts the columns it multiplies with."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix, self.columns = matrix, 0

    def diagonal(self) -> np.ndarray:
        return self.matrix.diagonal()

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        self.columns += other.shape[1]
        return self.matrix @ other


def test_first_columns_are_multiplied_with_once():
    random = np.random.default_rng(0)
    matrix, Y = Counted(random.standard_normal((30, 30))), random.standard_normal((30, 6))
    nested = NestedProducts(matrix, Y)
    assert matrix.columns == 0
    for k in (2, 6, 3):
        product = nested @ np.ascontiguousarray(Y[:, :k])
        np.testing.assert_allclose(product, matrix.matrix @ Y[:, :k])
        # A caller may work in its product.
        product[:] = 0
    assert matrix.columns == 6
    np.testing.assert_array_equal(nested.diagonal(), matrix.diagonal())


def test_other_matrices_are_multiplied_with_themselves():
    random = np.random.default_rng(1)
    matrix, Y = Counted(random.standard_normal((8, 8))), random.standard_normal((8, 3))
    nested = NestedProducts(matrix, Y)
    for other in (Y[:, 1:], Y[:, :2] + 1e-15, random.standard_normal((8, 5))):
        np.testing.assert_array_equal(nested @ other, matrix.matrix @ other)
    assert matrix.columns == 2 + 2 + 5

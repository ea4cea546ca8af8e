import numpy as np
import pytest

from edlae_sweeps.linalg import leading_eigenpairs


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float64", 1e-10)])
@pytest.mark.parametrize("k", [1, 10, 60, 200])
def test_known_eigenpairs(k, dtype, tolerance):
    n = 200
    Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))
    theta = np.linspace(100, 1, n)
    m = ((Q * theta) @ Q.T).astype(dtype)
    values, vectors = leading_eigenpairs(m.copy(), k)
    np.testing.assert_allclose(values, theta[:k], rtol=tolerance)
    np.testing.assert_allclose(vectors @ vectors.T, Q[:, :k] @ Q[:, :k].T, atol=tolerance)
    assert vectors.shape == (n, k)
    assert vectors.dtype == dtype


def test_ranks_outside_the_matrix_are_refused():
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k = {k}"):
            leading_eigenpairs(np.eye(3), k)

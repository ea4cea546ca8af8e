"""Both backends against the obvious computation in NumPy, in both types, with triangles cut into several blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from edlae_sweeps.errors import SolverError
from edlae_sweeps.linalg import backend_for, backend_of, eigen_dense
from edlae_sweeps.linalg import spd as spd_module

BACKENDS = ["cpu", pytest.param("torch", marks=pytest.mark.torch)]
# One block; whole blocks; and a rest.
SIZES = [1, 5, 32, 75]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    if request.param == "torch":
        pytest.importorskip("torch")
        from edlae_sweeps.linalg import torch_backend, torch_sparse

        monkeypatch.setattr(torch_backend, "_WIDE", 200)
        monkeypatch.setattr(torch_sparse, "_DENSE_BYTES", 20_000)
        monkeypatch.setattr(backend_for("torch"), "block", 16)
    monkeypatch.setattr(spd_module, "_FEW", 20)
    return backend_for(request.param)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def random(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def spd(n: int, dtype: str) -> np.ndarray:
    Z = random((n + 5, n), "float64", n)
    return (Z.T @ Z + np.eye(n)).astype(dtype)


def close(actual: np.ndarray, expected: np.ndarray, dtype: str, factor: float = 1) -> None:
    scale = np.abs(expected).max(initial=1e-30)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=factor * scale * {"float32": 2e-5, "float64": 1e-12}[dtype]
    )


def test_arrays_come_and_go_without_a_copy(backend, dtype):
    values = random((4, 3), dtype)
    a = backend.array(values)
    assert backend_of(a) is backend
    assert backend.dtype(a) == dtype
    assert np.shares_memory(backend.host(a), values)
    assert np.array_equal(backend.host(a), values)
    copied = backend.copy(a)
    copied[0, 0] = 9
    assert values[0, 0] != 9


def test_read_only_arrays_are_never_written(backend, dtype):
    values = random((40, 30), dtype)
    values.flags.writeable = False
    assert np.array_equal(backend.host(backend.array(values)), values)


def test_new_arrays_have_the_order_in_memory_that_they_promise(backend, dtype):
    tall, square = (backend.host(a) for a in (backend.empty((5, 3), dtype), backend.square(4, dtype)))
    assert (tall.shape, square.shape) == ((5, 3), (4, 4))
    assert tall.flags.f_contiguous
    assert square.flags.c_contiguous
    assert tall.dtype == square.dtype == dtype


def test_vectors_are_float64_on_the_host(backend, dtype):
    values = random((6, 6), dtype)
    a = backend.array(values.copy())
    diagonal = backend.diagonal(a)
    assert diagonal.dtype == np.float64
    assert np.array_equal(diagonal, values.diagonal())
    new = np.arange(6) / 3
    backend.set_diagonal(a, new)
    assert np.array_equal(diagonal, values.diagonal())
    assert np.array_equal(backend.host(a).diagonal(), new.astype(dtype))
    column = backend.host(backend.column(new, a))
    assert np.array_equal(column, new.astype(dtype)[:, None])
    assert column.dtype == dtype


@pytest.mark.parametrize("n", SIZES)
def test_blocks_cover_the_upper_triangle_once(backend, dtype, n):
    values = random((n, n), dtype)
    a, seen = backend.array(values.copy()), np.zeros((n, n))
    upper, lower = (backend.square(n, dtype) for _ in range(2))

    def work(rows: slice, columns: slice) -> None:
        seen[rows, columns] += 1
        for whole, block in ((upper, backend.upper), (lower, backend.lower)):
            whole[rows, columns] = block(a, rows, columns)
            whole[columns, rows] = block(a, rows, columns).T

    backend.each_block(n, work)
    assert (np.triu(seen) == np.triu(np.ones((n, n)))).all()
    assert np.array_equal(backend.host(upper), np.triu(values) + np.triu(values, 1).T)
    assert np.array_equal(backend.host(lower), np.tril(values) + np.tril(values, -1).T)
    backend.each_block(n, lambda rows, columns: backend.set_above(a, rows, columns, a[columns, rows].T * 2))
    assert np.array_equal(backend.host(a), np.tril(values) + 2 * np.tril(values, -1).T)


def test_sums_of_products_are_those_of_float64(backend, dtype):
    a, b, c = (random((50, columns), dtype, columns) for columns in (3, 3, 4))
    A, B, C = (backend.array(part) for part in (a, b, c))
    wide = [part.astype(np.float64) for part in (a, b, c)]
    np.testing.assert_allclose(backend.row_sums(A, B), (wide[0] * wide[1]).sum(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(backend.cross(A, C), wide[0].T @ wide[2], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(backend.norms(A), np.linalg.norm(wide[0], axis=0), rtol=1e-6)
    assert backend.row_sums(A, B).dtype == backend.cross(A, C).dtype == backend.norms(A).dtype == np.float64


def test_all_products_of_rows_fill_the_given_array(backend, dtype):
    Y, out = random((7, 3), dtype), backend.square(7, dtype)
    filled = backend.outer(backend.array(Y), out)
    close(backend.host(out), Y @ Y.T, dtype)
    assert np.shares_memory(backend.host(filled), backend.host(out))


def test_scores_of_chosen_items(backend, dtype):
    scores, items = random((3, 9), dtype), np.array([[8, 0], [1, 1], [4, 2]])
    taken = backend.taken(backend.array(scores), items)
    assert np.array_equal(taken, np.take_along_axis(scores, items, axis=1))


@pytest.mark.parametrize("n", SIZES)
def test_the_upper_triangle_becomes_the_inverse(backend, dtype, n):
    values = spd(n, dtype)
    expected = np.linalg.inv(values.astype(np.float64))
    # Another matrix below the diagonal, which counts for nothing.
    below = random((n, n), dtype)
    stored = np.triu(values) + np.tril(below, -1)
    a = backend.array(stored)
    backend.invert_upper(a)
    close(np.triu(backend.host(a)), np.triu(expected), dtype, 50)
    assert np.array_equal(np.tril(backend.host(a), -1), np.tril(below, -1))


@pytest.mark.parametrize("n", SIZES)
def test_products_with_one_triangle(backend, dtype, n):
    values, Y, diagonal = random((n, n), dtype), random((n, 3), dtype, 1), np.arange(1, n + 1) / 3
    upper, lower = (
        np.triu(values) + np.triu(values, 1).T,
        np.tril(values, -1) + np.tril(values, -1).T + np.diag(diagonal),
    )
    for given_Y in (Y, np.asfortranarray(Y)):
        a, B = backend.array(values), backend.array(given_Y)
        close(backend.host(backend.upper_product(a, B)), upper @ Y, dtype)
        close(backend.host(backend.lower_product(a, diagonal, B)), lower @ Y, dtype)
        close(backend.host(backend.symmetric_product(backend.array(upper), B)), upper @ Y, dtype)


@pytest.mark.parametrize("n", SIZES)
def test_solving_reads_the_upper_triangle(backend, dtype, n):
    values, b = spd(n, dtype), random((n,), "float64")
    expected = np.linalg.solve(values.astype(np.float64), b)
    x = backend.solve_spd(backend.array(np.triu(values) + np.tril(random((n, n), dtype), -1)), b)
    assert x.dtype == np.float64
    close(x, expected, dtype, 100)


def broken(case: str, dtype: str) -> np.ndarray:
    values = spd(40, dtype)
    if case == "indefinite":
        values[20, 20] = -1
    elif case == "singular":
        values = np.diag(np.where(np.arange(40) == 20, np.finfo(dtype).eps / 8, 1)).astype(dtype)
    else:
        values[3, 30] = values[30, 3] = {"nan": np.nan, "infinite": np.inf}[case]
    return values


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("indefinite", "not positive definite, pivot 21 of 40 is not positive"),
        ("singular", "singular to {} precision, reciprocal condition"),
        ("nan", "the matrix has entries that are not finite"),
        ("infinite", "the matrix has entries that are not finite"),
    ],
)
def test_what_has_no_inverse_is_refused_and_the_lower_triangle_kept(backend, dtype, case, message):
    values = broken(case, dtype)
    a = backend.array(values.copy())
    with pytest.raises(SolverError, match=message.format(dtype)):
        backend.invert_upper(a)
    assert np.array_equal(np.tril(backend.host(a), -1), np.tril(values, -1), equal_nan=True)
    if case == "indefinite":
        with pytest.raises(SolverError, match=message):
            backend.solve_spd(backend.array(values), np.ones(40))


@pytest.mark.parametrize("kind", ["random", "scaled", "dependent", "equal", "zero"])
def test_bases_are_orthonormal_and_span_the_columns(backend, dtype, kind):
    Y = random((60, 6), dtype)
    if kind == "scaled":
        Y *= 10.0 ** np.arange(-12, 12, 4)
    if kind == "dependent":
        Y[:, 5] = Y[:, 0] + 1e-3 * Y[:, 5]
    if kind == "equal":
        Y[:, 5] = Y[:, 0]
    if kind == "zero":
        Y[:, 2] = 0
    Q = backend.host(backend.orthonormal(backend.array(np.asfortranarray(Y))))
    close(Q.T @ Q, np.eye(6), dtype)
    unit = Y / np.maximum(np.linalg.norm(Y, axis=0), 1e-30)
    close(Q @ (Q.T @ unit), unit, dtype)


@pytest.mark.parametrize(("m", "k"), [(1, 1), (10, 3), (10, 10), (60, 7), (60, 60)])
def test_eigenpairs_come_from_the_largest_down(backend, dtype, m, k):
    Q = np.linalg.qr(random((m, m), "float64"))[0]
    theta = np.linspace(2, 1, m)
    M = ((Q * theta) @ Q.T).astype(dtype)
    small = backend.small_eigenpairs(backend.array(np.asfortranarray(np.tril(M))), k)
    dense = backend.eigenpairs(backend.array(np.triu(M)), k, True)
    for values, vectors in (small, dense):
        V = backend.host(vectors)
        assert values.dtype == np.float64
        assert V.dtype == dtype
        assert backend_of(vectors) is backend
        close(values, theta[:k], dtype)
        close(V.T @ V, np.eye(k), dtype)
        close(M @ V, V * values, dtype)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("k", [3, 40])
def test_a_matrix_that_is_not_finite_has_no_eigenpairs(backend, dtype, wrong, k):
    H = np.eye(40, dtype=dtype, order="F")
    H[3, 5] = H[5, 3] = wrong
    with pytest.raises(SolverError, match="not finite"):
        backend.small_eigenpairs(backend.array(H.copy(order="F")), k)
    with pytest.raises(SolverError, match="not finite"):
        backend.eigenpairs(backend.array(H.copy()), k, False)


def test_an_eigensolver_that_gives_up_is_one_line(backend, monkeypatch):
    def give_up(*_: object, **__: object) -> None:
        raise error("no convergence\nmore")

    if backend.name == "cpu":
        error = np.linalg.LinAlgError
        monkeypatch.setattr(eigen_dense, "eigh", give_up)
    else:
        import torch

        error = torch.linalg.LinAlgError
        monkeypatch.setattr(torch.linalg, "eigh", give_up)
    with pytest.raises(SolverError) as caught:
        backend.eigenpairs(backend.array(np.eye(40)), 40, False)
    assert str(caught.value) == "the eigensolver does not converge: no convergence"


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("rows", [0, 1, 20])
def test_sparse_rows_times_a_dense_matrix(backend, dtype, index, rows):
    X = csr_array(random_array((rows, 30), density=0.1, dtype=dtype, rng=np.random.default_rng(3)))
    X.data[: X.nnz // 2] = 0
    X.eliminate_zeros()
    X = csr_array((X.data, X.indices.astype(index), X.indptr.astype(index)), shape=X.shape)
    W = random((30, 4), dtype)
    for order in "CF":
        product = backend.host(backend.rows_product(X, backend.array(np.asarray(W, order=order))))
        assert product.dtype == dtype
        close(product, X.toarray() @ W, dtype)


@pytest.mark.parametrize("n", [1, 30, 90, 400])
def test_gram_matrices_are_exact_for_counts_and_symmetric(backend, dtype, n):
    X = csr_array(random_array((80, n), density=0.2, rng=np.random.default_rng(n)), dtype=dtype)
    counts = X.copy()
    counts.data[:] = 1
    G = backend.gram(counts, dtype)
    assert backend_of(G) is backend
    assert backend.host(G).flags.c_contiguous
    assert np.array_equal(backend.host(G), counts.toarray().T @ counts.toarray())
    weighted = backend.host(backend.gram(X, dtype))
    assert weighted.dtype == dtype
    close(weighted, X.toarray().T @ X.toarray(), dtype)
    assert np.array_equal(weighted, weighted.T)


@pytest.mark.parametrize("name", BACKENDS)
@given(
    seed=st.integers(0, 2**31), n=st.integers(1, 300), depth=st.integers(1, 320), levels=st.sampled_from([1, 4, 10**6])
)
def test_the_best_items_come_first_and_ties_by_the_lower_index(name, seed, n, depth, levels):
    if name == "torch":
        pytest.importorskip("torch")
    scores = np.random.default_rng(seed).integers(0, levels, (4, n)).astype(np.float32)
    scores[0, : n // 2] = -np.inf
    scores[1] = -np.inf
    expected = [sorted(range(n), key=lambda item, row=row: (-row[item], item))[:depth] for row in scores]
    backend = backend_for(name)
    items = backend.top_items(backend.array(scores), depth)
    assert items.dtype == np.int64
    assert items.tolist() == expected


def test_the_cpu_has_no_memory_of_its_own(backend):
    assert backend.free_bytes() is None

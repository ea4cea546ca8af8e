"""Low ranks from products with X against the same with a dense G."""

import tracemalloc

import numpy as np
import pytest
from cases import ALL_CORES, LINEAR, PLENTY, topics
from scipy.sparse import csr_array, random_array

from edlae_sweeps.datasets import TrainingData
from edlae_sweeps.errors import ConfigError, SolverError
from edlae_sweeps.methods import METHODS, Closed, Deql, Relaxed, Svd, Unconstrained
from edlae_sweeps.resources import GIB, Resources

X = topics(400, 150)
TIGHT = {"cg_tol": 1e-7, "eig_tol": 1e-14}
EXACT = {**TIGHT, "exact_items": 150}
METHODS_HERE = [
    Closed(l2=5, dropout=0.2, **EXACT),
    Relaxed(l2=5, dropout=0.2, xi=0.3, **EXACT),
    Deql(l2=5, dropout=0.2, rho=0.7, **EXACT),
    Unconstrained(l2=5, dropout=0.2, **TIGHT),
    Svd(eig_tol=1e-12),
    Svd(eig_tol=1e-12, row_weights="inverse_activity"),
]


def both(method, rank: int, dtype: str = "float64") -> list:
    """State and model from a dense G, and from products."""
    dense = TrainingData(X, dtype)
    states = [method.prepare(data, rank, PLENTY) for data in (dense, dense.with_products())]
    return [(state, method.fit(state, rank)) for state in states]


@pytest.mark.parametrize("method", METHODS_HERE, ids=repr)
def test_weights_and_training_metrics_are_those_of_a_dense_gram(method):
    (dense_state, dense), (state, model) = both(method, 20)
    W = dense.U @ dense.V.T
    np.testing.assert_allclose(model.U @ model.V.T, W, atol=2e-5 * np.abs(W).max())
    expected, metrics = dense_state.training_metrics(dense), state.training_metrics(model)
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("method", METHODS_HERE, ids=repr)
def test_one_preparation_serves_all_ranks(method):
    data = TrainingData(X, "float64", by_products=True)
    state = method.prepare(data, 20, PLENTY)
    alone = method.fit(data, 7, resources=PLENTY)
    cut = method.fit(state, 7)
    np.testing.assert_allclose(cut.U @ cut.V.T, alone.U @ alone.V.T, atol=1e-4)


@pytest.mark.parametrize(
    "method", [Closed(l2=5, dropout=0.2, exact_items=10), Relaxed(l2=5, dropout=0.2, exact_items=10)], ids=repr
)
def test_probes_cost_little_of_the_objective(method):
    (dense_state, dense), (state, model) = both(method, 20, "float32")
    objectives = [s.training_metrics(m)["objective"] for s, m in ((dense_state, dense), (state, model))]
    assert objectives[1] == pytest.approx(objectives[0], rel=0.005)


def test_the_record_says_what_was_done():
    (_, dense), (_, model) = both(Closed(l2=5, dropout=0.2, probes=40, exact_items=9), 20)
    metrics, tags = model.record.metrics(), model.record.tags()
    # Probes and exact items, one solution for each column of the basis, and U.
    assert metrics["cg/columns"] >= 40 + 9 + 20 + 20
    assert 1 < metrics["cg/iterations"] <= metrics["cg/most_iterations"]
    assert 0 < metrics["cg/residual"] <= 1e-2
    assert metrics["probes/exact_items"] == 9
    assert metrics["cg/gflops"] > 0
    parts = [metrics[f"time/{part}_seconds"] for part in ("deflation", "diagonal", "eigenpairs", "encoder")]
    assert min(parts) > 0
    assert 0 < metrics["probes/error"] < metrics["probes/largest_error"] < 0.5
    assert dense.record.metrics().keys() <= metrics.keys()
    assert tags["eigensolver"] == "block"
    ridge = both(Unconstrained(l2=5, dropout=0.2), 20)[1][1].record.metrics()
    assert not any(name.startswith("probes/") for name in ridge)


def test_progress_follows_the_columns_to_the_end():
    told = []
    data = TrainingData(X, by_products=True)
    state = Closed(l2=5, dropout=0.2).prepare(data, 20, PLENTY, lambda done, total: told.append((done, total)))
    done = [columns for columns, _ in told]
    assert done == sorted(done)
    assert len({total for _, total in told}) == 1
    assert done[-1] == min(told[-1][1], state.low.record.columns)


def test_nothing_of_n_squared_is_made():
    n = 6000
    sparse = csr_array(random_array((2000, n), density=5 / n, format="csr", dtype=np.float32, rng=0))
    sparse.data[:] = 1
    data = TrainingData(sparse, by_products=True)
    method = Closed(l2=5, dropout=0.3, probes=16, exact_items=10, cg_tol=0.05)
    tracemalloc.start()
    state = method.prepare(data, 8, ALL_CORES)
    state.training_metrics(method.fit(state, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n * 4 / 5
    assert peak < method.estimate(data, [8], ALL_CORES).bytes


def test_without_memory_for_eigenpairs_there_is_no_deflation():
    data = TrainingData(X, "float64", by_products=True)
    little = Resources(threads=1, memory=GIB)
    record = Closed(l2=5, dropout=0.2).fit(data, 5, resources=little).record
    assert record.metrics()["cg/deflation"] == 0


@pytest.mark.parametrize(
    ("method", "rank", "message"),
    [
        (Closed(), "full", r"rank=full: the full-rank model is an n×n array"),
        (Closed(beta="column_max"), 5, r"method\.beta=column_max: it needs G as a dense array; choose gram=dense"),
        (Closed(eig_tol=0), 5, r"method\.eig_tol=0: LAPACK's eigensolver needs G as a dense array"),
        (Svd(eig_tol=0), 5, r"method\.eig_tol=0"),
        *(
            (METHODS[name](), 5, f"gram=products: method={name} needs G as a dense array; choose gram=dense, or")
            for name in sorted(LINEAR.keys() - {"closed", "unconstrained", "relaxed", "deql", "svd"})
        ),
    ],
    ids=str,
)
def test_what_needs_a_dense_gram_says_so(method, rank, message):
    data = TrainingData(X, by_products=True)
    with pytest.raises(ConfigError, match=message):
        method.fit(data, rank, resources=PLENTY)


def test_a_state_by_products_has_no_full_rank():
    state = Closed(l2=5, dropout=0.2).prepare(TrainingData(X, by_products=True), 5, PLENTY)
    with pytest.raises(ConfigError, match="rank=full"):
        Closed(l2=5, dropout=0.2).fit(state, "full")


def test_without_a_penalty_there_is_no_inverse():
    with pytest.raises(SolverError, match=r"Λ > 0 for every item: raise method\.l2 or method\.dropout"):
        Closed(l2=0, dropout=0).fit(TrainingData(X, by_products=True), 5, resources=PLENTY)


@pytest.mark.parametrize(("key", "value"), [("cg_tol", 0), ("cg_tol", 0.2), ("probes", 1), ("exact_items", -1)])
def test_values_out_of_range_are_refused(key, value):
    with pytest.raises(ConfigError, match=rf"method\.{key}={value}"):
        Closed(**{key: value})


def test_options_of_products_are_parameters_only_there():
    assert {"cg_tol", "probes", "exact_items"} <= Closed().params(products=True).keys()
    assert not {"cg_tol", "probes", "exact_items"} & Closed().params().keys()
    assert Unconstrained().params(products=True).keys() - Unconstrained().params().keys() == {"cg_tol"}
    assert Svd().params(products=True) == Svd().params()

"""Fits of several ranks: nested ones share a pass over the users, and products with their factors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from edlae_sweeps.datasets import GramProducts, Prepared, Synthetic, TrainingData, load
from edlae_sweeps.evaluation import METRICS, evaluate, weight_metrics
from edlae_sweeps.methods import Admm, Closed, Dan, Deql, Method, Svd, Unconstrained
from edlae_sweeps.resources import GIB, Resources
from edlae_sweeps.workers import Bench, Fit, FitTask, fit_ranks, measures

RESOURCES = Resources(threads=1, memory=64 * GIB)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    settings = Synthetic(n_users=600, n_items=60, mean_events=15, topics=5, heldout_users=100)
    return load(settings, tmp_path_factory.mktemp("data"))


def new_bench(data: Prepared, memory: int = 64 * GIB, by_products: bool = False) -> Bench:
    training = TrainingData(data.train, "float64", by_products=by_products)
    return Bench(data, training, replace(RESOURCES, memory=memory))


def task(method: Method, *ranks) -> FitTask:
    return FitTask(method, ranks, tuple(f"{method.name}-{rank}" for rank in ranks), False, False, True)


def fits(bench: Bench, method: Method, *ranks) -> tuple[dict, list[str]]:
    """The fit of each rank, and the stages that were shown."""
    stages = []

    @contextmanager
    def show(label: str) -> Iterator:
        stages.append(label)
        yield lambda _done, _total: None

    return {fit.rank: fit for fit in fit_ranks(bench, task(method, *ranks), show)}, stages


def silent(_label: str):
    @contextmanager
    def block() -> Iterator:
        yield lambda _done, _total: None

    return block()


def assert_measures_are_those_of(fit: Fit, bench: Bench, method: Method) -> None:
    """Compare with the model of that rank alone, evaluated and measured by itself."""
    state = method.prepare(bench.training, 0 if fit.rank == "full" else fit.rank, bench.resources)
    model, metrics = method.fit(state, fit.rank), fit.measured.metrics
    for part in ("validation", "test"):
        for name, value in evaluate(model, getattr(bench.data, part), resources=RESOURCES).summary().items():
            assert metrics[f"{part}/{name}"] == pytest.approx(value, rel=1e-6)
    groups = {"train": state.training_metrics(model)}
    groups |= weight_metrics(bench.training.gram, state.penalty, model, state.edlae)
    expected = {f"{group}/{name}": value for group, values in groups.items() for name, value in values.items()}
    measured = {name: value for name, value in metrics.items() if name.startswith(("train/", "diag", "eq11", "res"))}
    assert measured.keys() >= expected.keys()
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize(
    "method",
    [
        Closed(l2=5, eig_tol=0),
        Unconstrained(l2=5, eig_tol=0),
        Deql(l2=5, dropout=0.2, eig_tol=0),
        Dan(l2=5, eig_tol=0),
        Svd(row_weights="inverse_activity", eig_tol=0),
        Admm(l2=5, epochs=2),
    ],
)
def test_ranks_together_are_measured_as_alone(data, method):
    bench = new_bench(data)
    ranks = [3, 10, 20, *(["full"] if method.limit else [])]
    by_rank, _ = fits(bench, method, *ranks)
    assert list(by_rank) == ranks
    for fit in by_rank.values():
        assert_measures_are_those_of(fit, bench, method)
        assert fit.shared


def test_nested_ranks_share_a_pass_and_its_seconds(data, monkeypatch):
    passes = []
    whole = measures.evaluate_nested
    monkeypatch.setattr(
        measures, "evaluate_nested", lambda *args, **more: passes.append(args[1]) or whole(*args, **more)
    )
    by_rank, stages = fits(new_bench(data), Closed(l2=5), 3, 10, "full")
    assert passes == [[3, 10], [3, 10]]
    assert stages == ["factorise closed to rank 10", "evaluate closed, 2 ranks", "measure closed-3",
                      "measure closed-10", "evaluate closed-full"]  # fmt: skip
    seconds = {rank: fit.measured.metrics["time/evaluate_seconds"] for rank, fit in by_rank.items()}
    assert seconds[3] == seconds[10] > 0
    assert fits(new_bench(data), Closed(l2=5), 4)[1][1:] == ["evaluate closed-4", "measure closed-4"]
    assert fits(new_bench(data), Closed(l2=5), "full")[1] == ["factorise closed", "evaluate closed-full"]


def test_each_nested_rank_is_measured_when_it_is_asked_for(data, monkeypatch):
    """What is finished is not held back by the ranks that follow."""
    measured = []
    one = measures.weight_metrics
    monkeypatch.setattr(measures, "weight_metrics", lambda *args: measured.append(args[2].rank) or one(*args))
    bench = new_bench(data)
    for fit in fit_ranks(bench, task(Closed(l2=5), 3, 10, 20), silent):
        assert measured[-1] == fit.rank
    assert measured == [3, 10, 20]


def test_products_are_made_once_if_there_is_memory(data, monkeypatch):
    columns = []
    product = GramProducts.__matmul__
    monkeypatch.setattr(GramProducts, "__matmul__", lambda G, Y: columns.append(Y.shape[1]) or product(G, Y))
    method = Svd()

    def measured(memory: int) -> list[int]:
        bench = new_bench(data, memory, by_products=True)
        generator = fit_ranks(bench, task(method, 3, 20), silent)
        first = next(generator)
        columns.clear()
        rest = list(generator)
        for fit in (first, *rest):
            assert fit.measured.metrics["train/squared_error"] > 0
        return list(columns)

    # The columns of the second rank are those of the first rank's product.
    assert measured(64 * GIB) == []
    assert measured(GIB) == [20]


@pytest.mark.parametrize("metric", METRICS)
def test_the_users_are_those_of_the_split(data, metric):
    by_rank, _ = fits(new_bench(data), Closed(l2=5), 3, 10)
    for fit in by_rank.values():
        test = fit.measured.test
        alone = evaluate(fit.model, data.test)
        assert np.array_equal(test.users, alone.users)
        np.testing.assert_allclose(test.values[metric], alone.values[metric], rtol=1e-9)

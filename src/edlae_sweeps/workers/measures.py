"""What is measured of a model: accuracy on held-out users, training error, and diagnostics of its weights."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import Advance, Gram
from edlae_sweeps.evaluation import NestedProducts, PerUser, evaluate, evaluate_nested, weight_metrics
from edlae_sweeps.linalg import backend_for, operator_of
from edlae_sweeps.methods import Method, State
from edlae_sweeps.models import Model
from edlae_sweeps.resources import Resources
from edlae_sweeps.workers.bench import Bench
from edlae_sweeps.workers.certified import Certificates

_SQUARES = frozenset({"train/squared_error", "train/objective"})


@dataclass(frozen=True)
class Shared:
    """A method with its parameters, the state of its ranks, the seconds it took, and whether ranks share it.

    `B` multiplies in place of the array of the full-rank EDLAE, and `certificates` bound Eq. 7, if they are given.
    """

    method: Method[Any]
    state: State
    seconds: float
    shared: bool
    B: Gram | None = None
    certificates: Certificates | None = None

    def with_products(self, model: Model, bench: Bench) -> "Shared":
        """The same for ranks that are the first columns of `model`: G and B multiply with its factors once for all.

        Where memory is short they multiply for each rank: the products, their copies and `model` take six n×k arrays.
        """
        # Nothing is computed before the first measure.
        factors, state, data = model.factors(), self.state, self.state.data
        if factors is None:
            return self
        needed = self.method.estimate(data, [factors[0].shape[1]], bench.resources).bytes + 6 * factors[0].nbytes
        if needed > bench.resources.matrix_bytes:
            return self
        U, V = factors
        gram = NestedProducts(bench.computed(data.operator), U)
        B = None if state.edlae is None else NestedProducts(operator_of(state.edlae.B), V)
        return replace(self, state=replace(state, data=data.with_operator(gram)), B=B)

    def to_measure(self, using: Resources) -> "Shared":
        """The same with G of the host, and no products kept, if the CPU takes over from the device of the state."""
        state = self.state
        if using.device == state.resources.device:
            return self
        data = state.data.with_operator(state.data.gram)
        return replace(self, state=replace(state, resources=using, data=data), B=None)


@dataclass(frozen=True)
class Fitted:
    """A model, the seconds of its fit, and the validation nDCG@100 of each epoch if that was asked for."""

    model: Model
    seconds: float
    epochs: Sequence[float]


@dataclass(frozen=True)
class Accuracy:
    """Metrics of each validation and test user, and the seconds of the pass over them, which ranks may share."""

    validation: PerUser
    test: PerUser
    seconds: float


@dataclass(frozen=True)
class Measured:
    """Metrics, tags and metrics by epoch of a model, and the test metrics of each user."""

    metrics: dict[str, float]
    tags: dict[str, str]
    history: dict[str, list[float]]
    test: PerUser


def accuracy(model: Model, metrics: Sequence[str], bench: Bench, advance: Advance | None) -> Accuracy:
    """Evaluate a model on validation and test users, by further `metrics` too."""
    start, data = time.perf_counter(), bench.data
    validation, test = (
        evaluate(model, part, advance, bench.resources, metrics=metrics) for part in (data.validation, data.test)
    )
    return Accuracy(validation, test, time.perf_counter() - start)


def nested_accuracy(
    model: Model, ranks: Sequence[int], metrics: Sequence[str], bench: Bench, advance: Advance | None
) -> dict[int, Accuracy]:
    """Evaluate all ranks, ascending to that of `model`, in one pass over validation and test users.

    The seconds of each rank are those of the pass, as the seconds of a factorisation are.
    """
    start, data = time.perf_counter(), bench.data
    validation, test = (
        evaluate_nested(model, ranks, part, advance, bench.resources, metrics=metrics)
        for part in (data.validation, data.test)
    )
    seconds = time.perf_counter() - start
    return {rank: Accuracy(validation[rank], test[rank], seconds) for rank in ranks}


def measure(shared: Shared, fitted: Fitted, accuracy: Accuracy, bench: Bench) -> Measured:
    """All measures of a model, of which training error and weights are computed here."""
    record, validation, test = fitted.model.record, accuracy.validation, accuracy.test
    train, weights = bench.computed(lambda using: _computed(shared.to_measure(using), fitted.model, using))
    metrics = {
        **named("test", test.summary()),
        **named("validation", validation.summary()),
        "test/users": float(len(test.users)),
        "validation/users": float(len(validation.users)),
        **train,
        **(record.metrics() if record else {}),
        **weights,
        **_certified(shared, fitted.model, train, bench),
        "time/gram_seconds": bench.gram_seconds,
        "time/factorise_seconds": shared.seconds,
        "time/rank_seconds": fitted.seconds,
        "time/fit_seconds": shared.seconds + fitted.seconds,
        "time/evaluate_seconds": accuracy.seconds,
        "memory/peak_gib": machine.peak_memory() / machine.GIB,
        **_device_peak(shared.state.resources),
    }
    history = record.series() if record else {}
    if fitted.epochs:
        history["validation/ndcg_100"] = list(fitted.epochs)
    tags = {**(record.tags() if record else {}), **bench.tags, **_device_tag(shared.state.resources)}
    return Measured(
        {name: _least_zero(name, value) for name, value in metrics.items()},
        tags,
        {name: [_least_zero(name, value) for value in values] for name, values in history.items()},
        test,
    )


def _least_zero(name: str, value: float) -> float:
    """A value of a metric, or 0: the terms of these sums of squares cancel, and an exact fit may round below 0."""
    return 0.0 if name in _SQUARES and value < 0 else value


def _certified(shared: Shared, model: Model, train: Mapping[str, float], bench: Bench) -> dict[str, float]:
    """How far the model may be from the optimum of Eq. 7, if that was asked for."""
    if shared.certificates is None:
        return {}
    return shared.certificates.metrics(model, train["train/objective"], bench)


def _device_tag(resources: Resources) -> dict[str, str]:
    """Where a fit was computed, if not on the CPU."""
    return {} if resources.device == "cpu" else {"device": backend_for(resources.device).name}


def _device_peak(resources: Resources) -> dict[str, float]:
    """The largest size of the process's arrays on a device so far, if it has memory of its own."""
    peak = None if resources.device == "cpu" else backend_for(resources.device).peak_bytes()
    return {} if peak is None else {"memory/device_peak_gib": peak / machine.GIB}


def _computed(shared: Shared, model: Model, using: Resources) -> tuple[dict[str, float], dict[str, float]]:
    """Training error and measures of the weights, which multiply with G."""
    return named("train", shared.state.training_metrics(model)), _weights(shared, model, using)


def _weights(shared: Shared, model: Model, using: Resources) -> dict[str, float]:
    """The learned diagonal, and for a method that approximates EDLAE how near it came (Eqs. 11, 14)."""
    state = shared.state
    gram = state.data.operator(using)
    edlae = state.edlae
    if edlae is not None and using.device == "cpu":
        edlae = edlae.on_host()
    groups = weight_metrics(gram, state.penalty, model, edlae, shared.B)
    return {name: value for group, values in groups.items() for name, value in named(group, values).items()}


def named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """The values under their names in a run: prefix/name."""
    return {f"{prefix}/{name}": value for name, value in values.items()}

"""Fitting one rank and measuring it on training, validation and test data, each timed alone."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import Advance, HeldOut, Prepared, TrainingData
from edlae_sweeps.evaluation import PerUser, evaluate, weight_metrics
from edlae_sweeps.methods import Method, Rank, State, largest_rank
from edlae_sweeps.models import Model
from edlae_sweeps.resources import Resources


@dataclass(frozen=True)
class Inputs:
    """What every fit of a job uses: data, resources, the metrics baseline/*, and the seconds that G took."""

    data: Prepared
    training: TrainingData
    resources: Resources
    baseline: Mapping[str, float]
    gram_seconds: float


@dataclass(frozen=True)
class Shared:
    """A method with its parameters, the state of its ranks, the seconds it took, and whether ranks share it."""

    method: Method[Any]
    state: State
    seconds: float
    shared: bool


@dataclass(frozen=True)
class Fitted:
    """A model, the seconds of its fit, and the validation nDCG@100 of each epoch if that was asked for."""

    model: Model
    seconds: float
    epochs: Sequence[float]


@dataclass(frozen=True)
class Measured:
    """Metrics, tags and metrics by epoch of a model, and the test metrics of each user."""

    metrics: dict[str, float]
    tags: dict[str, str]
    history: dict[str, list[float]]
    test: PerUser


def prepare(method: Method[Any], inputs: Inputs, ranks: Sequence[Rank]) -> Shared:
    """The step that `ranks` share, timed alone."""
    start = time.perf_counter()
    state = method.prepare(inputs.training, largest_rank(ranks), inputs.resources)
    return Shared(method, state, time.perf_counter() - start, len(ranks) > 1)


def warm_up(dtype: str) -> None:
    """Wake the threads of the linear algebra, so that the first timed fit finds them ready."""
    a = np.eye(1024, dtype=dtype)
    for _ in range(3):
        a = a @ a


def fit_rank(shared: Shared, rank: Rank, inputs: Inputs, advance: Advance | None, validation: HeldOut | None) -> Fitted:
    """The model of one rank, timed alone. If `validation` is given, each epoch is validated, outside the time."""
    values: list[float] = []
    outside = 0.0

    def observe(iterate: Model) -> None:
        nonlocal outside
        start = time.perf_counter()
        if validation is not None:
            values.append(evaluate(iterate, validation, resources=inputs.resources).summary()["ndcg_100"])
        outside += time.perf_counter() - start

    start = time.perf_counter()
    model = shared.method.fit(shared.state, rank, advance=advance, observe=None if validation is None else observe)
    return Fitted(model, time.perf_counter() - start - outside, values)


def measure(shared: Shared, fitted: Fitted, inputs: Inputs, advance: Advance | None) -> Measured:
    """Measure a model on training, validation and test data."""
    model, record, data = fitted.model, fitted.model.record, inputs.data
    start = time.perf_counter()
    validation = evaluate(model, data.validation, advance, inputs.resources)
    test = evaluate(model, data.test, advance, inputs.resources)
    evaluate_seconds = time.perf_counter() - start
    metrics = {
        **named("test", test.summary()),
        **named("validation", validation.summary()),
        "test/users": float(len(test.users)),
        "validation/users": float(len(validation.users)),
        **named("train", shared.state.training_metrics(model)),
        **(record.metrics() if record else {}),
        **_weights(shared, model, inputs),
        "time/gram_seconds": inputs.gram_seconds,
        "time/factorise_seconds": shared.seconds,
        "time/rank_seconds": fitted.seconds,
        "time/fit_seconds": shared.seconds + fitted.seconds,
        "time/evaluate_seconds": evaluate_seconds,
        "memory/peak_gib": machine.peak_memory() / machine.GIB,
    }
    history = record.series() if record else {}
    if fitted.epochs:
        history["validation/ndcg_100"] = list(fitted.epochs)
    return Measured(metrics, record.tags() if record else {}, history, test)


def _weights(shared: Shared, model: Model, inputs: Inputs) -> dict[str, float]:
    """The learned diagonal, and for a method that approximates EDLAE how near it came (Eqs. 11, 14)."""
    groups = weight_metrics(inputs.training.gram, shared.state.penalty, model, shared.state.edlae)
    return {name: value for group, values in groups.items() for name, value in named(group, values).items()}


def named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """The values under their names in a run: prefix/name."""
    return {f"{prefix}/{name}": value for name, value in values.items()}

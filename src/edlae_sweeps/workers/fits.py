"""Fits as tasks: each rank is fitted and measured on training, validation and test data, each step timed alone."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from edlae_sweeps import resources as machine
from edlae_sweeps.datasets import Advance, HeldOut
from edlae_sweeps.evaluation import PerUser, diagonal, evaluate, weight_metrics
from edlae_sweeps.methods import Method, Rank, State, largest_rank
from edlae_sweeps.models import Model
from edlae_sweeps.models.objective import Vector
from edlae_sweeps.workers.bench import Bench

# Shows the progress of a step, as console.stage does.
Show = Callable[[str], AbstractContextManager[Advance]]


@dataclass(frozen=True)
class FitTask:
    """Fit and measure a method at ranks that share its factorisation.

    names     name of the cell of each rank, for the progress
    beside    other tasks run at the same time, so that the times are not those of a stand-alone fit
    by_epoch  validate each epoch of an iterative method
    keep      return the models
    """

    method: Method[Any]
    ranks: tuple[Rank, ...]
    names: tuple[str, ...]
    beside: bool
    by_epoch: bool
    keep: bool


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


@dataclass(frozen=True)
class Fit:
    """What a fit leaves: its parameters, its measures, diag(UVᵀ) (n,) if it has factors, and the model if it is kept.

    `shared` is true if its times are not those of a stand-alone fit.
    """

    method: Method[Any]
    rank: Rank
    shared: bool
    measured: Measured
    diagonal: Vector | None
    model: Model | None


def fit_ranks(bench: Bench, task: FitTask, show: Show) -> Iterator[Fit]:
    """The fit of each rank of a task, as soon as it is measured."""
    # The states of a search would take the memory of a fit.
    bench.forget()
    low = largest_rank(task.ranks)
    with show(f"factorise {task.method.name}{f' to rank {low}' if low else ''}") as advance:
        shared = _prepare(bench, task, advance)
    for rank, name in zip(task.ranks, task.names, strict=True):
        with nullcontext() if task.method.nested else show(f"fit {name}") as advance:
            fitted = _fit(shared, rank, bench, advance, bench.data.validation if task.by_epoch else None)
        with show(f"evaluate {name}") as advance:
            measured = _measure(shared, fitted, bench, advance)
        model = fitted.model
        yield Fit(task.method, rank, shared.shared, measured, diagonal(model), model if task.keep else None)
        # Free it before the next one.
        del fitted, model


def fits_of(bench: Bench, task: FitTask) -> list[Fit]:
    """All fits of a task, without progress: what a worker returns."""
    return list(fit_ranks(bench, task, lambda _: nullcontext(_ignore)))


def _ignore(_done: int, _total: int) -> None:
    """Progress that nobody sees."""


def _prepare(bench: Bench, task: FitTask, advance: Advance) -> Shared:
    """The step that the ranks share, timed alone."""
    start = time.perf_counter()
    state = task.method.prepare(bench.training, largest_rank(task.ranks), bench.resources, advance)
    return Shared(task.method, state, time.perf_counter() - start, len(task.ranks) > 1 or task.beside)


def warm_up(dtype: str) -> None:
    """Wake the threads of the linear algebra, so that the first timed fit finds them ready."""
    a = np.eye(1024, dtype=dtype)
    for _ in range(3):
        a = a @ a


def _fit(shared: Shared, rank: Rank, bench: Bench, advance: Advance | None, validation: HeldOut | None) -> Fitted:
    """The model of one rank, timed alone. If `validation` is given, each epoch is validated, outside the time."""
    values: list[float] = []
    outside = 0.0

    def observe(iterate: Model) -> None:
        nonlocal outside
        start = time.perf_counter()
        if validation is not None:
            values.append(evaluate(iterate, validation, resources=bench.resources).summary()["ndcg_100"])
        outside += time.perf_counter() - start

    start = time.perf_counter()
    model = shared.method.fit(shared.state, rank, advance=advance, observe=None if validation is None else observe)
    return Fitted(model, time.perf_counter() - start - outside, values)


def _measure(shared: Shared, fitted: Fitted, bench: Bench, advance: Advance | None) -> Measured:
    """Measure a model on training, validation and test data."""
    model, record, data = fitted.model, fitted.model.record, bench.data
    start = time.perf_counter()
    validation = evaluate(model, data.validation, advance, bench.resources)
    test = evaluate(model, data.test, advance, bench.resources)
    evaluate_seconds = time.perf_counter() - start
    metrics = {
        **named("test", test.summary()),
        **named("validation", validation.summary()),
        "test/users": float(len(test.users)),
        "validation/users": float(len(validation.users)),
        **named("train", shared.state.training_metrics(model)),
        **(record.metrics() if record else {}),
        **_weights(shared, model, bench),
        "time/gram_seconds": bench.gram_seconds,
        "time/factorise_seconds": shared.seconds,
        "time/rank_seconds": fitted.seconds,
        "time/fit_seconds": shared.seconds + fitted.seconds,
        "time/evaluate_seconds": evaluate_seconds,
        "memory/peak_gib": machine.peak_memory() / machine.GIB,
    }
    history = record.series() if record else {}
    if fitted.epochs:
        history["validation/ndcg_100"] = list(fitted.epochs)
    return Measured(metrics, {**(record.tags() if record else {}), **bench.tags}, history, test)


def _weights(shared: Shared, model: Model, bench: Bench) -> dict[str, float]:
    """The learned diagonal, and for a method that approximates EDLAE how near it came (Eqs. 11, 14)."""
    gram = bench.training.operator(bench.resources.threads)
    groups = weight_metrics(gram, shared.state.penalty, model, shared.state.edlae)
    return {name: value for group, values in groups.items() for name, value in named(group, values).items()}


def named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """The values under their names in a run: prefix/name."""
    return {f"{prefix}/{name}": value for name, value in values.items()}

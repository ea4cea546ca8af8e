"""Fits as tasks: each rank is fitted and measured on training, validation and test data, each step timed alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edlae_sweeps.datasets import Advance, HeldOut
from edlae_sweeps.evaluation import diagonal, evaluate
from edlae_sweeps.methods import Method, Rank, largest_rank
from edlae_sweeps.models import Model
from edlae_sweeps.models.objective import Vector
from edlae_sweeps.workers.bench import Bench
from edlae_sweeps.workers.certified import Certificates
from edlae_sweeps.workers.measures import Fitted, Measured, Shared, accuracy, measure, nested_accuracy

# Shows the progress of a step, as console.stage does.
Show = Callable[[str], AbstractContextManager[Advance]]


@dataclass(frozen=True)
class FitTask:
    """Fit and measure a method at ranks that share its factorisation.

    ranks     ascending, with `full` last
    names     name of the cell of each rank, for the progress
    beside    other tasks run at the same time, so that the times are not those of a stand-alone fit
    by_epoch  validate each epoch of an iterative method
    keep      return the models
    metrics   names of further metrics of the held-out users
    certify   bound Eq. 7 from below
    """

    method: Method[Any]
    ranks: tuple[Rank, ...]
    names: tuple[str, ...]
    beside: bool
    by_epoch: bool
    keep: bool
    metrics: tuple[str, ...] = ()
    certify: bool = False


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
    """The fit of each rank of a task, as soon as it is measured. Nested ranks are evaluated together, before that."""
    # The states of a search would take the memory of a fit.
    bench.forget()
    certificates = None
    low = largest_rank(task.ranks)
    if task.certify and low:
        # Before the fit, so that the arrays of both are never in memory together.
        with show("lower bound of Eq. 7") as advance:
            certificates = Certificates.of(task.method, task.ranks, bench, advance)
    with show(f"factorise {task.method.name}{f' to rank {low}' if low else ''}") as advance:
        shared = replace(_prepare(bench, task, advance), certificates=certificates)
    names = dict(zip(task.ranks, task.names, strict=True))
    if task.method.nested:
        nested = {rank: names.pop(rank) for rank in task.ranks if rank != "full"}
        if nested:
            yield from _fit_nested(shared, nested, bench, task, show)
    for rank, name in names.items():
        # A nested method has its full rank from the state.
        with nullcontext() if task.method.nested else show(f"fit {name}") as advance:
            fitted = _fit(shared, rank, bench, advance, bench.data.validation if task.by_epoch else None)
        with show(f"evaluate {name}") as advance:
            measured = measure(shared, fitted, accuracy(fitted.model, task.metrics, bench, advance), bench)
        yield _left(task, rank, shared, fitted, measured)
        # Free it before the next one.
        del fitted


def fits_of(bench: Bench, task: FitTask) -> list[Fit]:
    """All fits of a task, without progress: what a worker returns."""
    return list(fit_ranks(bench, task, lambda _: nullcontext(_ignore)))


def _ignore(_done: int, _total: int) -> None:
    """Progress that nobody sees."""


def _prepare(bench: Bench, task: FitTask, advance: Advance) -> Shared:
    """The step that the ranks share, timed alone."""
    start = time.perf_counter()
    state = task.method.prepare(bench.training, largest_rank(task.ranks), bench.resources, advance)
    bench.follow(state.resources)
    return Shared(task.method, state, time.perf_counter() - start, len(task.ranks) > 1 or task.beside)


def warm_up(dtype: str) -> None:
    """Wake the threads of the linear algebra, so that the first timed fit finds them ready."""
    a = np.eye(1024, dtype=dtype)
    for _ in range(3):
        a = a @ a


def _fit_nested(shared: Shared, names: dict[int, str], bench: Bench, task: FitTask, show: Show) -> Iterator[Fit]:
    """The fits of the low ranks of a nested method: one pass over the users for all, then each is measured."""
    largest = max(names)
    label = names[largest] if len(names) == 1 else f"{task.method.name}, {len(names)} ranks"
    with show(f"evaluate {label}") as advance:
        model = task.method.fit(shared.state, largest)
        bench.follow(shared.state.resources)
        by_rank = nested_accuracy(model, list(names), task.metrics, bench, advance)
    shared = shared.with_products(model, bench)
    del model
    for rank, name in names.items():
        fitted = _fit(shared, rank, bench, None, None)
        with show(f"measure {name}"):
            measured = measure(shared, fitted, by_rank[rank], bench)
        yield _left(task, rank, shared, fitted, measured)
        # Free it before the next one.
        del fitted


def _fit(shared: Shared, rank: Rank, bench: Bench, advance: Advance | None, validation: HeldOut | None) -> Fitted:
    """The model of one rank, timed alone. If `validation` is given, each epoch is validated, outside the time."""
    values: list[float] = []
    outside, device = 0.0, shared.state.resources.device

    def observe(iterate: Model) -> None:
        nonlocal outside, device
        start = time.perf_counter()
        if shared.state.resources.device != device:
            # The CPU begins again where a GPU was too small.
            values.clear()
            device = shared.state.resources.device
        if validation is not None:
            values.append(evaluate(iterate, validation, resources=bench.resources).summary()["ndcg_100"])
        outside += time.perf_counter() - start

    start = time.perf_counter()
    model = shared.method.fit(shared.state, rank, advance=advance, observe=None if validation is None else observe)
    seconds = time.perf_counter() - start - outside
    bench.follow(shared.state.resources)
    return Fitted(model, seconds, values)


def _left(task: FitTask, rank: Rank, shared: Shared, fitted: Fitted, measured: Measured) -> Fit:
    model = fitted.model
    return Fit(task.method, rank, shared.shared, measured, diagonal(model), model if task.keep else None)

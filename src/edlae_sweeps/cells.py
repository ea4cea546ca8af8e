"""One cell: the result of one (method, rank), fitted and measured."""

import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from edlae_sweeps import machine
from edlae_sweeps.datasets import HeldOut, Prepared
from edlae_sweeps.evaluation import PerUser, diagonal, diagonal_quantiles, eq_11, evaluate, residual
from edlae_sweeps.methods import (
    Advance,
    ByEpoch,
    FullRank,
    LowRank,
    Method,
    Model,
    Network,
    Rank,
    training_fit,
)
from edlae_sweeps.settings import RESULTS_VERSION, Settings, run_key
from edlae_sweeps.tracking import Found

_VERSIONED = ("edlae_sweeps", "hydra-core", "mlflow", "numpy", "optuna", "scipy")


@dataclass(frozen=True)
class Cell:
    """The result of one (method, rank), under the names that it has in result.json and in MLflow.

    `history` has a list of values by epoch, from 1, for the metrics of an iterative method; `outcome` the tags that
    were not known before.
    """

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    tags: dict[str, str]
    outcome: dict[str, str]
    history: dict[str, list[float]]


@dataclass(frozen=True)
class Fitted:
    """A model, the seconds that `at_rank` took, and the validation nDCG@100 of each epoch where that was asked for."""

    model: Model
    seconds: float
    epochs: Sequence[float] = ()


@dataclass(frozen=True)
class Ground:
    """What every factorisation of a job starts from: X (m, n), G (n, n), the baseline, and the seconds of G."""

    interactions: csr_array
    gram: NDArray[Any]
    baseline: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Factorised:
    """A method with its parameters, diag Λ (n,), what `factorise` made of them, and its seconds.

    `shared` where more than one rank is cut from it.
    """

    method: Method
    penalty: NDArray[np.float64]
    state: Any
    seconds: float
    shared: bool


def factorise(method: Method, ground: Ground, ranks: Sequence[Rank]) -> Factorised:
    """The step that `ranks` share, timed alone."""
    start = time.perf_counter()
    penalty = method.penalty(ground.gram)
    state = method.learn(ground.interactions, ground.gram, penalty, largest(ranks))
    return Factorised(method, penalty, state, time.perf_counter() - start, len(ranks) > 1)


def warm_up(dtype: str) -> None:
    """Wake the threads of the linear algebra, so that the first fit that is timed finds them ready."""
    a = np.eye(1024, dtype=dtype)
    for _ in range(3):
        a = a @ a


def largest(ranks: Sequence[Rank]) -> int:
    """The largest low rank; 0 where there is `full` alone."""
    return max([0, *(rank for rank in ranks if rank != "full")])


def cell_name(settings: Settings, rank: Rank) -> str:
    """`closed-k500`, or `closed-full`."""
    return f"{settings.method.name}-{rank}" if rank == "full" else f"{settings.method.name}-k{rank}"


def cell_params(settings: Settings, method: Method, rank: object) -> dict[str, Any]:
    """The parameters of a run: what to filter and group by. A method's own seed is the one that counts."""
    return {
        "dataset": settings.dataset.label,
        "method": method.name,
        "rank": rank,
        "tune": settings.tune.name,
        "dtype": settings.dtype.value,
        "seed": settings.seed,
        **method.params(),
    }


def fit_rank(factorised: Factorised, rank: Rank, advance: Advance | None, validation: HeldOut | None = None) -> Fitted:
    """The model of one rank, timed alone; epochs are validated where `validation` is given, beside the time."""
    method, state = factorised.method, factorised.state
    found: list[float] = []
    beside = 0.0

    def observe(iterate: Model) -> None:
        nonlocal beside
        start = time.perf_counter()
        found.append(evaluate(iterate, validation).summary()["ndcg_100"] if validation is not None else math.nan)
        beside += time.perf_counter() - start

    start = time.perf_counter()
    if validation is not None and isinstance(method, ByEpoch):
        model = method.at_rank(state, rank, advance, observe)
    else:
        model = method.at_rank(state, rank, advance)
    return Fitted(model, time.perf_counter() - start - beside, found)


def measure_cell(
    settings: Settings,
    data: Prepared,
    ground: Ground,
    factorised: Factorised,
    rank: Rank,
    fitted: Fitted,
    advance: Advance | None,
) -> tuple[Cell, PerUser]:
    """Measure a model on training, validation and test data."""
    model = fitted.model
    start = time.perf_counter()
    validation = evaluate(model, data.validation, advance)
    test = evaluate(model, data.test, advance)
    evaluate_seconds = time.perf_counter() - start
    outcome, found, history = _found(model)
    metrics = {
        **_named("test", test.summary()),
        **_named("validation", validation.summary()),
        **_named("baseline", ground.baseline),
        "test/users": float(len(test.users)),
        "validation/users": float(len(validation.users)),
        **_training(ground, factorised, model),
        **found,
        **_weights(ground.gram, factorised, model),
        **_named("time", ground.seconds),
        "time/factorise_seconds": factorised.seconds,
        "time/rank_seconds": fitted.seconds,
        "time/fit_seconds": factorised.seconds + fitted.seconds,
        "time/evaluate_seconds": evaluate_seconds,
        "memory/peak_gib": machine.peak_memory() / machine.GIB,
    }
    if fitted.epochs:
        history["validation/ndcg_100"] = list(fitted.epochs)
    tags = cell_tags(settings, data, rank, factorised.shared)
    params = cell_params(settings, factorised.method, rank)
    return Cell(cell_name(settings, rank), params, metrics, tags, outcome, history), test


def _found(model: Model) -> tuple[dict[str, str], dict[str, float], dict[str, list[float]]]:
    """How the model was found: tags, metrics, and metrics by epoch where it was iterated to."""
    if isinstance(model, LowRank) and model.solved is not None:
        solver = f"{model.solved.solver}, lean" if model.solved.lean else model.solved.solver
        return {"eigensolver": solver}, {"eigen/gap": model.solved.gap, "eigen/steps": float(model.solved.steps)}, {}
    history = None if isinstance(model, FullRank) else model.history
    if history is None:
        return {}, {}, {}
    metrics = {
        "train/epochs": float(len(history.seconds)),
        "train/kept_epoch": float(history.kept),
        "train/diverged": float(history.ended == "diverged"),
    }
    return {"ended": history.ended}, metrics, history.series()


def _training(ground: Ground, factorised: Factorised, model: Model) -> dict[str, float]:
    """How well a model fits its training data, and how near that is to the bound of the Proposition if it has one."""
    metrics = {}
    if isinstance(model, Network):
        metrics["train/squared_error"] = model.squared_error
    else:
        metrics |= _named("train", vars(training_fit(ground.gram, factorised.penalty, model)))
    reached = factorised.method.reached(factorised.state, model)
    if reached is not None:
        metrics["train/bound"] = reached.bound
        # Where k is the rank of X it is 0.
        if reached.bound > 0:
            metrics["train/ratio"] = reached.loss / reached.bound
            if isinstance(model, Network) and model.history is not None:
                metrics["train/start_ratio"] = model.history.start / reached.bound
    return metrics


def _weights(gram: NDArray[Any], factorised: Factorised, model: Model) -> dict[str, float]:
    """The learned diagonal; and where the method approximates EDLAE, how near it came: Eqs. 11 and 14."""
    if not isinstance(model, LowRank):
        return {}
    method = factorised.method
    metrics = _named("diagonal", diagonal_quantiles(diagonal(model)))
    full = method.full_rank(factorised.state) if method.limit == "closed" else None
    if full is not None:
        metrics |= _named("eq11", eq_11(gram, factorised.penalty, full, model))
        metrics |= _named("residual", residual(full, model))
    return metrics


def cell_tags(settings: Settings, data: Prepared, rank: Rank, shared: bool) -> dict[str, str]:
    """What identifies a result, and where it was measured."""
    limit = settings.method.limit
    return {
        "kind": "cell",
        "run_key": run_key(settings, data, rank),
        "shared": str(shared).lower(),
        **({"repeat": str(settings.repeat)} if settings.repeat else {}),
        # Whose full-rank model this is, where it is not the method's own.
        **({"limit": limit} if rank == "full" and limit and limit != settings.method.name else {}),
        **origin_tags(data),
    }


def stored_cell(run: Found) -> Cell:
    """A cell as the store has it."""
    params: dict[str, Any] = dict(run.params)
    for name in ("l2", "dropout"):
        if name in params:
            params[name] = float(params[name])
    return Cell(run.name, params, dict(run.metrics), dict(run.tags), {}, {})


def origin_tags(data: Prepared) -> dict[str, str]:
    """The data, the machine and the versions behind every run of a job."""
    blas, threads = machine.blas_name_and_threads()
    return {
        "data_digest": data.digest,
        "results_version": str(RESULTS_VERSION),
        **{f"version.{name}": version(name) for name in _VERSIONED},
        "version.python": platform.python_version(),
        "cpu": machine.cpu_model(),
        "blas": blas,
        "blas_threads": str(threads),
    }


def _named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": value for name, value in values.items()}

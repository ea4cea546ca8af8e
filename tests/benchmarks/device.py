"""The same work on several devices: Gram matrix, inverse, a job of many ranks, evaluation; seconds, memory and metrics.

    python tests/benchmarks/device.py [dataset=debian ...] [--device cpu torch cuda] [--ranks 10 500 1000 2000 5000]

By default on `ml-20m-like` (n = 20,108), on the CPU, and on a GPU if PyTorch sees one. `start` is the first use of a
device, which loads its libraries. The job makes G on its device; `peak_arrays` is the peak memory there, in n×n arrays.
All ranks are evaluated in one pass. `difference` is the mean of nDCG@100 minus that of the first device of the table,
the CPU if it is among them, `largest` the largest difference of one user, and `changed` the number of users with one.
Models that differ by rounding alone often change no user: nDCG moves only if a hit changes places with a miss.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from common import Bench, load_data, load_training, parser, resources, settings, timed

from edlae_sweeps.datasets import HeldOut, Prepared, TrainingData
from edlae_sweeps.evaluation import PerUser, evaluate_nested
from edlae_sweeps.linalg import backend_for, check_device
from edlae_sweeps.linalg.device import has_cuda
from edlae_sweeps.methods import Method
from edlae_sweeps.models import Model
from edlae_sweeps.resources import Device, Resources


def on_device(device: Device, work: Callable[[], Any]) -> tuple[float, float | None, Any]:
    """Seconds of `work` until the device has finished, peak bytes on a GPU, and its result."""
    if device != "cuda":
        seconds, result = timed(work)
        return seconds, None, result
    torch = sys.modules["torch"]
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    seconds, result = timed(lambda: (work(), torch.cuda.synchronize())[0])
    return seconds, float(torch.cuda.max_memory_allocated()), result


class Trial:
    """The work of one device, each part a row of the table."""

    def __init__(
        self, bench: Bench, device: Device, method: Method[Any], data: TrainingData, limits: Resources
    ) -> None:
        self._bench, self._device, self._method, self._data = bench, device, method, data
        self._resources, self._backend = replace(limits, device=device), backend_for(device)

    def start(self) -> None:
        """Load the libraries of the device."""
        small = np.eye(2000, dtype=self._data.dtype)

        def work() -> None:
            self._backend.invert_upper(self._backend.array(small))
            self._backend.small_eigenpairs(self._backend.array(np.eye(100, order="F")), 5)
            self._backend.orthonormal(self._backend.array(np.asfortranarray(small[:, :64])))

        # A GPU has nothing to synchronise with before its first use.
        self._bench.add(f"{self._device}: start", None, timed(work)[0])

    def algebra(self) -> None:
        """G from X, and A⁻¹ in place of A."""
        gram = self._row("Gram matrix", lambda: self._backend.gram(self._data.X, self._data.dtype))
        self._backend.set_diagonal(gram, self._data.item_counts + self._method.penalty(self._data.item_counts))
        self._row("inverse", lambda: self._backend.invert_upper(gram), flops=self._data.n_items**3)

    def job(self, ranks: list[int]) -> Model:
        """The model of the largest rank, of which the others are the first columns."""
        self._data.leave_device()
        work = partial(self._method.fit_ranks, self._data, ranks, resources=self._resources)
        models: dict[Any, Model] = self._row(f"job of {len(ranks)} ranks", work, ranks[-1])
        self._data.leave_device()
        return models[ranks[-1]]

    def evaluation(self, model: Model, ranks: list[int], held_out: HeldOut) -> dict[int, PerUser]:
        """The metrics of each rank."""
        users = held_out.targets.shape[0]
        work = partial(evaluate_nested, model, ranks, held_out, resources=self._resources)
        metrics: dict[int, PerUser] = self._row(f"evaluation of {users:,} users", work, ranks[-1])
        return metrics

    def _row(self, what: str, work: Callable[[], Any], rank: int | None = None, flops: float | None = None) -> Any:
        seconds, peak, result = on_device(self._device, work)
        memory = {} if peak is None else {"peak_arrays": peak / (self._data.n_items**2 * self._data.dtype.itemsize)}
        self._bench.add(f"{self._device}: {what}", rank, seconds, flops, **memory)
        return result


def first_users(data: Prepared, users: int) -> HeldOut:
    """At most this number of test users."""
    part = slice(0, users)
    return HeldOut(data.test.fold_in[part], data.test.targets[part], data.test.first_user)


def compare(bench: Bench, device: str, metrics: dict[int, PerUser], reference: dict[int, PerUser]) -> None:
    """A row for each rank: nDCG@100 of one device, and what it differs by from the reference, user by user."""
    for rank, per_user in metrics.items():
        difference = per_user.values["ndcg_100"] - reference[rank].values["ndcg_100"]
        values: dict[str, float] = {"difference": float(difference.mean()), "largest": float(np.abs(difference).max())}
        values["changed"] = int(np.count_nonzero(difference))
        row = {
            "what": f"{device}: nDCG@100",
            "n": bench.n,
            "k": rank,
            "ndcg": float(per_user.values["ndcg_100"].mean()),
            **values,
        }
        bench.rows.append(row)
        print(json.dumps(row), flush=True)


def main() -> None:
    options = parser(__doc__, [10, 500, 1000, 2000, 5000])
    devices = ["cpu", "cuda"] if has_cuda() else ["cpu"]
    options.add_argument("--device", nargs="+", choices=["cpu", "torch", "cuda"], default=devices)
    options.add_argument("--users", type=int, nargs="+", default=[10_000, 20_000])
    given, overrides = options.parse_known_args()
    named = any(override.startswith("dataset=") for override in overrides)
    chosen = settings(overrides if named else ["dataset=ml-20m-like", *overrides])
    for device in given.device:
        check_device(device)
    data, training = load_data(chosen), load_training(chosen)
    ranks = sorted(rank for rank in given.ranks if rank <= data.n_items)
    bench, limits = Bench.on("devices", training.gram), resources(chosen)
    metrics: dict[str, dict[int, PerUser]] = {}
    # By name: the CPU comes first.
    for device in sorted(set(given.device)):
        trial = Trial(bench, device, chosen.method, training, limits)
        trial.start()
        trial.algebra()
        model = trial.job(ranks)
        for users in sorted({min(users, data.test.targets.shape[0]) for users in given.users}):
            metrics[device] = trial.evaluation(model, ranks, first_users(data, users))
        compare(bench, device, metrics[device], next(iter(metrics.values())))
    bench.show()


if __name__ == "__main__":
    main()

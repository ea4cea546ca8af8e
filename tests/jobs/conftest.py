"""A stand-in for a GPU: PyTorch on the CPU, with memory of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edlae_sweeps.datasets import Synthetic
from edlae_sweeps.jobs import run_job
from edlae_sweeps.linalg import backend, device
from edlae_sweeps.methods import Method
from edlae_sweeps.resources import GIB
from edlae_sweeps.settings import Settings, Tracking

DATA = Synthetic(n_users=300, n_items=40, mean_events=12, topics=5, heldout_users=50)


class StandIn:
    """Call it with the free bytes of the GPU. `full` lets G find no room; `shapes` are those of arrays put there."""

    def __init__(self) -> None:
        self.free, self.full = 8 * GIB, False
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, free: int) -> None:
        self.free = free


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    torch = pytest.importorskip("torch")
    from edlae_sweeps.linalg.torch_backend import Torch

    stand_in = StandIn()

    class Gpu(Torch):
        name = "Stand-in 1000"

        def __init__(self) -> None:
            super().__init__("cpu")

        def array(self, values: Any) -> Any:
            stand_in.shapes.append(values.shape)
            return super().array(values)

        def gram(self, X: Any, dtype: Any) -> Any:
            if stand_in.full:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return super().gram(X, dtype)

        def free_bytes(self) -> int:
            return stand_in.free

        def peak_bytes(self) -> int:
            return 3 * GIB

    one, real = Gpu(), backend._backend
    monkeypatch.setattr(backend, "_backend", lambda name: one if name.startswith("torch:cuda") else real(name))
    monkeypatch.setattr(device, "has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    return stand_in


@pytest.fixture
def small() -> Synthetic:
    """The data set of `run`."""
    return DATA


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list]:
    """Run a small job of a method with these settings."""

    def call(method: Method, **changes: object) -> list:
        output = tmp_path / f"{method.name}-{len(list(tmp_path.iterdir()))}"
        output.mkdir()
        common = {
            "dataset": DATA,
            "data_dir": str(tmp_path / "data"),
            "tracking": Tracking(dir=str(tmp_path / "mlruns")),
        }
        return run_job(Settings(method=method, **{"rank": [5, 10], **common, **changes}), output, {})

    return call

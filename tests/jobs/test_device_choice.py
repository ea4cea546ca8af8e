"""device=auto|cuda in a job: a stand-in for a GPU, PyTorch on the CPU with memory of its own."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edlae_sweeps.datasets import Synthetic
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.jobs import run_job
from edlae_sweeps.linalg import backend, device
from edlae_sweeps.methods import Admm, AdmmPublished, Closed, Method
from edlae_sweeps.resources import GIB
from edlae_sweeps.settings import Settings, Tracking

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

DATA = Synthetic(n_users=300, n_items=40, mean_events=12, topics=5, heldout_users=50)


@pytest.fixture(name="gpu")
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Call it with the free bytes of the GPU."""
    from edlae_sweeps.linalg.torch_backend import Torch

    class Gpu(Torch):
        name = "Stand-in 1000"
        free = 0

        def __init__(self) -> None:
            super().__init__("cpu")

        def free_bytes(self) -> int:
            return self.free

    gpu, real = Gpu(), backend._backend
    monkeypatch.setattr(backend, "_backend", lambda name: gpu if name == "torch:cuda:0" else real(name))
    monkeypatch.setattr(device, "has_cuda", lambda: True)

    def free(size: int) -> None:
        Gpu.free = size

    free(8 * GIB)
    return free


def run(folder: Path, method: Method, **changes: object) -> list:
    output = folder / f"{method.name}-{len(list(folder.iterdir()))}"
    output.mkdir()
    tracking = Tracking(dir=str(folder / "mlruns"))
    settings = Settings(
        dataset=DATA, method=method, data_dir=str(folder / "data"), tracking=tracking, **{"rank": [5, 10], **changes}
    )
    return run_job(settings, output, {})


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("method", [Closed(), Admm(omega=10, epochs=3)], ids=repr)
def test_a_job_on_a_gpu_has_the_metrics_of_the_cpu_and_says_where_it_ran(method, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    here = run(tmp_path, method, rank=[5, "full"])
    there = run(tmp_path, method, rank=[5, "full"], device="auto")
    assert "device: Stand-in 1000" in caplog.text
    for cpu, on_gpu in zip(here, there, strict=True):
        assert "device" not in cpu.tags
        assert on_gpu.tags["device"] == "Stand-in 1000"
        assert cpu.tags["run_key"] == on_gpu.tags["run_key"]
        assert cpu.metrics.keys() == on_gpu.metrics.keys()
        for name, value in cpu.metrics.items():
            if not name.startswith(("time/", "memory/", "solver/")):
                # Small differences of large sums, in float32.
                precision = 2e-3 if name.startswith("eq11/") else 1e-4
                assert on_gpu.metrics[name] == pytest.approx(value, rel=precision, abs=1e-6), name


def test_a_gpu_that_is_too_small_leaves_the_job_to_the_cpu_or_refuses_it(tmp_path, gpu, caplog):
    gpu(1000)
    (result,) = run(tmp_path, Closed(), rank=5, device="auto")
    assert "0.0 GiB are free on Stand-in 1000; the CPU takes over" in caplog.text
    assert "device" not in result.tags
    with pytest.raises(
        ConfigError, match=r"device=cuda: rank=5 on \d+ items in float32 needs about .* choose device=cpu"
    ):
        run(tmp_path, Closed(), rank=5, device="cuda")


@pytest.mark.usefixtures("gpu")
def test_what_runs_on_the_cpu_alone_refuses_a_gpu_and_ignores_auto(tmp_path):
    for method, changes in ((AdmmPublished(omega=10), {}), (Closed(), {"gram": "products"})):
        with pytest.raises(ConfigError, match="runs on the CPU; choose device=cpu"):
            run(tmp_path, method, device="cuda", **changes)
        assert "device" not in run(tmp_path, method, rank=5, device="auto", **changes)[0].tags


def test_a_dry_run_plans_for_the_gpu(tmp_path, gpu, capsys):
    run(tmp_path, Closed(), device="cuda", dry_run=True)
    assert "closed-k10" in capsys.readouterr().out
    gpu(1000)
    with pytest.raises(ConfigError, match="choose device=cpu, device=auto or a smaller rank"):
        run(tmp_path, Closed(), device="cuda", dry_run=True)


def test_settings_know_three_devices():
    assert replace(Settings(), device="auto").device == "auto"
    with pytest.raises(ConfigError, match="device=torch: choose from cpu, cuda, auto"):
        Settings(device="torch")

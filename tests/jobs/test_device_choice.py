"""device=auto|cuda in a job, on a stand-in for a GPU."""

import logging
from dataclasses import replace

import pytest

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.jobs import plan
from edlae_sweeps.methods import Admm, AdmmPublished, Closed
from edlae_sweeps.settings import Settings

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("method", [Closed(), Admm(omega=10, epochs=3)], ids=repr)
def test_a_job_on_a_gpu_has_the_metrics_of_the_cpu_and_says_where_it_ran(method, run, caplog):
    caplog.set_level(logging.INFO)
    here = run(method, rank=[5, "full"])
    there = run(method, rank=[5, "full"], device="auto")
    assert "device: Stand-in 1000" in caplog.text
    for cpu, on_gpu in zip(here, there, strict=True):
        assert "device" not in cpu.tags
        assert on_gpu.tags["device"] == "Stand-in 1000"
        assert cpu.tags["run_key"] == on_gpu.tags["run_key"]
        assert on_gpu.metrics["memory/device_peak_gib"] == 3
        assert cpu.metrics.keys() == on_gpu.metrics.keys() - {"memory/device_peak_gib"}
        for name, value in cpu.metrics.items():
            if not name.startswith(("time/", "memory/", "solver/")):
                # Small differences of large sums, in float32.
                precision = 2e-3 if name.startswith("eq11/") else 1e-4
                assert on_gpu.metrics[name] == pytest.approx(value, rel=precision, abs=1e-6), name


def test_a_gpu_that_is_too_small_leaves_the_job_to_the_cpu_or_refuses_it(run, gpu, caplog):
    gpu(1000)
    (result,) = run(Closed(), rank=5, device="auto")
    assert "0.0 GiB for arrays are free on Stand-in 1000; the CPU takes over" in caplog.text
    assert "device" not in result.tags
    with pytest.raises(
        ConfigError, match=r"device=cuda: rank=5 on \d+ items in float32 needs about .* choose device=cpu"
    ):
        run(Closed(), rank=5, device="cuda")


@pytest.mark.usefixtures("gpu")
def test_what_runs_on_the_cpu_alone_refuses_a_gpu_and_ignores_auto(run):
    for method, changes in ((AdmmPublished(omega=10), {}), (Closed(), {"gram": "products"})):
        with pytest.raises(ConfigError, match="runs on the CPU; choose device=cpu"):
            run(method, device="cuda", **changes)
        assert "device" not in run(method, rank=5, device="auto", **changes)[0].tags


def test_a_dry_run_plans_for_the_gpu(run, gpu, capsys, monkeypatch):
    assert plan._DEVICE_PROBE == 4096
    monkeypatch.setattr(plan, "_DEVICE_PROBE", 64)
    run(Closed(), device="cuda", dry_run=True)
    shown = capsys.readouterr().out
    assert "closed-k10" in shown
    assert "GiB on the GPU" in shown
    # A smaller product says how fast it is to launch one.
    assert gpu.shapes == [(64, 64)]
    gpu(1000)
    with pytest.raises(ConfigError, match="choose device=cpu, device=auto or a smaller rank"):
        run(Closed(), device="cuda", dry_run=True)


def test_settings_know_three_devices():
    assert replace(Settings(), device="auto").device == "auto"
    with pytest.raises(ConfigError, match="device=torch: choose from cpu, cuda, auto"):
        Settings(device="torch")

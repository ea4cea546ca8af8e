"""A GPU whose memory is too small for a step of a job, and the choices that depend on its memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.sparse import csr_array, random_array

from edlae_sweeps.datasets import TrainingData, load
from edlae_sweeps.errors import ConfigError, DeviceMemoryError
from edlae_sweeps.jobs.gram import choose_gram
from edlae_sweeps.jobs.limits import memory_needed
from edlae_sweeps.jobs.refit import refit_all
from edlae_sweeps.jobs.registration import candidate_of
from edlae_sweeps.linalg import device
from edlae_sweeps.methods import Admm, Closed, Deep, Denoising
from edlae_sweeps.resources import GIB, PROCESS_BYTES, Resources
from edlae_sweeps.settings import Optuna, Processes, Settings, Tracking, recorded_settings
from edlae_sweeps.tracking import DatasetRecord, Store
from edlae_sweeps.workers import Bench, PointTask, evaluate_point

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TAKES_OVER = "the CPU takes over"
TIMED = ("time/", "memory/", "solver/")


def out_of_memory(*_: object) -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_job_whose_gram_matrix_finds_no_room_goes_on_with_the_cpu_after_one_line(run, gpu, caplog):
    gpu.full = True
    search = Optuna(search={"l2": (1, 100)}, n_trials=2)
    results = run(Closed(), rank=[5, 10, "full"], device="auto", tune=search)
    assert caplog.text.count(TAKES_OVER) == 1
    assert not any("device" in result.tags for result in results)
    with pytest.raises(DeviceMemoryError, match="device=cuda: out of memory"):
        run(Closed(), device="cuda")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("method", [Closed(), Admm(omega=10, epochs=2)], ids=repr)
def test_what_finds_no_room_to_be_measured_is_measured_on_the_cpu(run, monkeypatch, caplog, method):
    here = run(method, dtype="float64")
    monkeypatch.setattr(device.Operator, "__matmul__", out_of_memory)
    there = run(method, dtype="float64", device="auto")
    assert caplog.text.count(TAKES_OVER) == 1
    # The tag says where the first was fitted.
    assert there[0].tags["device"] == "Stand-in 1000"
    for cpu, gpu in zip(here, there, strict=True):
        for name, value in cpu.metrics.items():
            if not name.startswith(TIMED):
                assert gpu.metrics[name] == pytest.approx(value, rel=1e-6, abs=1e-8), name


@pytest.mark.usefixtures("gpu")
def test_a_fit_that_falls_back_has_each_epoch_once_and_the_tag_of_the_cpu(run, monkeypatch, caplog):
    iterates = Admm.iterates

    def first_alone(self, state, *args) -> Iterator:
        for iterate in iterates(self, state, *args):
            yield iterate
            if state.resources.device != "cpu":
                out_of_memory()

    monkeypatch.setattr(Admm, "iterates", first_alone)
    results = run(Admm(omega=10, epochs=3), device="auto", epoch_metrics=True)
    assert caplog.text.count(TAKES_OVER) == 1
    for result in results:
        assert len(result.history["validation/ndcg_100"]) == 3
        assert "device" not in result.tags


@pytest.mark.usefixtures("gpu")
def test_a_search_that_fell_back_stays_on_the_cpu(small, tmp_path, monkeypatch, caplog):
    prepare = Closed._prepare

    def on_cpu_alone(self, data, max_rank, using, advance):
        return out_of_memory() if using.device != "cpu" else prepare(self, data, max_rank, using, advance)

    monkeypatch.setattr(Closed, "_prepare", on_cpu_alone)
    data = load(small, tmp_path)
    resources = Resources(1, 64 * GIB, "cuda", 8 * GIB, may_fall_back=True)
    bench = Bench(data, TrainingData(data.train), resources)
    for l2 in (1.0, 10.0):
        outcome = evaluate_point(bench, PointTask("study", Closed(l2=l2), (5, "full"), (5, "full")))
        assert outcome.ranks.keys() == {5, "full"}
    assert bench.resources.device == "cpu"
    assert caplog.text.count(TAKES_OVER) == 1


def sparse(items: int) -> TrainingData:
    return TrainingData(csr_array(random_array((1000, items), density=5 / items, format="csr", rng=0)))


@pytest.mark.parametrize("chosen", ["cuda", "auto"])
def test_gram_auto_is_dense_if_that_fits_onto_the_gpu(gpu, chosen):
    settings, data = Settings(rank=10, device=chosen), sparse(100_000)
    host = Resources(2, 16 * GIB, chosen)
    gpu(200 * GIB)
    kind, told = choose_gram(settings, data, host)
    assert kind == "dense"
    assert "GiB on Stand-in 1000, from products" in told
    # Where only the host has room, the time of two cores counts.
    gpu(8 * GIB)
    assert choose_gram(settings, sparse(10_000), replace(host, memory=64 * GIB))[0] == "dense"
    if chosen == "auto":
        assert choose_gram(settings, data, host)[0] == "products"
        return
    with pytest.raises(ConfigError, match=r"device=cuda: rank=10 .* choose device=cpu or device=auto, where gram=prod"):
        choose_gram(settings, data, host)


def test_a_refit_settles_the_device_and_takes_a_recorded_gpu_as_auto(run, gpu, small, tmp_path, caplog):
    run(Closed(), rank=5, device="cuda")
    tracking = Tracking(dir=str(tmp_path / "mlruns"))
    store = Store(tracking.uri, Path(tracking.dir))
    experiment = store.experiment(small.label, DatasetRecord(small.label, ""), [])
    candidate = candidate_of(experiment, *experiment.cells())
    config = {"dataset": vars(small), "seed": 0, "device": "cuda"}
    settings = recorded_settings(candidate.cell.params, config, str(tmp_path / "data"), tracking)
    assert settings.device == "auto"
    for free, told in ((8 * GIB, "device: Stand-in 1000"), (1000, TAKES_OVER)):
        gpu(free)
        caplog.clear()
        with caplog.at_level("INFO", "edlae_sweeps"):
            (tmp_path / told[:6]).mkdir()
            assert refit_all(settings, candidate.cell, candidate.experiment, tmp_path / told[:6])
        assert told in caplog.text


def test_beside_a_gpu_the_host_has_the_models_or_all_arrays(monkeypatch):
    data, there = sparse(2000), Resources(2, 16 * GIB, "cuda", 16 * GIB)
    for method in (Closed(), Deep()):
        monkeypatch.setattr(type(method), "host_arrays", False, raising=False)
        settings, estimate = Settings(method=method, rank=10), method.estimate(data, [10], there)
        assert memory_needed(settings, [10], data, there) == PROCESS_BYTES + estimate.model_bytes
        monkeypatch.setattr(type(method), "host_arrays", True, raising=False)
        assert memory_needed(settings, [10], data, there) == PROCESS_BYTES + estimate.bytes


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    "method", [Deep(hidden=(4,), epochs=2, batch=50), Denoising(epochs=2, batch=50)], ids=["deep", "denoising"]
)
def test_networks_on_a_gpu(run, monkeypatch, method):
    from edlae_sweeps.methods.neural import denoiser, gradient

    for module in (gradient, denoiser):
        monkeypatch.setattr(module, "place", lambda _resources: torch.device("cpu"))
    here, there = run(method, rank=3), run(method, rank=3, device="auto")
    assert there[0].tags["device"] == "Stand-in 1000"
    assert "device" not in here[0].tags
    assert there[0].metrics["test/ndcg_100"] == pytest.approx(here[0].metrics["test/ndcg_100"], rel=1e-3)


def test_processes_without_a_gpu_compute_on_the_cpu(run, monkeypatch):
    monkeypatch.setattr(device, "has_cuda", lambda: False)
    results = run(Admm(omega=10, epochs=2), device="auto", parallel=Processes(workers=2))
    assert [len(result.metrics) > 20 for result in results] == [True, True]
    assert not any("device" in result.tags for result in results)


@pytest.mark.usefixtures("gpu")
def test_a_job_leaves_the_gram_matrix_to_workers_with_a_gpu(run, monkeypatch):
    monkeypatch.setattr("edlae_sweeps.jobs.compute.load_gram", lambda *_: pytest.fail("G was made on the host"))
    # The workers see no stand-in, and take the CPU.
    assert len(run(Admm(omega=10, epochs=2), device="auto", parallel=Processes(workers=2))) == 2

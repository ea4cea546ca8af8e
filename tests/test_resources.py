import errno
from pathlib import Path

import psutil
import pytest

from edlae_sweeps import resources
from edlae_sweeps.errors import HostMemoryError
from edlae_sweeps.memory import available_memory
from edlae_sweeps.resources import GIB, Resources, blas_threads, memory_errors


def group(folder: Path, limit: str, used: int, cache: int, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current", "inactive_file") if version == 2 else (
        "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")  # fmt: skip
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cache}\n")


@pytest.mark.parametrize(
    ("version", "base", "line"), [(2, "", "0::/a/b\n"), (1, "memory", "4:cpu,memory:/a/b\n0::/\n")]
)
def test_the_tightest_cgroup_on_the_way_up_counts(tmp_path, version, base, line):
    root, listing = tmp_path / "cgroup", tmp_path / "list"
    listing.write_text(line)
    group(root / base / "a" / "b", "max" if version == 2 else str(2**62), 10, 0, version)
    group(root / base / "a", "1000", 400, 150, version)
    group(root / base, str(2**62), 10, 0, version)
    assert available_memory(root, listing) == 1000 - 400 + 150
    group(root / base / "a", "300", 400, 0, version)
    assert available_memory(root, listing) == 0


def test_without_cgroups_free_memory_counts(tmp_path):
    available = available_memory(tmp_path, tmp_path / "absent")
    assert available == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_facts_of_this_machine():
    assert resources.peak_memory() > 20 * 1024**2
    assert resources.cpu_model()
    assert resources.blas_name()
    assert blas_threads() >= 1
    assert 1 <= resources.cores() <= psutil.cpu_count()


def test_resources_of_this_process():
    free = available_memory() + psutil.Process().memory_info().rss
    here = Resources.here()
    assert here.threads == blas_threads()
    assert here.memory == pytest.approx(free, rel=0.2)
    assert here.device == "cpu"
    assert here.matrix_bytes < here.memory


@pytest.mark.parametrize(("free", "left"), [(0.5, 0), (10, 9), (80, 76)])
def test_a_device_keeps_a_reserve_beside_the_matrices(free, left):
    there = Resources(threads=1, memory=GIB, device="cuda", device_memory=int(free * GIB))
    assert there.matrix_bytes == pytest.approx(left * GIB)


def test_a_memory_limit_lowers_what_is_free_and_never_raises_it():
    assert Resources.here(memory=1000).memory == 1000
    assert Resources.here(memory=2**60).memory == pytest.approx(Resources.here().memory, rel=0.2)


def test_threads_are_limited_within_the_block():
    before = blas_threads()
    with Resources.here(threads=1).limit_threads():
        assert blas_threads() == 1
    assert blas_threads() == before


@pytest.mark.parametrize(
    ("environment", "threads", "memory"),
    [
        ({"SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_NODE": "100"}, 1, 100),
        ({"SLURM_MEM_PER_CPU": "50", "SLURM_CPUS_ON_NODE": "2"}, blas_threads(), 100),
        # --mem=0 asks for all of the node.
        ({"SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_NODE": "0"}, 1, None),
        ({"SLURM_CPUS_PER_TASK": "many"}, blas_threads(), None),
    ],
)
def test_a_job_of_slurm_takes_what_it_asked_for(monkeypatch, environment, threads, memory):
    for name in ("CPUS_PER_TASK", "MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    here = Resources.here()
    assert here.threads == threads
    assert (here.memory == memory * 1024**2) if memory else here.memory > 200 * 1024**2
    assert Resources.here(threads=2).threads == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "out of memory;"),
        (MemoryError("Unable to allocate 2. GiB"), r"out of memory \(unable to allocate 2\. GiB\);"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), r"out of memory \(.*annot allocate memory\);"),
        (RuntimeError("can't start new thread"), r"out of memory \(can't start new thread\);"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
    ],
)
def test_a_lack_of_memory_says_what_was_tried_and_what_to_do(error, told):
    with (
        pytest.raises(HostMemoryError, match=f"^fit of x: {told}.*use less, or free some memory$"),
        memory_errors("fit of x", "use less"),
    ):
        raise error


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError("a bug"), HostMemoryError("told")])
def test_other_errors_are_no_lack_of_memory(error):
    with pytest.raises(type(error)) as caught, memory_errors("fit of x", "use less"):
        raise error
    assert caught.value is error

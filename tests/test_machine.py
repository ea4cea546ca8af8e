from pathlib import Path

import psutil
import pytest

from edlae_sweeps import machine


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
    assert machine.available_memory(root, listing) == 1000 - 400 + 150
    group(root / base / "a", "300", 400, 0, version)
    assert machine.available_memory(root, listing) == 0


def test_without_cgroups_free_memory_counts(tmp_path):
    available = machine.available_memory(tmp_path, tmp_path / "absent")
    assert available == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_facts_of_this_machine():
    assert machine.peak_memory() > 20 * 1024**2
    assert machine.cpu_model()
    name, threads = machine.blas_name_and_threads()
    assert name
    assert threads >= 1


def test_threads_and_memory_are_limited_for_a_while():
    free, threads = machine.available_memory(), machine.blas_name_and_threads()[1]
    used = psutil.Process().memory_info().rss
    with machine.use(1, used + 100 * 1024**2):
        assert machine.blas_name_and_threads()[1] == 1
        assert machine.available_memory() == pytest.approx(100 * 1024**2, abs=20 * 1024**2)
        with machine.use(None, used - 1):
            assert machine.available_memory() == 0
    assert machine.blas_name_and_threads()[1] == threads
    assert machine.available_memory() == pytest.approx(free, rel=0.2)
    assert 1 <= machine.cores() <= psutil.cpu_count()

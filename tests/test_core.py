"""The mathematics runs on NumPy and SciPy alone; what needs another package says so in one line."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from notebook import FITTED

from edlae_sweeps import memory, resources
from edlae_sweeps.errors import MissingExtra
from edlae_sweeps.imports import needed
from edlae_sweeps.resources import blas_threads, cores, limited_threads, unthreaded_blas

# Finds no package but these and the standard library.
BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        # Those of the interpreter's build have an underscore and are on no list.
        if package not in {*sys.stdlib_module_names, "numpy", "scipy", "edlae_sweeps"} and package[0] != "_":
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)

for name in list(sys.modules):
    if name.partition(".")[0] not in sys.stdlib_module_names and name[0] != "_":
        del sys.modules[name]
sys.meta_path.insert(0, Blocker())
"""
MISSING = """
from pathlib import Path
from edlae_sweeps.datasets import Debian, load
from edlae_sweeps.errors import MissingExtra
from edlae_sweeps.resources import blas_threads, limited_threads

for use in (lambda: load(Debian(), Path("cache")), lambda: limited_threads(blas_threads() + 1).__enter__()):
    try:
        use()
    except MissingExtra as error:
        print(error)
"""
COMMAND = """
from edlae_sweeps.__main__ import main
main()
"""


def on_the_core(code: str, folder: Path) -> subprocess.CompletedProcess:
    """A process that runs `code` without any other package."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_mathematics_needs_numpy_and_scipy_alone(tmp_path):
    done = on_the_core(FITTED + MISSING, tmp_path)
    assert done.returncode == 0, done.stderr
    table, threads = done.stdout.splitlines()
    assert table == "reading a table needs the package pyarrow: pip install pyarrow"
    assert threads.startswith(f"{blas_threads() + 1} threads of the BLAS") or "threadpoolctl: pip install" in threads


def test_a_command_without_its_packages_ends_in_one_line(tmp_path):
    done = on_the_core(COMMAND, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: commands need the package ")
    assert line.endswith(": pip install edlae_sweeps has all of them")


def test_a_missing_package_is_named():
    with pytest.raises(MissingExtra, match="a picture needs the package no_such_package: pip install no_such_package"):
        needed("no_such_package", "a picture")
    assert needed("psutil", "nothing") is psutil


def test_without_threadpoolctl_the_blas_keeps_the_threads_that_it_started_with(monkeypatch):
    monkeypatch.setattr(resources, "threadpoolctl", None)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert blas_threads() == cores()
    with limited_threads(cores()), unthreaded_blas():
        assert blas_threads() == cores()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert blas_threads() == 1
    with pytest.raises(MissingExtra, match=r"2 threads of the BLAS instead of 1 need .* OPENBLAS_NUM_THREADS=2"):
        limited_threads(2).__enter__()


def test_outside_linux_psutil_reads_the_memory(monkeypatch, tmp_path):
    mine, free = memory.resident_memory(), memory._free_memory()
    for name in ("_MEMINFO", "_STATM"):
        monkeypatch.setattr(memory, name, tmp_path / "absent")
    assert memory.resident_memory() == pytest.approx(mine, rel=0.1)
    assert memory._free_memory() == pytest.approx(free, rel=0.3)
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MissingExtra, match="reading the free memory needs the package psutil"):
        memory._free_memory()

"""Libraries are imported when they are needed, and the garbage collector rests meanwhile."""

import gc
import json
import subprocess
import sys
import weakref
from contextlib import suppress
from types import ModuleType

import pytest
from commands import SMALL

from edlae_sweeps.imports import quick_imports

# What only a search, a picture, a download, a network or a cluster needs.
RARE = ("dask", "distributed", "jinja2", "joblib", "loky", "matplotlib", "optuna", "pooch", "scipy.stats", "submitit",
        "torch")  # fmt: skip
# What a configuration that does not compose never needs. MLflow imports pandas, pyarrow and requests.
LATE = ("mlflow", "pandas", "pyarrow", "requests", "rich", "scipy.special", "sqlalchemy")
IMPORTED = """
import json, sys
try:
    {code}
except SystemExit as stop:
    assert not stop.code
print(json.dumps([name for name in {names} if name in sys.modules]), file=sys.stderr)
"""


def imported(code: str, names: tuple[str, ...], arguments: tuple[str, ...] = (), **options: object) -> list[str]:
    """Those of the modules `names` that a process has imported after it ran `code`."""
    script = IMPORTED.format(code=code, names=names)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=300, **options
    )
    return json.loads(done.stderr.splitlines()[-1])


def test_the_command_line_imports_the_mathematics_alone():
    assert imported("import edlae_sweeps.cli.run", (*LATE, *RARE)) == []


def test_a_job_that_is_computed_imports_nothing_that_it_does_not_use(tmp_path, new_store):
    new_store(tmp_path / "mlruns")
    arguments = (*SMALL, "method=closed", "rank=5")
    # Twice: from the source, and from the cache.
    for _ in range(2):
        names = imported("from edlae_sweeps.__main__ import main; main()", (*RARE, "mlflow"), arguments, cwd=tmp_path)
        assert names == ["mlflow"]


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_rests_in_the_block_and_then_goes_on(collecting):
    usual = gc.isenabled()
    (gc.enable if collecting else gc.disable)()
    try:
        with suppress(ImportError), quick_imports():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if usual else gc.disable)()


def test_what_imports_leave_is_never_searched_and_earlier_garbage_is_freed(monkeypatch):
    class Node:
        """An object that refers to itself."""

        def __init__(self) -> None:
            self.itself = self

    earlier = weakref.ref(Node())
    frozen = gc.get_freeze_count()
    try:
        with quick_imports():
            assert earlier() is None
            monkeypatch.setitem(sys.modules, "imported_in_the_block", ModuleType("imported_in_the_block"))
            left = [Node() for _ in range(1000)]
        after = gc.get_freeze_count()
        assert after >= frozen + len(left)
        assert not any(one is left[0] for one in gc.get_objects())
        # The next job of the process imports nothing: what it leaves is garbage some day.
        with quick_imports():
            left = [Node() for _ in range(1000)]
        assert gc.get_freeze_count() <= after
    finally:
        # The other tests of this process go on as usual.
        gc.unfreeze()

"""Shared by all tests: the shipped data set, prepared once, and small random problems."""

import gc
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

# Tests that run side by side share the processors. NumPy reads it when it is imported, and so do child processes.
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from edlae_sweeps.datasets import Debian, Prepared, load, load_gram

# The machine may be slow or busy: no test depends on time.
settings.register_profile("default", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _frozen() -> None:
    """What is left by earlier tests is not searched for garbage again.

    MLflow keeps all databases, each with its compiled queries: millions of objects at the end. Each job begins with a
    collection.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def golden() -> dict:
    return json.loads((Path(__file__).parent / "golden" / "debian.json").read_text())


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, never the user's."""
    folder = tmp_path_factory.mktemp("data")
    os.environ["EDLAE_SWEEPS_DATA"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Put a new MLflow database into a folder: a copy, since creating one takes seconds."""
    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()

    def copy(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "mlflow.db").exists():
            shutil.copy(database, folder / "mlflow.db")

    return copy


@pytest.fixture
def heard() -> Iterator[None]:
    """Ctrl-C interrupts the test, even if the tests run with it ignored, as under nohup."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty files for the pictures of a search: to draw them takes longer than to search on small data."""
    from edlae_sweeps import plots

    for name in ("plot_landscape", "plot_history"):
        monkeypatch.setattr(plots, name, lambda *arguments: arguments[-1].touch())


@pytest.fixture(autouse=True)
def _own_folders(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's files."""
    monkeypatch.setenv("EDLAE_SWEEPS_DATA", str(data_dir))
    # Tables are as wide as the terminal that the tests run in.
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def debian(data_dir: Path) -> Prepared:
    return load(Debian(), data_dir)


@pytest.fixture(scope="session")
def debian_gram(debian: Prepared, data_dir: Path) -> np.ndarray:
    return load_gram(debian, "float32", data_dir)


@st.composite
def problems(draw: st.DrawFn, max_users: int = 12, max_items: int = 9) -> tuple[np.ndarray, float, float]:
    """A small binary X in which every item is seen, with λ > 0 and p that keep A well conditioned."""
    users, items = draw(st.integers(1, max_users)), draw(st.integers(2, max_items))
    seed = draw(st.integers(0, 2**31))
    X = (np.random.default_rng(seed).random((users, items)) < draw(st.floats(0.2, 0.8))).astype(float)
    X[0, X.sum(axis=0) == 0] = 1
    return X, draw(st.floats(0.1, 50)), draw(st.floats(0, 0.8))

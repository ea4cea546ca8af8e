"""A built wheel, installed elsewhere and started from another folder, finds its conf/ and its data, on every Python."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from notebook import FITTED

import edlae_sweeps

ROOT = Path(edlae_sweeps.__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT], check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def interpreter(version: str) -> str | None:
    """A Python of this version that starts: on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python{version}"))]
    for python in filter(None, candidates):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None


@pytest.mark.slow
# The suite itself runs on one of the others.
@pytest.mark.parametrize(
    "version", [*(pytest.param(old, marks=pytest.mark.soak) for old in ("3.11", "3.12")), "3.13", "3.14"]
)
def test_the_mathematics_in_an_environment_of_numpy_and_scipy(version, wheel, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version}")
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    here = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", here, "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "numpy", "scipy"], check=True, capture_output=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True, capture_output=True)
    done = subprocess.run([here, "-c", FITTED], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_wheel_in_a_new_environment(wheel, tmp_path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"edlae_sweeps/py.typed", "edlae_sweeps/conf/config.yaml", "edlae_sweeps/conf/method/closed.yaml"} <= set(
        names
    )
    assert not any(name.startswith(("tests", "conf/")) for name in names)

    venv.create(tmp_path / "venv", with_pip=False)
    site = next((tmp_path / "venv" / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The dependencies come from this environment, but not its editable install: a .pth in a listed folder is not read.
    (site / "dependencies.pth").write_text(
        os.pathsep.join(path for path in sys.path if path.endswith("site-packages")) + "\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = tmp_path / "venv" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import edlae_sweeps; print(edlae_sweeps.__file__)"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(site / "edlae_sweeps" / "__init__.py")
    done = subprocess.run(
        [python, "-m", "edlae_sweeps", "rank=full"], cwd=elsewhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "0.6723 ± 0.0078" in done.stdout
    assert (elsewhere / "mlruns" / "mlflow.db").exists()

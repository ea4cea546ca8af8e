"""A built wheel, installed elsewhere and started from another folder, finds its conf/ and its data."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import edlae_sweeps

ROOT = Path(edlae_sweeps.__file__).parents[2]


def test_wheel_in_a_new_environment(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT], check=True, capture_output=True
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
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

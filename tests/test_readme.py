"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_notebook_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, golden
):
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLE, "README.md", "exec"), {})
    recommended, similar, *by_rank = capsys.readouterr().out.splitlines()
    assert "extra-cmake-modules" in recommended
    assert "ament-cmake" in similar
    (row,) = (row for row in golden["results"] if row["method"] == "closed" and row["rank"] == 100)
    assert by_rank[1].startswith(f"100 {row['ndcg_100']:.3f}")


def test_the_notebook_example_type_checks(tmp_path: Path):
    path = tmp_path / "example.py"
    path.write_text(EXAMPLE, encoding="utf-8")
    out, err, status = api.run(["--config-file", str(ROOT / "pyproject.toml"), "--strict", str(path)])
    assert status == 0, out + err
    # A wrong choice is an error of types, too.
    path.write_text(EXAMPLE.replace("dropout=0.1)", 'dropout=0.1, beta="zzz")', 1), encoding="utf-8")
    assert api.run(["--config-file", str(ROOT / "pyproject.toml"), "--strict", str(path)])[2] == 1


def test_continuous_integration_runs_the_test_command():
    after = README.split("<!-- the test command -->")[1].split("```")[1]
    assert after.strip().splitlines()[-1].endswith("python -m pytest -n auto")

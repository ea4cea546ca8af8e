"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_notebook_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, golden
):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    (row,) = (row for row in golden["results"] if row["method"] == "closed" and row["rank"] == 100)
    assert f"100 {row['ndcg_100']:.3f}" in capsys.readouterr().out


def test_continuous_integration_runs_the_test_command():
    after = README.split("<!-- the test command -->")[1].split("```")[1]
    assert after.strip().splitlines()[-1].endswith("python -m pytest")

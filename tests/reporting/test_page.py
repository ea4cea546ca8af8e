"""The page and its tables: names of a shared store mean nothing, warnings and links are where they belong."""

import csv
import html
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made_up import Cell, experiment, log

from edlae_sweeps.errors import DataError
from edlae_sweeps.reporting import Report, report
from edlae_sweeps.reporting.collect import StoredCell
from edlae_sweeps.reporting.commands import missing_ranks
from edlae_sweeps.reporting.tables import Table
from edlae_sweeps.reporting.texts import csv_text, fixed, signed
from edlae_sweeps.tracking import Experiment, Store, StoredRun
from edlae_sweeps.tracking.view import run_page

DATASET = "a;touch x <b> $&_%"
FOREIGN = "=cmd()|'; touch x <script>alert(1)</script> \\frac{ $&_%#"
USERS = np.random.default_rng(0).random(50)
HOST = "https://me:secret@host:5000/mlflow"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], None]) -> Report:
    """A tuned closed form, and methods that were not tuned, of a store on a server."""
    folder = tmp_path_factory.mktemp("page")
    new_store(folder)
    target = experiment(folder, DATASET)
    cells = (
        Cell("closed", 2, USERS, 20),
        Cell("closed", 5, USERS),
        Cell("admm", 2, USERS / 2, epochs=2),
        Cell("admm", 5, USERS / 2, epochs=2),
        Cell(FOREIGN, 2, USERS / 3, 20),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("made_up.DATASET", DATASET)
        for cell in cells:
            log(target, cell, folder)
        patch.setattr(Experiment, "run_page", lambda self, run_id: run_page(HOST, self.id, run_id))
        return report(Store(None, folder), DATASET, folder / "reports", lambda *_: None)


@pytest.fixture(scope="module")
def page(made) -> str:
    return made.page.read_text(encoding="utf-8")


def text(made: Report, name: str) -> str:
    return (made.page.parent / name).read_text(encoding="utf-8")


def test_names_are_texts_in_the_page(page):
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_names_are_texts_in_tables(made):
    for line in csv.reader(text(made, "accuracy.csv").splitlines()):
        assert not line[0].startswith(("=", "+", "-", "@"))
    header, rule, *rows = text(made, "accuracy.md").split("\n\n")[1].splitlines()
    for line in (header, rule, *rows):
        assert len(re.findall(r"(?<!\\)\|", line)) == 10
    assert r"=cmd()\|'; touch x \<script\>" in rows[-1]
    latex = text(made, "accuracy.tex")
    assert r"\textbackslash{}frac\{ \$\&\_\%\#" in latex
    assert all(line.count(" & ") == 8 for line in latex.splitlines() if line.endswith(r"\\"))


def test_commands_are_safe_to_copy(page, tmp_path):
    commands = re.findall(r"(?<=run )python -m edlae_sweeps [^<]*|(?<=<code>)python -m edlae_sweeps[^<]*", page)
    assert len(commands) == 2 + 1 + 5
    shown = html.unescape("\n".join(commands))
    out = subprocess.run(
        ["bash", "-c", f"python() {{ printf '[%s]' \"$@\"; echo; }}\n{shown}"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert not list(tmp_path.iterdir())
    assert f"[-m][edlae_sweeps.report][datasets=['{DATASET}']]" in out
    missing = f"[-m][edlae_sweeps][dataset=interactions][dataset.path=FILE][dataset.name='{DATASET}'][method=zero_diag]"
    assert f"{missing}[rank=[2,5]]" in out
    assert f"[method={FOREIGN}][rank=2]" in out


def test_no_cells_name_a_command_that_can_be_copied(tmp_path, new_store):
    new_store(tmp_path)
    experiment(tmp_path, "my ratings")
    command = """dataset=interactions dataset.path=FILE 'dataset.name='"'"'my ratings'"'"''"""
    with pytest.raises(DataError) as error:
        report(Store(None, tmp_path), "my ratings", tmp_path, lambda *_: None)
    assert f"run python -m edlae_sweeps {command} first" in str(error.value)


def test_commands_for_data_of_ones_own_have_their_file_and_columns():
    run = StoredRun("id", {"dataset": "a; b"}, {}, {}, "name")
    config = {"path": "my data/a; b.csv", "name": None, "user_column": "user id", "split_seed": 98765, "start": {}}
    reader = SimpleNamespace(tree=lambda *_: {"dataset": config})
    cells = [StoredCell("closed", 2, run), StoredCell("closed", None, run), StoredCell("admm", 2, run)]
    line = missing_ranks(cells, 7, reader)[0]
    assert line.startswith("admm has no finished cell at rank full; run python -m edlae_sweeps dataset=interactions ")
    words = shlex.split(line.partition("; run ")[2])
    assert words[3:] == [
        "dataset=interactions", "dataset.path='my data/a; b.csv'", "dataset.user_column='user id'",
        "dataset.name='a; b'", "dataset.split_seed=7", "method=admm", "rank=[full]",
    ]  # fmt: skip


def test_a_warning_stands_above_each_table_that_compares_tuned_and_untuned_cells(made, page):
    sections = {part[: part.index("</h2>")]: part for part in page.split("<h2>")[1:]}
    warned = {title for title, part in sections.items() if 'class="warning"' in part}
    assert warned == {
        "Accuracy by rank",
        "Paired differences in test nDCG@100",
        "Statistics of the paired differences in test nDCG@100",
    }
    pairs = sections["Paired differences in test nDCG@100"]
    sentence = (
        "Warning: tuned against untuned. At rank 2, the cells were not tuned alike (tuned: closed; as given: admm)"
    )
    assert 0 < pairs.index(sentence) < pairs.index("<table>")
    assert text(made, "pairs.md").startswith(sentence.replace("<", r"\<"))
    with (made.page.parent / "pairs.csv").open(encoding="utf-8") as file:
        tuning = {row["rank"]: row["parameters"] for row in csv.DictReader(file)}
    assert tuning["2"].startswith("closed, =cmd()")
    assert tuning["2"].endswith(": tuned, 20 evaluations; admm: as given")
    assert tuning["5"] == "as given"


def test_cells_are_links_to_their_runs(made, page):
    with (made.page.parent / "numbers.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        url = f"https://host:5000/mlflow/#/experiments/1/runs/{row['run_id']}"
        # In the table of accuracy, and beside its command.
        assert page.count(f'<a href="{url}">') == 2
    assert "secret" not in page
    assert [row["tune_evaluations"] for row in rows if row["method"] == "closed"] == ["20", ""]


def test_a_database_has_no_links():
    databases = [Experiment(None, uri, "1", None, []) for uri in ("sqlite:///a.db", "postgresql://me@host/db")]
    assert [database.run_page("id") for database in databases] == [None, None]
    server = Experiment(None, HOST, "1", None, [])
    assert server.run_page("a/b?c") == "https://host:5000/mlflow/#/experiments/1/runs/a%2Fb%3Fc"


@pytest.mark.parametrize(
    ("value", "shown"), [(-0.00004, "0.0000"), (0.0, "0.0000"), (-0.00006, "-0.0001"), (0.0012, "+0.0012")]
)
def test_what_rounds_to_zero_has_no_sign(value, shown):
    assert signed(value) == shown
    assert fixed(value) == shown.removeprefix("+")


@pytest.mark.parametrize(
    "number",
    ["+0.0012", "-1e-05", "+0.0012 ± 0.0003***", "-0.1 to +0.2", "-0.0100 ± 0.0010†", "-0.012 / 0.000 / 0.1", "+nan"],
)
def test_numbers_are_numbers_in_csv(number):
    assert csv_text(number) == number


@pytest.mark.parametrize("formula", ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_texts_in_csv(formula):
    assert Table("", (formula,), ((formula,),)).csv().count("'") == 2 + 2 * formula.count("'")


def test_a_row_above_the_others_is_not_among_those_of_csv():
    table = Table("", ("method", "rank"), (("closed", "5"),), ("popularity", ""))
    assert table.csv() == "method,rank\nclosed,5\n"
    assert table.markdown().splitlines()[2:] == ["| popularity |  |", "| closed | 5 |"]
    assert table.latex().splitlines()[4:6] == [r"popularity &  \\", r"closed & 5 \\"]


@pytest.mark.parametrize("name", ["[1cm]", "*", " [x"])
def test_a_name_is_no_argument_of_the_row_before_it(name):
    assert f"{{}}{name} & 1" in Table("", ("a", "b"), ((name, "1"),)).latex()


def test_a_newline_ends_no_row():
    table = Table("", ("a",), (("b\nc",),))
    assert table.markdown().splitlines()[-1] == "| b c |"
    assert r"b c \\" in table.latex()

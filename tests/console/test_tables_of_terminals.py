"""Tables fit the terminal, and nothing is lost or torn by it."""

import subprocess
import sys

import pytest
from rich.cells import cell_len

from edlae_sweeps.console import print_line, print_table

HEADER = ("method", "rank", "λ", "p", "nDCG@100 ± SE", "Recall@20", "Recall@50", "sq. error", "fit s")
FURTHER = ("tail nDCG@100", "unbiased Recall@20", "coverage@20", "Gini@20")
SCORE = "0.6561 ± 0.0080"
ROWS = [
    ("popularity", "", "", "", "0.2575 ± 0.0066", "0.3572", "0.4577", "", "", SCORE, SCORE, "0.0311", "0.9934"),
    ("closed (products)", "full", "12.34", "0.1234", SCORE, "0.7447", "0.8213", "68,847", "3.2", SCORE, SCORE, "", "0"),
    ("admm_published", "500", "1235", "0.3333", SCORE, "0.7446", "0.8212", "7,168,847", "1234.5*", "", "", "", ""),
]  # fmt: skip


@pytest.fixture
def shown(monkeypatch, capsys):
    """The lines of a table in a terminal of that width."""

    def shown(width: int, *arguments, **options) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(*arguments, **options)
        return capsys.readouterr().out.splitlines()

    return shown


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize("columns", [len(HEADER), len(HEADER + FURTHER)])
def test_no_line_is_too_long_and_no_word_is_lost_or_torn(shown, width, columns):
    header, rows = (HEADER + FURTHER)[:columns], [row[:columns] for row in ROWS]
    lines = shown(width, "a title", header, rows, texts=("method",), keys=2)
    assert max(map(cell_len, lines)) <= width
    words = " ".join(lines).replace("@", " @").split()
    for row in (header, *rows):
        for word in " ".join(row).replace("@", " @").split():
            assert word in words


def test_the_usual_table_is_one_table_at_80_columns(shown):
    closed = ("closed", "500", "12.34", "0.1234", SCORE, "0.7447", "0.8213", "68,847", "3.2*")
    for rows in ([ROWS[0][:9], closed], [ROWS[0][:9], closed, ROWS[1][:9]]):
        lines = shown(80, "debian, test users", HEADER, rows, texts=("method",), keys=2)
        assert sum("method" in line for line in lines) == 1
        assert sum(line.split()[:1] in (["closed"], ["popularity"]) for line in lines) == len(rows)


def test_a_wide_terminal_shows_all_metrics_side_by_side(shown):
    lines = shown(160, "a title", HEADER + FURTHER, ROWS, texts=("method",), keys=2)
    (names,) = [line for line in lines if "method" in line]
    assert all(name in names for name in HEADER + FURTHER)


def test_what_follows_below_repeats_the_keys_and_leaves_out_empty_rows(shown):
    lines = shown(80, "a title", HEADER + FURTHER, ROWS, texts=("method",), keys=2)
    starts = [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in ("popularity", "closed")]
    assert starts == ["popularity", "closed"] * 2
    # Its last columns have the seconds alone.
    assert sum("admm_published" in line for line in lines) == 2
    (seconds,) = [line for line in lines if "1234.5*" in line]
    assert seconds.split() == ["admm_published", "500", "1234.5*"]


def test_a_row_without_values_in_what_follows_is_left_out_there(shown):
    rows = [("closed", "1" * 20, "2" * 20), ("svd", "3" * 20, "")]
    lines = shown(40, "", ("method", "first", "second"), rows)
    assert sum("closed" in line for line in lines) == 2
    assert sum("svd" in line for line in lines) == 1


def test_a_dumb_terminal_tears_no_value(shown, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    # rich takes the captured output for a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = shown(80, "", ("method", "value"), [("closed", "1" * 90)])
    assert sum("1" * 90 in line for line in lines) == 1


def test_texts_take_what_the_terminal_has_and_break_between_words(shown):
    because = "cmake (+0.123), debhelper (+0.111), libfoo-dev (+0.001)"
    (row,) = [
        line for line in shown(100, "", ("rank", "because"), [("0", because)], texts=("because",)) if "0 " in line
    ]
    assert because in row
    lines = shown(40, "", ("rank", "because"), [("0", because)], texts=("because",))
    assert max(map(cell_len, lines)) <= 40
    # Not narrower than they need to be.
    assert sum("(+0" in line for line in lines) == 2
    assert " ".join(" ".join(lines).split("─")[-1].split()) == f"0 {because}"


def test_what_is_no_terminal_has_a_fixed_width(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("os.isatty", lambda _: False)
    print_table("a title", HEADER, [row[: len(HEADER)] for row in ROWS[:2]], texts=("method",), keys=2)
    lines = capsys.readouterr().out.splitlines()
    assert sum(all(name in line for name in HEADER) for line in lines) == 1


def test_a_line_to_copy_stays_in_one_piece(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    line = "browse: mlflow ui --backend-store-uri 'sqlite:////a folder/mlflow.db'"
    print_line(line)
    assert capsys.readouterr().out == f"{line}\n"


def test_a_reader_that_closes_the_pipe_stops_nothing():
    code = (
        "from edlae_sweeps.console import print_line, print_table\n"
        "input()\n"
        "print_line('a')\n"
        "print_table('b', ['c'], [['d']])\n"
        "raise SystemExit(7)"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 7

"""Lines of the log in a terminal break between words; those that may hold a command do not break."""

import logging
import os

import pytest

from edlae_sweeps.cli.lines import Wrapped

TEXT = "16,037 training and 2 × 2,000 held-out users, see https://example.org/a-long-path/to-the-data"


@pytest.fixture
def written(monkeypatch):
    """A record as a terminal of that width shows it; None: no terminal."""

    def size(columns):
        if columns is None:
            raise OSError("not a terminal")
        return os.terminal_size((columns, 24))

    def written(text: str, columns: int | None, level: int = logging.INFO) -> str:
        monkeypatch.setattr(os, "get_terminal_size", lambda _: size(columns))
        return Wrapped("%(message)s").format(logging.LogRecord("any", level, "", 0, text, None, None))

    return written


def test_a_long_line_breaks_between_words(written):
    lines = written(TEXT, 50).splitlines()
    assert lines == [
        "16,037 training and 2 × 2,000 held-out users, see",
        "    https://example.org/a-long-path/to-the-data",
    ]
    # A URL is longer than this terminal is wide.
    assert "    https://example.org/a-long-path/to-the-data" in written(TEXT, 30).splitlines()


@pytest.mark.parametrize(("columns", "level"), [(200, logging.INFO), (None, logging.INFO), (50, logging.WARNING)])
def test_other_lines_stay_in_one_piece(written, columns, level):
    assert written(TEXT, columns, level) == TEXT


def test_a_table_of_spaces_keeps_them(written):
    assert written("fit closed                 3.0 s", 80) == "fit closed                 3.0 s"


def test_no_password_is_shown(written):
    assert "secret" not in written(f"{TEXT} postgresql://me:secret@host/db", 50)

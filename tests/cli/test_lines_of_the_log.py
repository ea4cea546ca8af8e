"""Lines in a terminal break between words, but not within a command to copy."""

import logging
import os

import pytest
from hydra import compose, initialize_config_dir

from edlae_sweeps.cli.compose import register
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.lines import Wrapped
from edlae_sweeps.cli.versions import VERSION_BASE

TEXT = "16,037 training and 2 × 2,000 held-out users, see https://example.org/a-long-path/to-the-data"


@pytest.fixture
def written(monkeypatch):
    """A record as a terminal of that width shows it; None: no terminal."""

    def size(columns):
        if columns is None:
            raise OSError("not a terminal")
        return os.terminal_size((columns, 24))

    def written(text: str, columns: int | None) -> str:
        monkeypatch.setattr(os, "get_terminal_size", lambda _: size(columns))
        return Wrapped("%(message)s").format(logging.LogRecord("any", logging.INFO, "", 0, text, None, None))

    return written


def test_a_long_line_breaks_between_words(written):
    lines = written(TEXT, 50).splitlines()
    assert lines == [
        "16,037 training and 2 × 2,000 held-out users, see",
        "    https://example.org/a-long-path/to-the-data",
    ]
    # A URL is longer than this terminal is wide.
    assert "    https://example.org/a-long-path/to-the-data" in written(TEXT, 30).splitlines()


@pytest.mark.parametrize("columns", [200, None])
def test_other_lines_stay_in_one_piece(written, columns):
    assert written(TEXT, columns) == TEXT


@pytest.mark.parametrize(
    "command",
    [
        "python -m edlae_sweeps dataset=interactions 'dataset.path=a b.csv' 'rank=[10,20,50]' tune=optuna",
        "pip install 'edlae_sweeps[cluster]' and write something that is longer than this terminal",
        "dask worker tcp://127.0.0.1:8786 (dashboard: http://127.0.0.1:8787/status)",
    ],
)
def test_a_command_has_a_line_of_its_own(written, command):
    lines = written(f"there is nothing to report on, which is a pity; run {command}", 40).splitlines()
    assert lines == ["there is nothing to report on, which is", "    a pity; run", f"    {command}"]


def test_a_second_column_continues_below_itself(written):
    lines = written("  closed     Closed-form low-rank EDLAE (Algorithm 1)", 40).splitlines()
    assert lines == ["  closed     Closed-form low-rank EDLAE", "             (Algorithm 1)"]


def test_a_table_of_spaces_keeps_them(written):
    assert written("fit closed                 3.0 s", 80) == "fit closed                 3.0 s"


def test_no_password_is_shown(written):
    assert "secret" not in written(f"{TEXT} postgresql://me:secret@host/db", 50)


def test_a_log_file_holds_every_character_whatever_the_locale():
    register()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        config = compose("config", return_hydra_config=True)
    assert config.hydra.job_logging.handlers.file.encoding == "utf-8"

"""Bars on a terminal, and none elsewhere; what is logged meanwhile stands above them."""

import io
import logging
import re
import sys
import time

import pytest
from rich.console import Console

from edlae_sweeps.console import progress, stage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal of 80 columns, with a handler of the log; `open(**environment)` begins."""
    stream = Terminal()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()

    def begin(**environment: str) -> Terminal:
        monkeypatch.setattr(sys, "stderr", stream)
        console = Console(file=stream, width=80, height=20, _environ={"TERM": "xterm-256color", **environment})
        monkeypatch.setattr(progress, "_console", console)
        # Commands that ran in this process have left theirs.
        monkeypatch.setattr(root, "handlers", [handler])
        root.setLevel(logging.INFO)
        return stream

    level = root.level
    yield begin
    root.setLevel(level)


def frames(stream: Terminal) -> list[str]:
    """What stood on the terminal's lines, one after another, without colours."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()))


def test_the_time_left_is_shown_from_the_first_part_on(terminal, monkeypatch):
    stream = terminal()
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock, 112.0))
    with stage("fit") as advance:
        advance(0, 4)
        assert advance.left() is None
        advance(1, 4)
        assert advance.left() == 28
    assert any(re.search(r"fit .*, 0:28 left", frame) for frame in frames(stream))


def test_a_known_time_left_and_a_note_are_shown(terminal):
    stream = terminal()
    with stage("tune closed") as advance:
        advance(3, 20, "trial 4/20, best 0.6451", 3725)
    assert any(
        re.search(r"tune closed: trial 4/20, best 0\.6451 .*, 1:02:0[45] left", frame) for frame in frames(stream)
    )


def test_a_long_note_leaves_the_time_left_in_its_place(terminal):
    stream = terminal()
    with stage("tune unconstrained") as advance:
        advance(3, 20, "trials 104-107/200, rank 1000, best 0.6451", 60)
    last = [frame for frame in frames(stream) if "trials" in frame][-1]
    assert last.rstrip().endswith(" left")
    assert len(last) <= 80


def test_lines_of_the_log_stand_above_the_bar(terminal):
    stream = terminal()
    with stage("fit") as advance:
        advance(1, 2)
        logging.getLogger("any").warning("diverged in epoch 3")
        advance.tell("2/4 l2=10")
        advance(2, 2)
    logging.getLogger("any").info("after it")
    shown = frames(stream)
    assert {"diverged in epoch 3", "2/4 l2=10", "after it"} <= set(shown)
    assert re.fullmatch(r"fit +\d\.\d s", shown[-3])


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_a_terminal_without_control_codes_has_lines_alone(terminal, environment):
    stream = terminal(**environment)
    with stage("fit") as advance:
        advance(1, 2)
    assert re.fullmatch(r"fit +\d\.\d s\n", stream.getvalue())


def test_no_colour_on_request(terminal):
    coloured, plain = terminal(), None
    with stage("fit") as advance:
        advance(1, 2)
    before = len(coloured.getvalue())
    assert re.search(r"\x1b\[3\d", coloured.getvalue())
    plain = terminal(NO_COLOR="1")
    with stage("fit") as advance:
        advance(1, 2)
    assert "━" in plain.getvalue()[before:]
    assert not re.search(r"\x1b\[3\d", plain.getvalue()[before:])


def test_a_pipe_has_lines_alone(monkeypatch, caplog):
    stream = io.StringIO()
    monkeypatch.setattr(progress, "_console", Console(file=stream, _environ={}))
    with caplog.at_level(logging.INFO), stage("fit") as advance:
        advance(1, 2, "a note")
    assert stream.getvalue() == ""
    assert re.fullmatch(r"fit +\d\.\d s", caplog.messages[-1])

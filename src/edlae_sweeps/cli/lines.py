"""Lines of the log in a terminal."""

import logging
import os
import textwrap

from edlae_sweeps.cli.passwords import Redacting
from edlae_sweeps.imports import override

_STANDARD_ERROR = 2


class Wrapped(Redacting):
    """The formatter of the terminal (conf/_hydra.yaml): lines break between words, where it would break them anywhere.

    Warnings stay in one piece, as errors do: they may hold a command to copy.
    """

    @override
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno > logging.INFO:
            return text
        try:
            width = os.get_terminal_size(_STANDARD_ERROR).columns
        except OSError:
            return text
        if len(text) <= width or "\n" in text:
            return text
        return textwrap.fill(
            text, max(1, width), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
        )

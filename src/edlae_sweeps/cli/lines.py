"""Lines of the log in a terminal."""

import logging

from edlae_sweeps.cli.output import STANDARD_ERROR, fitted
from edlae_sweeps.cli.passwords import Redacting
from edlae_sweeps.imports import override


class Wrapped(Redacting):
    """The formatter of the terminal (conf/_hydra.yaml), where lines break between words."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return fitted(super().format(record), STANDARD_ERROR)

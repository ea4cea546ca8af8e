"""What can go wrong in a way that the person at the keyboard can mend.

Each of these ends a command in one line and exit status 2: the message names the offending value and the remedy.
Anything else is a bug and keeps its traceback.
"""


class EdlaeSweepsError(Exception):
    """Base of every error that a user can cause or cure."""


class ConfigError(EdlaeSweepsError):
    """A setting, or a combination of settings, that can't be run."""


class MissingExtra(EdlaeSweepsError):  # noqa: N818 - it names what is missing
    """A package that only some methods need, and that is not installed."""


class DataError(EdlaeSweepsError):
    """Data that is missing, malformed, or can't be stored."""


class SolverError(EdlaeSweepsError):
    """Linear algebra that broke down for these data and settings."""


class TrackingError(EdlaeSweepsError):
    """A tracking store that can't be reached, read or written."""

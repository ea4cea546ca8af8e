"""Errors that the user can fix.

Each ends a command with one line and exit status 2. The message names the value and the remedy. Any other exception is
a bug and keeps its traceback.
"""


class EdlaeSweepsError(Exception):
    """Base of the errors that a user can fix."""


class ConfigError(EdlaeSweepsError):
    """A setting, or a combination of settings, that can't be used."""


class MissingExtra(EdlaeSweepsError):  # noqa: N818 - it names what is missing
    """An optional package that a method needs is not installed."""


class DataError(EdlaeSweepsError):
    """Data that is missing or malformed, or that can't be stored."""


class SolverError(EdlaeSweepsError):
    """Linear algebra that breaks down for these data and settings."""


class DeviceMemoryError(EdlaeSweepsError):
    """Work that does not fit into the memory of a GPU."""


class HostMemoryError(EdlaeSweepsError):
    """Work that does not fit into the memory of this machine."""


class TrackingError(EdlaeSweepsError):
    """A tracking store that can't be reached, read or written."""


class WorkersError(EdlaeSweepsError):
    """Workers of another engine that can't be reached, can't do the work, or went away."""

"""A client of a store that a stop leaves unlocked."""

import traceback
from functools import wraps
from types import MethodType
from typing import Any

from mlflow import MlflowClient

from edlae_sweeps.imports import override
from edlae_sweeps.tracking.opening import is_server
from edlae_sweeps.tracking.stops import stops_deferred


def open_client(uri: str) -> MlflowClient:
    """A client of the store. If that is a database, a signal to stop waits for the end of a call that moves no files.

    Raised while SQLAlchemy commits, a stop leaves the session open and SQLite locked, so that its run can't be closed.
    A server ends transactions by itself, and may take minutes to answer.
    """
    return MlflowClient(uri) if is_server(uri) else _DatabaseClient(uri)


class _DatabaseClient(MlflowClient):
    @override
    def __getattribute__(self, name: str) -> Any:
        attribute = super().__getattribute__(name)
        if name.startswith("_") or not isinstance(attribute, MethodType):
            return attribute

        @wraps(attribute)
        def moving(*args: Any, **options: Any) -> Any:
            try:
                return attribute(*args, **options)
            except KeyboardInterrupt as stop:
                # They hold the cursor of a read that was interrupted, and with it SQLite's lock.
                traceback.clear_frames(stop.__traceback__)
                raise

        @wraps(attribute)
        def whole(*args: Any, **options: Any) -> Any:
            with stops_deferred():
                return attribute(*args, **options)

        # Files may be large.
        return moving if "artifact" in name else whole

"""A client of a store that no stop interrupts amid a transaction."""

from functools import wraps
from types import MethodType
from typing import Any

from mlflow import MlflowClient

from edlae_sweeps.imports import override
from edlae_sweeps.tracking.opening import is_server
from edlae_sweeps.tracking.stops import stops_deferred


def open_client(uri: str) -> MlflowClient:
    """A client of the store. If that is a database, a signal to stop waits for the end of each call.

    Raised while SQLAlchemy commits, a stop leaves the session open and SQLite locked, so that its run can't be closed.
    A server ends transactions by itself, and may take minutes to answer.
    """
    return MlflowClient(uri) if is_server(uri) else _DatabaseClient(uri)


class _DatabaseClient(MlflowClient):
    @override
    def __getattribute__(self, name: str) -> Any:
        attribute = super().__getattribute__(name)
        # Files are moved beside the database, and may be large.
        if name.startswith("_") or "artifact" in name or not isinstance(attribute, MethodType):
            return attribute

        @wraps(attribute)
        def call(*args: Any, **options: Any) -> Any:
            with stops_deferred():
                return attribute(*args, **options)

        return call

"""A store that was moved: the paths of its artifacts follow its database.

MLflow stores absolute paths. After mlruns/ was moved, renamed or copied, these would name the old place, and new
artifacts would go there.
"""

import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import make_url

from edlae_sweeps.errors import TrackingError

# Seconds to wait for another writer.
_TIMEOUT = 60
# Table and column of every path of an artifact in MLflow's database.
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_log = logging.getLogger(__name__)


def follow_move(uri: str, directory: Path) -> None:
    """Let the paths in the SQLite database of `directory`, an absolute path, name the artifacts beside it.

    Only experiments in the place that `Store` gives them, artifacts/NAME below a folder that is now this one, are
    changed. Does nothing for a server, or a database elsewhere. The caller holds the lock of the store. Raises
    TrackingError if the database can't be changed.
    """
    database = Path((make_url(uri).database or "") if uri.startswith("sqlite") else "")
    own = directory / "mlflow.db"
    if not (database.is_file() and own.exists() and database.samefile(own)):
        return
    try:
        with closing(sqlite3.connect(database, timeout=_TIMEOUT)) as connection, connection:
            roots = _moved(connection, directory)
            if not roots or not _has_columns(connection):
                return
            connection.execute("BEGIN IMMEDIATE")
            for uris in roots.values():
                for old, new in uris.items():
                    _replace(connection, old, new)
    except sqlite3.Error as error:
        raise TrackingError(
            f"tracking database {database} was moved, and its paths can't be corrected ({error}): make it writable"
        ) from error
    for root in roots:
        _log.info("the store was moved from %s: its artifacts are now below %s", root, directory)


def _moved(connection: sqlite3.Connection, directory: Path) -> dict[Path, dict[str, str]]:
    """Former folder of the store → URI of an experiment's artifacts in it → their URI now."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return {}
    roots: dict[Path, dict[str, str]] = {}
    here = directory.as_uri()
    for name, location in connection.execute("SELECT name, artifact_location FROM experiments"):
        now = (directory / "artifacts" / name).as_uri()
        place = now.removeprefix(here)
        if location and location != now and location.startswith("file:///") and location.endswith(place):
            root = Path(url2pathname(urlsplit(location.removesuffix(place)).path))
            roots.setdefault(root, {})[location] = now
    return {root: uris for root, uris in roots.items() if _came_from(root, uris, directory)}


def _came_from(root: Path, uris: Mapping[str, str], directory: Path) -> bool:
    """Whether `directory` was once `root`: then it has the artifacts. A link to it is the same folder."""
    if root.exists() and root.samefile(directory):
        return False
    return any(Path(url2pathname(urlsplit(now).path)).is_dir() for now in uris.values())


def _has_columns(connection: sqlite3.Connection) -> bool:
    """Whether the database has all columns with paths; another release of MLflow may differ."""
    columns = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return all(connection.execute(columns, path).fetchone() for path in _PATHS)


def _replace(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Change the beginning of every path at or below the URI `old`."""
    for table, column in _PATHS:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - the names are those above
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )

"""A new SQLite database, which MLflow fills with tables in dozens of migrations."""

from pathlib import Path

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy import make_url

from edlae_sweeps.disk import remove_leftovers, whole


def database_file(uri: str) -> Path | None:
    """The file of an SQLite database; None for another database, a server, a database in memory, and SQLite's URIs."""
    if not uri.startswith("sqlite"):
        return None
    url = make_url(uri)
    # With uri=true, SQLite reads the name as a URI.
    return None if url.database in (None, "", ":memory:") or "uri" in url.query else Path(url.database)


def create_database(path: Path) -> None:
    """Make the database at `path` with MLflow's tables if there is none; it gets its name once it is complete.

    A kill amid the migrations would leave a database that can't be opened again. The caller holds the lock of the
    store. Raises OSError, and what MLflow raises.
    """
    if path.exists() and path.stat().st_size:
        return
    remove_leftovers(path.parent)
    with whole(path) as written:
        artifacts = (path.absolute().parent / "artifacts").as_uri()
        store = SqlAlchemyStore(f"sqlite:///{written}", artifacts)  # type: ignore[no-untyped-call]
        store.engine.dispose()

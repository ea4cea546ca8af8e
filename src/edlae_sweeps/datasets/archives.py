"""Archives of published data sets: downloaded to data_dir unless they are there, and read without unpacking."""

import hashlib
import logging
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edlae_sweeps.datasets.base import Advance
from edlae_sweeps.datasets.tables import Source, bounded, expansion_error, most_bytes
from edlae_sweeps.disk import commit, temporary
from edlae_sweeps.errors import DataError
from edlae_sweeps.imports import needed

_log = logging.getLogger(__name__)
_STALL_SECONDS = 30
_RETRIES = 2
# What zipfile raises for a damaged archive. A DataError of the code that reads a text passes through.
ZIP_ERRORS = (OSError, EOFError, NotImplementedError, zlib.error, zipfile.BadZipFile)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Archive:
    """A published file: its name in data_dir, its URL, and its MD5 if one is published."""

    name: str
    url: str
    md5: str | None


def obtain(archive: Archive, data_dir: Path, advance: Advance | None = None) -> Path:
    """Path of the archive in `data_dir`. It is downloaded if missing; `advance(bytes, total)` reports progress.

    The file gets its name only once it is complete and its checksum is right. An interrupted download starts over.
    Raises DataError if the download fails or the checksum differs.
    """
    path = data_dir / archive.name
    if path.exists():
        if archive.md5 and (digest := _md5(path)) != archive.md5:
            raise DataError(
                f"{path} has MD5 {digest}, but the published file has {archive.md5}: delete it to download it again"
            )
        return path
    # What is there already does without it.
    requests = needed("requests", "a download")
    _log.info("downloading %s to %s", archive.url, data_dir)
    # A folder of its own, so that a killed download is known as one.
    folder = temporary(path)
    try:
        commit(_download(archive, folder, advance), path)
    except (requests.RequestException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"can't download {archive.url}: {reason}; try again, or put {archive.name} into {data_dir} yourself"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return path


def _download(archive: Archive, folder: Path, advance: Advance | None) -> Path:
    """The archive in `folder`, complete, with the right checksum."""
    pooch = needed("pooch", "a download")
    pooch.get_logger().setLevel(logging.ERROR)
    registry = {archive.name: f"md5:{archive.md5}" if archive.md5 else None}
    store = pooch.create(
        path=folder, base_url="", registry=registry, urls={archive.name: archive.url}, retry_if_failed=_RETRIES
    )
    downloader = pooch.HTTPDownloader(progressbar=_Progress(advance), timeout=_STALL_SECONDS, chunk_size=1024**2)
    fetched = Path(store.fetch(archive.name, downloader=downloader))
    # Without a checksum, an HTML error page would pass for the archive.
    if not zipfile.is_zipfile(fetched):
        raise ValueError("the server sent no zip archive")
    return fetched


def member(archive: Path, name: str) -> Source:
    """The file `name`, in any folder of a zip archive."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with zipfile.ZipFile(archive) as content:
                (entry,) = zip_entries(content, archive, [name])
                with bounded(content.open(entry), f"{archive}:{name}", most_bytes(archive)) as stream:
                    yield stream
        except ZIP_ERRORS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"can't read {name} in {archive}: {reason}; delete the archive if it is damaged") from error

    return Source(f"{archive}:{name}", opened)


def zip_entries(content: zipfile.ZipFile, archive: Path, names: Sequence[str]) -> list[zipfile.ZipInfo]:
    """The files `names`, each in any folder of a zip archive. Raises DataError for one that is missing or unsafe."""
    checked, wanted = EntryNames(archive), {}
    for entry in content.infolist():
        checked.add(entry.filename, link=stat.S_ISLNK(entry.external_attr >> 16))
        name = entry.filename.rpartition("/")[2]
        if name in names:
            if name in wanted:
                raise checked.error(entry.filename, f"is a second {name}")
            wanted[name] = entry
            if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
                raise checked.error(entry.filename, "is encrypted, or packed in a way that can't be read")
            if entry.file_size > most_bytes(archive):
                raise expansion_error(f"{archive}:{name}", most_bytes(archive))
    for name in names:
        if name not in wanted:
            raise DataError(f"{archive} has no {name}: delete it if it is not the published archive")
    return [wanted[name] for name in names]


class EntryNames:
    """The names in an archive, one after another. Published archives have nothing of what it refuses."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._seen: set[str] = set()

    def add(self, name: str, link: bool) -> None:
        """Raise DataError for a path that leads out of the archive, for a link, and for a name that was there."""
        parts = re.split(r"[/\\]", name)
        if parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", name):
            raise self.error(name, "leads out of the archive")
        if link:
            raise self.error(name, "is a link or a device")
        if name in self._seen:
            raise self.error(name, "is there twice")
        self._seen.add(name)

    def error(self, name: str, what: str) -> DataError:
        """What is wrong with an entry."""
        return DataError(f"{self._archive}: its entry {name[:100]!r} {what}: delete it, and use the published archive")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class _Progress:
    """The progress bar that pooch expects, which calls `advance`."""

    def __init__(self, advance: Advance | None) -> None:
        self._advance = advance
        self._done = 0
        self.total = 0

    def update(self, amount: int) -> None:
        self._done += amount
        if self._advance is not None and self.total:
            self._advance(min(self._done, self.total), self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Part of the interface; there is nothing to close."""

"""Archives of published data sets: downloaded to data_dir unless they are there, and read without unpacking."""

import hashlib
import logging
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edlae_sweeps.datasets.base import Advance
from edlae_sweeps.datasets.tables import Source
from edlae_sweeps.errors import DataError

_log = logging.getLogger(__name__)
_STALL_SECONDS = 30
_RETRIES = 2


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
    # What is there already does without them.
    import pooch
    import requests

    _log.info("downloading %s to %s", archive.url, data_dir)
    pooch.get_logger().setLevel(logging.ERROR)
    registry = {archive.name: f"md5:{archive.md5}" if archive.md5 else None}
    store = pooch.create(
        path=data_dir, base_url="", registry=registry, urls={archive.name: archive.url}, retry_if_failed=_RETRIES
    )
    downloader = pooch.HTTPDownloader(progressbar=_Progress(advance), timeout=_STALL_SECONDS, chunk_size=1024**2)
    try:
        fetched = Path(store.fetch(archive.name, downloader=downloader))
    except (requests.RequestException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"can't download {archive.url}: {reason}; try again, or put {archive.name} into {data_dir} yourself"
        ) from error
    # Without a checksum, an HTML error page would pass for the archive.
    if not zipfile.is_zipfile(fetched):
        fetched.unlink()
        raise DataError(
            f"can't download {archive.url}: the server sent no zip archive; put {archive.name} into {data_dir} yourself"
        )
    return fetched


def member(archive: Path, name: str) -> Source:
    """The file `name`, in any folder of a zip archive."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with zipfile.ZipFile(archive) as content:
                entries = [entry for entry in content.namelist() if entry.rpartition("/")[2] == name]
                if not entries:
                    raise DataError(f"{archive} has no {name}: delete it if it is not the published archive")
                with content.open(entries[0]) as stream:
                    yield stream  # type: ignore[misc]
        # A DataError of the code that reads the text passes through.
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"can't read {name} in {archive}: {reason}; delete the archive if it is damaged") from error

    return Source(f"{archive}:{name}", opened)


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

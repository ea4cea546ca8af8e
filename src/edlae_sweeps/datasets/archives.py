"""Archives of published data sets: found in data_dir or downloaded to it, and read without being unpacked."""

import hashlib
import logging
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pooch
import requests

from edlae_sweeps.datasets.base import Advance
from edlae_sweeps.datasets.tables import Source
from edlae_sweeps.errors import DataError

_log = logging.getLogger(__name__)
_STALL_SECONDS = 30
_RETRIES = 2


@dataclass(frozen=True)
class Archive:
    """A published file: its name in data_dir, where it can be had, and its MD5 where that is published."""

    name: str
    url: str
    md5: str | None


def obtain(archive: Archive, data_dir: Path, advance: Advance | None = None) -> Path:
    """The archive in `data_dir`, downloaded to it if it is not there; `advance(bytes, total)` follows.

    It comes under its name only when it is whole and has its checksum; what was broken off begins anew. Raises
    DataError.
    """
    path = data_dir / archive.name
    if path.exists():
        if archive.md5 and (found := _md5(path)) != archive.md5:
            raise DataError(
                f"{path} has MD5 {found}, and the published file {archive.md5}: delete it, and it will be downloaded"
            )
        return path
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
    # Without a checksum, a page that says sorry would pass for the archive.
    if not zipfile.is_zipfile(fetched):
        fetched.unlink()
        raise DataError(
            f"can't download {archive.url}: it sends no zip archive; put {archive.name} into {data_dir} yourself"
        )
    return fetched


def member(archive: Path, name: str) -> Source:
    """The file `name` (in whatever folder) inside a zip archive."""

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with zipfile.ZipFile(archive) as content:
                found = [entry for entry in content.namelist() if entry.rpartition("/")[2] == name]
                if not found:
                    raise DataError(f"{archive} holds no {name}: is it the published archive?")
                with content.open(found[0]) as stream:
                    yield stream  # type: ignore[misc]
        # Not what the reader of the text finds wrong with it.
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"can't read {name} in {archive}: {reason}; is it whole? Else delete it") from error

    return Source(f"{archive}:{name}", opened)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class _Progress:
    """What pooch asks of a progress bar, passed on to `advance`."""

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
        """Nothing is open."""

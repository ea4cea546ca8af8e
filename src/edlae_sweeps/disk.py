"""Files and folders that appear whole or not at all, and what is left of them where their writer was killed."""

import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from edlae_sweeps.process import has_ended, machine, start_ticks

# .MACHINE-PID-START-RANDOM.tmp says which process writes. Its length does not depend on the name that it stands for.
# SQLite's journal has the name of its database in front.
_NAME = re.compile(r"\.(?P<machine>[0-9a-f]{12})-(?P<pid>[0-9]+)-(?P<pid_ticks>[0-9.]*)-[0-9a-f]{12}\.tmp(?:-journal)?")
# Earlier versions: .NAME-RANDOM for a file of arrays or a model, which does not say who writes.
_OLD_NAME = re.compile(r"\.(?:.+\.npz|model)-[0-9a-f]{32}")
# What is half-written and older than this is no longer being written, if its writer is not known to live.
OLD_SECONDS = 24 * 3600
# What file systems answer that can't flush a folder, or folders that may not be listed.
_NO_FLUSH = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF})


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or a folder to, which gets the name `path` at the end of the block.

    From then on it outlives a crash of the machine. A file of that name is replaced; a folder must be absent or empty.
    If the block fails, nothing is left. Creates the folder of `path`. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = temporary(path)
    try:
        yield written
        commit(written, path)
    finally:
        _remove(written)


def temporary(path: Path) -> Path:
    """A new name beside `path`, hidden, which says which process writes to it."""
    pid = os.getpid()
    return path.with_name(f".{_digest(machine())}-{pid}-{start_ticks(pid) or ''}-{uuid.uuid4().hex[:12]}.tmp")


def commit(written: Path, path: Path) -> None:
    """Rename a file or a folder to `path`, when all of it is on the disk; then the name is, too. Raises OSError."""
    flush(written)
    written.replace(path)
    _flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk. Raises OSError."""
    for folder, _, files in os.walk(path):
        for name in files:
            _flush(Path(folder, name))
        _flush(Path(folder))
    if not path.is_dir():
        _flush(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in `folder`, not below it.

    It must be a day old, and its writer have ended if that was a process of this machine. A folder that can't be listed
    stays as it is.
    """
    paths: list[Path] = []
    with suppress(OSError):
        paths += folder.iterdir()
    for path in paths:
        # Another process may remove it too.
        with suppress(OSError):
            if _is_leftover(path):
                _remove(path)


def _is_leftover(path: Path) -> bool:
    name = _NAME.fullmatch(path.name)
    if not (name or _OLD_NAME.fullmatch(path.name)):
        return False
    if name and name["machine"] == _digest(machine()) and not has_ended(name.groupdict()):
        return False
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    newest: float = max(entry.lstat().st_mtime for entry in (path, *inside))
    return time.time() - newest > OLD_SECONDS


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    number = None
    try:
        number = os.open(path, os.O_RDONLY)
        os.fsync(number)
    except OSError as error:
        if not path.is_dir() or error.errno not in _NO_FLUSH:
            raise
    finally:
        if number is not None:
            os.close(number)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]

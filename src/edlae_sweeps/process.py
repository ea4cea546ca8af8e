"""Which process made a run, and whether it has ended. No rule here reads the wall clock of another machine."""

import os
import socket
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edlae_sweeps.imports import needed

_PROC = Path("/proc")
# Runs without `machine` have a start time read from the wall clock, which may be set while a process runs.
_CLOCK_SECONDS = 60


def process_tags() -> dict[str, str]:
    """Tags that identify this process: its host and machine, its number, and when it started."""
    return {
        "host": socket.gethostname(),
        "machine": machine(),
        "pid": str(os.getpid()),
        "pid_start": f"{_psutil().Process().create_time():.2f}",
        "pid_ticks": start_ticks(os.getpid()) or "",
    }


def machine() -> str:
    """What process numbers are unique in, until a restart: on Linux the boot and the namespace of process numbers.

    Two containers with the same host name differ in it. Where it can't be read, it is a name that nobody else has.
    """
    if not sys.platform.startswith("linux"):
        return socket.gethostname()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = (_PROC / "self/ns/pid").stat().st_ino
        # /proc may be that of another namespace.
        seen = (_PROC / "self").readlink().name == str(os.getpid())
    except OSError:
        seen = False
    return f"{boot}:{space}" if seen else str(uuid.uuid4())


def boot_of(tags: Mapping[str, str]) -> str:
    """The boot that a run was made in; empty where its tags don't say."""
    boot, separator, _ = tags.get("machine", "").rpartition(":")
    return boot if separator else ""


def has_ended(tags: Mapping[str, str]) -> bool:
    """Whether the process of a run of this machine has ended."""
    try:
        # /proc may hide the processes of other users, but not from a signal.
        os.kill(int(tags["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    ticks = start_ticks(int(tags["pid"]))
    return ticks is not None and ticks != tags["pid_ticks"]


def had_ended(tags: Mapping[str, str]) -> bool:
    """The same for a run of a version that did not log `machine`: its host has the name of this one."""
    psutil = _psutil()
    try:
        process = psutil.Process(int(tags["pid"]))
        started = abs(process.create_time() - float(tags["pid_start"])) < _CLOCK_SECONDS
        return not started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def start_ticks(pid: int) -> str | None:
    """When a process started: on Linux in clock ticks since the boot; None if that is hidden, empty for a zombie."""
    if not sys.platform.startswith("linux"):
        psutil = _psutil()
        try:
            process = psutil.Process(pid)
            return "" if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
        except psutil.Error:
            return None
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field, a name in parentheses, may hold both. The third is the state, the 22nd the start.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def _psutil() -> Any:
    # Files of the cache are written on Linux without it.
    return needed("psutil", "telling processes apart")

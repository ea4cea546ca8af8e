"""The documentation of every key, read from where it is set: the comment above it in conf/."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KEY = re.compile(r"( *)(\w+):( .*)?$")
# Blocks that configure Hydra rather than this application.
_FOREIGN = frozenset({"defaults", "hydra"})


@dataclass(frozen=True)
class Key:
    """A key as it is written on the command line, and the lines of comment above it; `file` is relative to conf/."""

    name: str
    text: tuple[str, ...]
    file: Path


def read_keys(conf: Path) -> list[Key]:
    """Every key of the configuration files, config.yaml first."""
    return [key for file in _files(conf) for key in _file_keys(file, conf)]


def documentation(conf: Path, config: str) -> str:
    """The text of `--help` on the choices and keys of an application, safe inside a string.Template.

    `config` is the name of its configuration file; the groups are those of config.yaml.
    """
    lines: list[str] = []
    keys = read_keys(conf)
    for path in _files(conf):
        file = path.relative_to(conf)
        if file.stem != config and (config != "config" or not file.parent.name):
            continue
        lines += [f"{_title(file)}: {_purpose(path)}", ""]
        for key in keys:
            if key.file == file:
                lines += [f"  {key.name}", *(f"      {line}" for line in key.text), ""]
    return "\n".join(lines).replace("$", "$$")


def _files(conf: Path) -> list[Path]:
    return sorted(conf.rglob("*.yaml"), key=lambda path: (path.parent != conf, path))


def _title(file: Path) -> str:
    """How a file is chosen; one that begins with an underscore is part of every choice of its group."""
    if not file.parent.name:
        return "every job" if file.stem == "config" else "report"
    return f"every {file.parent}" if file.stem.startswith("_") else f"{file.parent}={file.stem}"


def _purpose(file: Path) -> str:
    """The comment that a configuration file begins with."""
    return file.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("#").strip()


def _file_keys(file: Path, conf: Path) -> Iterator[Key]:
    relative = file.relative_to(conf)
    prefix = list(relative.parent.parts)
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
            continue
        if match := _KEY.match(line):
            indent, name = len(match[1]), match[2]
            parents = [parent for parent in parents if parent[0] < indent]
            path = [parent[1] for parent in parents]
            parents.append((indent, name))
            if name not in _FOREIGN and not _FOREIGN & set(path) and comment:
                yield Key(".".join([*prefix, *path, name]), tuple(comment), relative)
        comment = []

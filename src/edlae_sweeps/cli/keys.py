"""The keys of conf/ and their documentation, read as text: the comment above a key explains it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KEY = re.compile(r"( *)(\w+):(?: +(.*))?$")
_INCLUDE = re.compile(r" +- (\w+)$")
_SCHEMA = re.compile(r"- /(schema[\w/]*)@\w+(?:: \"?([\w-]+))?")
_PACKAGE = re.compile(r"# @package (\S+)$")
_DATASET_DEFAULT = re.compile(r"\$\{oc\.select:([\w.]+),(.*)\}$")
# Blocks that configure Hydra rather than this application.
_HYDRA = frozenset({"defaults", "hydra"})


@dataclass(frozen=True)
class Key:
    """A key as on the command line, the comment lines above it, and its default as the yaml has it."""

    name: str
    text: tuple[str, ...]
    value: str

    @property
    def default(self) -> str:
        """The default in words; empty if the comment has to explain it."""
        match = _DATASET_DEFAULT.match(self.value)
        value = match[2] if match else self.value
        return "" if value.startswith("${") or value in ("???", "{}") else value


def package_dir() -> Path:
    """The folder of this package."""
    return Path(__file__).parents[1]


def conf_dir() -> Path:
    """The absolute folder of the configuration files: inside an installed package, or at the top of a checkout."""
    installed = package_dir() / "conf"
    return installed if installed.is_dir() else package_dir().parents[1] / "conf"


def configs(conf: Path) -> list[Path]:
    """The configuration of each command: config.yaml of a job, report.yaml and others."""
    return sorted(conf.glob("[!_]*.yaml"))


def groups(conf: Path) -> list[str]:
    """The config groups, such as dataset, method and tune."""
    return sorted(path.name for path in conf.iterdir() if path.is_dir())


def choices(conf: Path, group: str) -> list[str]:
    """The choices of a config group. A file whose name begins with _ is a fragment of others, not a choice."""
    return sorted(path.stem for path in (conf / group).glob("[!_]*.yaml"))


def schemas(conf: Path) -> set[tuple[str, str]]:
    """(group, name) of every schema that the configuration files refer to."""
    names = set()
    for file in conf.rglob("*.yaml"):
        for match in _SCHEMA.finditer(file.read_text(encoding="utf-8")):
            group, _, name = "/".join(part for part in match.groups() if part).rpartition("/")
            names.add((group, name))
    return names


def default_choice(conf: Path, group: str) -> str:
    """The choice of a group in config.yaml; empty if it is null."""
    match = re.search(rf'^  - {group}: "?([\w-]+)', (conf / "config.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match and match[1] != "null" else ""


def purpose(file: Path) -> list[str]:
    """The comment at the top of a configuration file, line by line."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        if not _PACKAGE.match(line):
            lines.append(line.removeprefix("#").strip())
    return lines


def read_keys(conf: Path, file: Path) -> dict[str, Key]:
    """Name → key of a configuration file and of the files in its defaults list; texts add up, the last default counts.

    Keys without any text are left out.
    """
    merged = _merged(conf, file)
    return {name: key for name, key in merged.items() if key.text}


def choice_keys(conf: Path, group: str, choice: str) -> dict[str, Key]:
    """The keys that `group`=`choice` adds."""
    keys = read_keys(conf, conf / group / f"{choice}.yaml")
    return {name: key for name, key in keys.items() if name.startswith(f"{group}.")}


def dataset_keys(conf: Path) -> list[str]:
    """The keys of dataset.start and dataset.search that a method takes its default or its range from."""
    lines = [
        line for file in (conf / "method").glob("*.yaml") for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return sorted({match[1] for line in lines if (match := _DATASET_DEFAULT.search(line))})


def _merged(conf: Path, file: Path) -> dict[str, Key]:
    lines = file.read_text(encoding="utf-8").splitlines()
    merged: dict[str, Key] = {}
    included = [match[1] for line in lines if (match := _INCLUDE.match(line)) and match[1] != "_self_"]
    for name in included:
        merged |= _merged(conf, file.with_name(f"{name}.yaml"))
    for key in _own_keys(lines, file.relative_to(conf)):
        before = merged.get(key.name, Key(key.name, (), ""))
        merged[key.name] = Key(key.name, before.text + key.text, key.value)
    return merged


def _own_keys(lines: list[str], file: Path) -> Iterator[Key]:
    package = _PACKAGE.match(lines[0])
    prefix = list(file.parent.parts)
    if package:
        prefix = [] if package[1] == "_global_" else package[1].split(".")
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in lines:
        if line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
            continue
        if match := _KEY.match(line):
            indent, name = len(match[1]), match[2]
            parents = [parent for parent in parents if parent[0] < indent]
            path = [*prefix, *(parent[1] for parent in parents), name]
            parents.append((indent, name))
            if not _HYDRA & set(path):
                yield Key(".".join(path), tuple(comment), (match[3] or "").partition("  #")[0])
        comment = []

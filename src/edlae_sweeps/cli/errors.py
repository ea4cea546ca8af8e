"""Errors of Hydra and OmegaConf, each in one line that names the value and the remedy."""

import difflib
import errno
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cli.keys import choice_keys, choices, configs, groups, read_keys
from edlae_sweeps.cli.schema import choice_of
from edlae_sweeps.errors import EdlaeSweepsError
from edlae_sweeps.settings import hydra_text, shell_line

USER_ERROR = 2
# Launcher → the extra that it needs.
_EXTRAS = {"joblib": "cluster", "submitit_local": "cluster", "submitit_slurm": "cluster", "ray": "ray"}
_MANY_DIGITS = re.compile(r"\d{1000}")
# A key that has moved → its place now.
MOVED = {"method.search": "tune.search", "method.device": "device"}


def user_message(error: Exception, conf: Path) -> str | None:
    """One line for an error that the user can fix; None for a bug."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        return describe(error, conf)
    if isinstance(error, EdlaeSweepsError):
        return str(error)
    # So Python refuses a number of thousands of digits.
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        given = next((argument for argument in sys.argv[1:] if _MANY_DIGITS.search(argument)), "a number")
        return f"{given[:40]}…: this number has too many digits; write a shorter one"
    # OmegaConf lets Python's error through, with the key.
    if isinstance(error, OverflowError) and (key := re.search(r"full_key: (\S+)", str(error))):
        return f"{key[1]}: this number is too large; see --help {key[1]}"
    # Hydra refuses method=null and =5 in this way.
    if isinstance(error, ValueError) and str(error).startswith("Config group override"):
        return f"{error}; write group=choice"
    if isinstance(error, MemoryError):
        reason = _first_line(str(error))
        return f"out of memory{': ' + reason if reason else ''}; free some memory, or use a machine with more"
    # So logging refuses the file that hydra.job.name names.
    if str(error).startswith("Unable to configure handler") and isinstance(error.__cause__, FileNotFoundError):
        return f"{error.__cause__.filename}: no such folder; choose hydra.job.name without /"
    # Hydra makes its output folder before the job can check it. An OSError without a file name is a bug.
    if isinstance(error, OSError) and (error.filename is not None or error.errno == errno.ENOSPC):
        remedy = "free some space, or set tracking.dir or data_dir to a folder that you can write to"
        return f"{error.filename or 'disk'}: {error.strerror}; {remedy}"
    return None


def describe(error: BaseException, conf: Path) -> str:
    """One line for an error of composition or of types."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error.missing_cfg_file, error.options or [])
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    origin = error.__cause__ or error.__context__
    message, cause = str(error), str(origin or "")
    if match := re.match(r"Ambiguous value for argument '((\S+?)=(.*))'\s*1\.", message, re.DOTALL):
        several = f"add --multirun for a job for each, or write {shell_line([f'{match[2]}=[{match[3]}]'])} for a list"
        return f"{match[1]}: several values; {several}, or {_text_override(match[2], match[3])} for this text"
    if match := re.search(r"Could not override '([^'@]+)", message):
        return unknown_key(match[1], conf, choice_of(getattr(origin, "parent_node", None)))
    if match := re.search(r"An item is already at '([^']+)'", message):
        return f"{match[1]}: this key is set already; write it without +"
    # The value is that of a key of dataset.start, which the key of the error has its default from.
    if match := re.search(r"interpolation '\$\{oc\.select:([\w.]+),.*?': (.*)", message):
        return f"{match[1]}: {match[2]}; see --help {'.'.join(match[1].split('.')[:2])}"
    key = re.search(r"full_key: (\S+)", f"{message}\n{cause}")
    if key and key[1] in MOVED:
        return unknown_key(key[1], conf)
    reason = _first_line(cause) or " ".join(message.split())
    if not key:
        return f"{reason}; see --help"
    topic = "" if key[1].startswith("hydra") else f" {key[1].partition('[')[0]}"
    return f"{key[1]}: {reason}; see --help{topic}"


def _unreadable(error: OverrideParseException) -> str:
    """One line for an override that Hydra can't parse, with the spelling that works if it is a text."""
    key, equals, value = error.override.partition("=")
    if equals and value and value[0] not in "[{":
        return f"{error.override}: Hydra can't read this value; for this text, write {_text_override(key, value)}"
    return f"{error.override}: {_first_line(error.message)}; write key=value, and quote what the shell would read"


def _text_override(key: str, value: str) -> str:
    """The override as a word of a shell that sets `key` to the text `value`."""
    return shell_line([f"{key}={hydra_text(value)}"])


def unknown_key(name: str, conf: Path, choice: str = "") -> str:
    """One line for a key that does not exist: where it has moved, which other choices have it, or the nearest keys.

    `choice` is what the key's group was composed from, if known.
    """
    for old, new in MOVED.items():
        if name == old or name.startswith(f"{old}."):
            return f"{name}: this key has moved; write {name.replace(old, new, 1)}"
    group, _, key = name.partition(".")
    owners = [other for other in _choices(conf, group) if key and name in choice_keys(conf, group, other)]
    if owners and choice:
        have = "has" if len(owners) == 1 else "have"
        return f"{name}: {', '.join(owners)} {have} {key}, {choice} has not; choose {group}={owners[0]} or another key"
    keys = set(groups(conf)).union(*(read_keys(conf, config) for config in configs(conf)))
    for other in [choice] if choice else _choices(conf, group):
        keys |= set(choice_keys(conf, group, other))
    return f"{name}: no such key{near(name, sorted(keys - {name}))}; --help all lists them"


def near(name: str, options: Iterable[str]) -> str:
    """The options nearest to a misspelled name, in parentheses; empty if there are none."""
    matches = difflib.get_close_matches(name, list(options), n=2, cutoff=0.5)
    return f" (nearest: {', '.join(matches)})" if matches else ""


def _choices(conf: Path, group: str) -> list[str]:
    return choices(conf, group) if group in groups(conf) else []


def _unknown_choice(path: str, options: Sequence[str]) -> str:
    group, _, name = path.rpartition("/")
    offered = [option for option in options if not option.startswith("_")]
    if group == "hydra/launcher" and name in _EXTRAS:
        return f"{group}={name} needs the extra {_EXTRAS[name]}: pip install 'edlae_sweeps[{_EXTRAS[name]}]'"
    return f"{group}={name}: no such choice{near(name, offered)}; choose from {', '.join(offered)}"


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]

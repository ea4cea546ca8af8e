"""Hydra's and OmegaConf's errors, each in one line that names the value and the remedy."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import MissingConfigException

from edlae_sweeps.cli.keys import read_keys

_KEY_IN_MESSAGE = re.compile(r"(?:Could not override|Key) '([^']+)'")
_FULL_KEY = re.compile(r"full_key: (\S+)")


def describe(error: BaseException, conf: Path) -> str:
    """One line for an error of composition or of types."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error.missing_cfg_file, error.options or [])
    message = str(error)
    cause = str(error.__cause__ or error.__context__ or "")
    if match := re.search(r"Could not (?:override|append to config\. .*?) '([^']+)'", message):
        return _unknown_key(match[1].partition("@")[0], conf)
    if "Could not append" in message:
        return f"{_first_line(message)}: the key is set already; write it without +"
    full_key = _FULL_KEY.search(cause) or _FULL_KEY.search(message)
    reason = _first_line(cause or message)
    if "not in '" in reason and full_key:
        return _unknown_key(full_key[1], conf)
    return f"{full_key[1]}: {reason}; see --help" if full_key else f"{reason}; see --help"


def _unknown_choice(path: str, options: Sequence[str]) -> str:
    group, _, name = path.rpartition("/")
    near = _near(name, options)
    return f"{group}={name}: no such {group}{near}; choose from {', '.join(options)}"


def _unknown_key(name: str, conf: Path) -> str:
    keys = sorted({key.name for key in read_keys(conf)} | {path.name for path in conf.iterdir() if path.is_dir()})
    return f"{name}: no such key{_near(name, keys)}; --help lists them all"


def _near(name: str, options: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]

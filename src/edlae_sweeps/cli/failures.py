"""Hydra's and OmegaConf's errors, each in one line that names the value and the remedy."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import MissingConfigException, OverrideParseException

from edlae_sweeps.cli.keys import read_keys


def describe(error: BaseException, conf: Path) -> str:
    """One line for an error of composition or of types."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_choice(error.missing_cfg_file, error.options or [])
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {_first_line(error.message)}; write key=value, and quote what the shell would read"
    message, cause = str(error), str(error.__cause__ or error.__context__ or "")
    if match := re.search(r"Could not override '([^'@]+)", message):
        return unknown_key(match[1], conf)
    if match := re.search(r"An item is already at '([^']+)'", message):
        return f"{match[1]}: this key is set already; write it without +"
    key = re.search(r"full_key: (\S+)", f"{message}\n{cause}")
    reason = _first_line(cause) or " ".join(message.split())
    return f"{key[1]}: {reason}; see --help" if key else f"{reason}; see --help"


def unknown_key(name: str, conf: Path) -> str:
    """One line for a key that is not there, with the nearest that are."""
    keys = {key.name for key in read_keys(conf)} | {path.name for path in conf.iterdir() if path.is_dir()}
    return f"{name}: no such key{_near(name, sorted(keys))}; --help lists them all"


def _unknown_choice(path: str, options: Sequence[str]) -> str:
    group, _, name = path.rpartition("/")
    near = _near(name, options)
    return f"{group}={name}: no such choice{near}; choose from {', '.join(options)}"


def _near(name: str, options: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, options, n=2, cutoff=0.5)
    return f" (nearest: {', '.join(near)})" if near else ""


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]

"""Commands that a user copies into a shell: each value means itself, whatever is in it.

Names come from shared stores and from files, so none may reach the shell or Hydra unquoted.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from edlae_sweeps.datasets import DATASETS

# A text that Hydra reads as itself without quotes, and the words that it reads as something else.
_PLAIN = re.compile(r"(\./)?[A-Za-z_/][A-Za-z0-9_./:@-]*", re.ASCII)
_WORDS = frozenset({"null", "true", "false", "nan", "inf"})
# Defaults of other keys: which of them a command needs depends on the method.
_DERIVED = frozenset({"start", "search"})


def command(overrides: Mapping[str, Any], module: str = "") -> str:
    """The line `python -m edlae_sweeps.MODULE KEY=VALUE …`, for any shell; without `module` that of a job."""
    name = f"edlae_sweeps.{module}" if module else "edlae_sweeps"
    return shell_line(["python", "-m", name, *(f"{key}={hydra_text(value)}" for key, value in overrides.items())])


def shell_line(words: Iterable[str]) -> str:
    """The words as one line of a shell, each quoted if the shell would read it as more than a word."""
    return " ".join(map(_shell_word, words))


def dataset_overrides(label: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The keys that choose a data set by the name in its results: `{"dataset": "debian"}`.

    `config` is the part `dataset` of the config.yaml of a run: it adds what differs from the defaults. Data of one's
    own need it; without it, dataset.path is FILE, for the user to fill in.
    """
    for choice, kind in DATASETS.items():
        defaults = {field.name: field.default for field in fields(kind) if field.name not in _DERIVED}
        if config and config.keys() <= {*defaults, *_DERIVED} and ("name" in config or choice == label):
            changed = {name: config[name] for name in defaults if name in config and config[name] != defaults[name]}
            # It may come from the name of the file, which may have moved.
            names = {"name": label} if "name" in config and label != defaults.get("name") else {}
            return {"dataset": choice, **{f"dataset.{name}": value for name, value in (changed | names).items()}}
    if label in DATASETS:
        return {"dataset": label}
    return {"dataset": "interactions", "dataset.path": "FILE", "dataset.name": label}


def hydra_text(value: Any) -> str:
    """A value as Hydra's command line reads it: null, true, 0.5, debian, 'a;b', [10,full]."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{hydra_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(hydra_text, value))}]"
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # OmegaConf reads ${…} as another key, but not \${…}; of backslashes before either, it takes two for one.
    text = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)
    # So does Hydra of those before a quote, the last one too.
    text = re.sub(r"(\\*)('|\Z)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return f"'{text}'"


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # A terminal would obey control characters, and a pasted newline ends a line. bash and zsh read $'…'; it is a plain
    # word to a shell that does not, so it must not hold a quote.
    return "$'" + "".join(map(_shell_character, word)) + "'"


def _shell_character(character: str) -> str:
    code = ord(character)
    if character in "'\\":
        return f"\\{code:03o}"
    if character.isprintable():
        return character
    # Python's stand-ins for bytes of a file name that are no UTF-8.
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\{code - 0xDC00:03o}"
    return f"\\{code:03o}" if code < 0x80 else f"\\U{code:08x}"

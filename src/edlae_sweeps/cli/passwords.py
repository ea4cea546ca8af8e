"""No password in what Hydra writes: one in the configuration is refused, and logs and tracebacks are redacted.

Hydra prints overrides, names folders by them and writes them to files. So passwords come from the environment, which
the jobs of launchers have too, or from the files of a client.
"""

import contextlib
import io
import logging
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cli.output import print_error, print_text
from edlae_sweeps.imports import override
from edlae_sweeps.settings import SECRETS, SOURCE, STORE, has_password, mentions_password, password_error, redacted

# Keys whose value is the URI of a store, with its variable, and keys whose values are names, in which an @ may follow
# ://.
_URIS = {"tracking.uri": STORE, ".uri": STORE, "source": SOURCE}
_NAMES = ("items", "similar", "user")
# What an interpolation names: a variable of the environment, or a key.
_NAMED = re.compile(r"\$\{\s*(?:oc\.env:\s*)?([\w.]+)")
# A variable that is set in a text, perhaps a line of a shell, but not from another one or from a file.
_SET = re.compile(rf"\b({'|'.join(SECRETS)})['\"]?\s*[=:]\s*['\"]?[^\s'\"$`]")
_KEY = re.compile(r"[\w./@-]+")
# Where Hydra keeps the arguments, names among them.
_ARGUMENTS = ("hydra.overrides.", "hydra.job.override_dirname")


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise ConfigError if an argument holds a password, or names a variable of the environment that does."""
    for argument in arguments:
        key, equals, value = argument.lstrip("+~").partition("=")
        if not equals or not _KEY.fullmatch(key):
            key, value = "the command line", argument
        variables = [os.environ.get(_URIS.get(name, name), "") for name in _NAMED.findall(value)]
        if _holds_password(key, value.strip("'\"[] ")) or any(map(has_password, variables)):
            raise password_error(key)


def refuse_configuration(config: DictConfig) -> None:
    """The same for a composed configuration, which may come from files of the user's."""
    texts = _texts("", OmegaConf.to_container(config, resolve=False))
    known = config.copy()
    # Of a multirun, the number of a job is not known.
    OmegaConf.set_readonly(known.hydra, False)
    with open_dict(known):
        known.hydra.job.num, known.hydra.job.id = 0, "0"
    # Hydra's folders follow from the other keys.
    for key, value in sorted(texts, key=lambda text: text[0].startswith("hydra.")):
        # They have been looked at.
        if key.startswith(_ARGUMENTS):
            continue
        # Hydra writes an interpolation as it is, but folders have its value as their name.
        shown = _resolved(known, key) if "${" in value and key not in _URIS else ""
        if _holds_password(key, value) or _holds_password(key, shown):
            raise password_error(key)


def _holds_password(key: str, value: str) -> bool:
    if key in _URIS and has_password(value):
        return True
    if (key.rpartition(".")[2] in SECRETS and value) or _SET.search(value):
        return True
    return key not in _NAMES and mentions_password(value)


def _resolved(config: DictConfig, key: str) -> str:
    """The value of a key as a text, with its interpolations resolved; empty if that is not possible yet."""
    try:
        value = OmegaConf.select(config, key)
        return str(OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value)
    except OmegaConfBaseException:
        return ""


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """The keys of a configuration with their values, where these are texts."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(f"{key}.{name}" if key else str(name), each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(key, each)


class Redacting(logging.Formatter):
    """The formatter of every log (conf/_hydra.yaml): no passwords, in tracebacks either."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, without passwords."""
    for line in redacted("".join(traceback.format_exception(kind, error, trace))).splitlines():
        print_error(line)


@contextlib.contextmanager
def redacted_configuration(arguments: Sequence[str]) -> Iterator[None]:
    """While Hydra prints a configuration with the values of the environment (--cfg job --resolve), redact it."""
    # argparse takes --re for --resolve.
    if not any(argument.startswith("--re") for argument in arguments):
        yield
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield
    print_text(redacted(printed.getvalue()).rstrip("\n"))

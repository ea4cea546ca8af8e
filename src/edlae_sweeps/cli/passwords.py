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

from omegaconf import DictConfig, OmegaConf

from edlae_sweeps.cli.output import print_error, print_text
from edlae_sweeps.imports import override
from edlae_sweeps.settings import has_password, mentions_password, password_error, redacted

# Keys whose value is the URI of a store, and keys whose values are names, in which an @ may follow ://.
_URIS = ("tracking.uri", "source")
_NAMES = ("items", "similar", "user")
_INTERPOLATION = re.compile(r"\$\{[^{}]*\}")
_VARIABLE = re.compile(r"\$\{oc\.env:\s*(\w+)")


def refuse_arguments(arguments: Sequence[str]) -> None:
    """Raise ConfigError if an argument holds a password, or names a variable of the environment that does."""
    for argument in arguments:
        key, _, value = argument.lstrip("+~").partition("=")
        variables = [os.environ.get(name, "") for name in _VARIABLE.findall(value)]
        if _holds_password(key, value.strip("'\"[] ")) or any(map(has_password, variables)):
            raise password_error(key)


def refuse_configuration(config: DictConfig) -> None:
    """The same for a composed configuration, which may come from files of the user's."""
    for key, value in _texts("", OmegaConf.to_container(config, resolve=False)):
        # Of an interpolation, Hydra writes the name; of the overrides, the arguments have been looked at.
        if _holds_password(key, _INTERPOLATION.sub("", value)) and not key.startswith("hydra.overrides"):
            raise password_error(key)


def _holds_password(key: str, value: str) -> bool:
    if key in _URIS and has_password(value):
        return True
    return key not in _NAMES and mentions_password(value)


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
    if not any(argument.startswith("--res") for argument in arguments):
        yield
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        yield
    print_text(redacted(printed.getvalue()).rstrip("\n"))

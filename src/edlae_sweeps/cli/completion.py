"""Tab completion: Hydra's, without the files that are no choices, and with the values of keys that have a few."""

import os
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.plugins.completion_plugin import DefaultCompletionPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cli.keys import conf_dir, groups, schemas
from edlae_sweeps.cli.schema import options_of
from edlae_sweeps.cli.versions import VERSION_BASE, schema_store

# Shell → what separates the completions that its script reads.
_SEPARATORS = {"query=bash": " ", "query=zsh": " ", "query=fish": "\n"}


def print_completions(config_name: str, arguments: Sequence[str]) -> bool:
    """Print what may follow the command line in the environment variable COMP_LINE.

    False if the arguments don't ask for completions; installing the shell's script is Hydra's part.
    """
    queries = _SEPARATORS.keys() & set(arguments)
    if not queries or not {"-sc", "--shell-completion"} & set(arguments):
        return False
    matches = completions(config_name, os.environ.get("COMP_LINE", ""))
    print(_SEPARATORS[queries.pop()].join(matches))
    return True


def completions(config_name: str, line: str) -> list[str]:
    """The words that may replace the last one of a command line."""
    words = DefaultCompletionPlugin.strip_python_or_app_name(line)
    key, equals, _ = words.rpartition(" ")[2].partition("=")
    sets_key = bool(equals) and key not in groups(conf_dir())
    if sets_key:
        # The types of values take longer to import.
        from edlae_sweeps.cli.compose import register

        register()
    else:
        register_empty_schemas()
    with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
        if sets_key and (values := _values(config_name, words)):
            return values
        plugin = DefaultCompletionPlugin(GlobalHydra.instance().config_loader())
        return [match for match in plugin._query(config_name, words) if _offered(match)]


def register_empty_schemas() -> None:
    """Let conf/ compose without the options, and so without the mathematics; it sets every key itself."""
    store = schema_store()
    for group, name in schemas(conf_dir()):
        store.store(group=group, name=name, node={})


def _offered(match: str) -> bool:
    """Whether a completion is one of ours: no fragment, no schema, no index into a list."""
    return not (re.search(r"[=/]_", match) or match.startswith("schema") or match.count("=") > 1)


def _values(config_name: str, line: str) -> list[str]:
    """`key=value` for the values that the last word sets, if it has a few or some are common; empty for others."""
    *before, word = line.split(" ")
    key, _, start = word.partition("=")
    try:
        config = compose(config_name, [argument for argument in before if argument and not argument.startswith("-")])
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
    except (HydraException, OmegaConfBaseException):
        return []
    options = options_of(node) if isinstance(node, DictConfig) else None
    hint = get_type_hints(options, include_extras=True).get(name) if options else None
    values = _lists(hint, start) if get_origin(hint) is tuple else _literals(hint)
    return [f"{key}={value}" for value in values if value.startswith(start)]


def _lists(hint: Any, start: str) -> list[str]:
    """`[a,b` for each value b that may follow in a list that begins with `start`; the user closes it."""
    before, comma, _ = start.rpartition(",")
    begun = before + comma or "["
    given = before.removeprefix("[").split(",")
    return [begun + value for value in _literals(get_args(hint)[0]) if value not in given]


def _literals(hint: Any) -> list[str]:
    """The values of an annotation that has a few: of Literal and bool, those it is annotated with, null for None."""
    if get_origin(hint) is Annotated:
        return list(hint.__metadata__[0])
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    if hint is bool:
        return ["true", "false"]
    values = [value for member in get_args(hint) for value in _literals(member)]
    return [*values, "null"] if values and type(None) in get_args(hint) else values

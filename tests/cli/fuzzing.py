"""Hostile values for every key of every command's configuration, read from the schemas: a new key is included."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from edlae_sweeps.cli.compose import register, typed
from edlae_sweeps.cli.keys import conf_dir
from edlae_sweeps.cli.schema import options_of
from edlae_sweeps.cli.versions import VERSION_BASE
from edlae_sweeps.datasets import DATASETS
from edlae_sweeps.methods import METHODS
from edlae_sweeps.options import Options
from edlae_sweeps.settings import (
    PARALLELS,
    TUNES,
    MergeSettings,
    RecommendSettings,
    RegisterSettings,
    ReportSettings,
    Settings,
)

# As on Hydra's command line: quotes make a text of what it would read as something else.
NUMBERS = (
    "inf", "-inf", "nan", "1e400", "-1", "0", "1", "-0.0", "0.5", "1e24", "1e-400", "1e308", str(10**30), str(2**63),
    str(2**62), str(2**31), "9" * 400,
)  # fmt: skip
TEXTS = (
    "", "null", "???", "true", "[]", "[1,2]", "[[1]]", "[null]", "[a,b]", "{}", "{a: 1}", "{a: {b: 1}}", "'it\\'s'",
    '"quo\\"te"', "é☃λ", "'a\x00b'", "'a\nb'", "'a\x1b[31mb'", "'a\tb'", "'\ud800'", "'\udcff'", "x" * 300,
    "'" + "y" * 20_000 + "'", "../x", "/", "'~'", "' '", ".", "'*'", "'%41'", "'?'", "'a;touch x'", "'<b>'",
    "'${oc.env:HOME}'", "${oc.env:NOPE}", "${nope}", "${method}", "sqlite://", "http://", "file:///x", "models:/",
)  # fmt: skip
SMALL = (
    "dataset=synthetic", "dataset.n_users=300", "dataset.n_items=40", "dataset.mean_events=12", "dataset.topics=5",
    "dataset.heldout_users=50", "rank=5", "dry_run=true",
)  # fmt: skip
COMMANDS: dict[str, type[Options]] = {
    "config": Settings,
    "report": ReportSettings,
    "recommend": RecommendSettings,
    "register": RegisterSettings,
    "merge": MergeSettings,
}
# What a command, or a choice, can't do without.
NEEDED = {
    "recommend": ("items=[a]",),
    "merge": ("source=x",),
    "dataset=interactions": ("dataset.path=events.csv",),
    "parallel=dask": ("parallel.scheduler=tcp://127.0.0.1:1",),
}
# The choices of each config group that have options of their own.
GROUPS = {"dataset": DATASETS, "method": METHODS, "tune": TUNES, "parallel": PARALLELS}


@dataclass(frozen=True)
class Case:
    """One key of a command with one value, and the configuration that it is set in."""

    command: str
    key: str
    value: str
    composed: DictConfig


class Fuzz:
    """Composes each command and each choice once, and sets one key after another in copies."""

    def __init__(self) -> None:
        register()
        with initialize_config_dir(str(conf_dir()), **VERSION_BASE):
            self._loader: Any = GlobalHydra.instance().config_loader()
            self.variants = [(command, compose(command, overrides=list(given))) for command, given in _variants()]
        self._parser = OverridesParser.create()

    def cases(self, each: int) -> Iterator[Case]:
        """`each` numbers and as many texts for every key; the next key gets the next ones of the list."""
        turn, seen = 0, set[tuple[str, type[Options], str]]()
        for command, composed in self.variants:
            for key, owner in _leaves(COMMANDS[command], composed):
                if (command, owner, key) in seen:
                    continue
                seen.add((command, owner, key))
                for offset in range(each):
                    for values in (NUMBERS, TEXTS):
                        yield Case(command, key, values[(turn + offset) % len(values)], composed)
                turn += each

    def settings(self, case: Case) -> Options:
        """The settings with the key set as Hydra sets it; raises what Hydra, OmegaConf or the settings raise."""
        overrides = self._parser.parse_overrides([f"{case.key}={case.value}"])
        changed = copy.deepcopy(case.composed)
        self._loader._apply_overrides_to_config(overrides, changed)
        return typed(changed, COMMANDS[case.command])


def _variants() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "config", SMALL
    for command in COMMANDS:
        if command != "config":
            yield command, NEEDED.get(command, ())
    for group, registry in GROUPS.items():
        for choice in registry:
            given = () if group == "dataset" else SMALL
            yield "config", (*given, f"{group}={choice}", *NEEDED.get(f"{group}={choice}", ()))


def _leaves(options: type[Options], node: DictConfig, prefix: str = "") -> Iterator[tuple[str, type[Options]]]:
    """The keys below a node, with the class of options that each was first defined in."""
    for field in fields(options):
        child: Any = node._get_node(field.name)
        below = options_of(child) if isinstance(child, DictConfig) else None
        if below is not None:
            yield from _leaves(below, child, f"{prefix}{field.name}.")
        else:
            makers = [kind for kind in options.__mro__ if field.name in vars(kind).get("__annotations__", {})]
            yield f"{prefix}{field.name}", makers[-1]

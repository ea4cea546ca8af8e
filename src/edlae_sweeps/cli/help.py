"""--help and --version, from the text of conf/: Hydra and the mathematics take too long to import for these."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import edlae_sweeps
from edlae_sweeps.cli.keys import (
    Key,
    choice_keys,
    choices,
    conf_dir,
    configs,
    default_choice,
    groups,
    purpose,
    read_keys,
)
from edlae_sweeps.cli.output import STANDARD_OUTPUT, fitted, print_error, print_text, replace_unprintable

_USAGE = """\
edlae_sweeps: tracked sweeps of linear autoencoders for recommendation.

Usage: edlae-sweeps [-m] [key=value ...]           (or python -m edlae_sweeps)
  edlae-sweeps method=closed rank=500              one run
  edlae-sweeps 'rank=[10,100,500,full]'            one job: the ranks share one factorisation
  edlae-sweeps 'rank=[10,100]' tune=optuna         search the best λ and p of each rank
  edlae-sweeps -m rank=10,100 method.l2=10,50      multirun: one job for each combination
  mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db  browse the results
"""
_MORE = """\
More: --help method=admm or any other choice lists its keys; --help rank explains a key; --help all.
      --cfg job prints the configuration; --hydra-help lists Hydra's own options, such as -m.
Tab completion: eval "$(edlae-sweeps -sc install=bash)"\
"""
# The usage of the other commands, by their configuration.
_COMMANDS = {
    "report": """\
edlae_sweeps.report: figures, tables and a page from the runs in MLflow.

Usage: edlae-sweeps-report [key=value ...]         (or python -m edlae_sweeps.report)
  edlae-sweeps-report 'datasets=[debian]'          Figure 1, Table 1 and a page
""",
    "merge": """\
edlae_sweeps.merge: copy the finished results of another store into this one, each once.

Usage: edlae-sweeps-merge source=DIR_OR_URI [key=value ...]     (or python -m edlae_sweeps.merge)
  edlae-sweeps-merge source=cluster/mlruns                      a folder copied from another machine
  edlae-sweeps-merge source=http://127.0.0.1:5000 'datasets=[debian]'
""",
    "recommend": """\
edlae_sweeps.recommend: recommendations by name from a saved or registered model.

Usage: edlae-sweeps-recommend key=value ...                     (or python -m edlae_sweeps.recommend)
  edlae-sweeps-recommend 'items=[cmake,debhelper]' k=5          for a basket, by the champion
  edlae-sweeps-recommend model=models:/debian@champion user=0ad explain=true
  edlae-sweeps-recommend similar=cmake                          items for the same users
  edlae-sweeps-recommend input=baskets.csv output=recommendations.parquet
""",
    "register": """\
edlae_sweeps.register: the best cell of a data set becomes a version of its registered model.

Usage: edlae-sweeps-register [key=value ...]                    (or python -m edlae_sweeps.register)
  edlae-sweeps-register 'datasets=[debian]'                     champion if it beats the present one
  edlae-sweeps-register 'datasets=[debian]' refit=all           fitted on all users
""",
}
# Groups whose choices the first screen explains, and the keys that it names.
_EXPLAINED = ("method", "dataset")
_COMMON = ("rank", "method.l2", "method.dropout", "tune.n_trials", "save_model", "dry_run")


def answer_help(config: str, arguments: Sequence[str]) -> int | None:
    """Answer --help and --version; returns the exit status, or None if the arguments ask for neither.

    `config` is the configuration of the command: config, report, merge, recommend or register.
    """
    replace_unprintable()
    if "--version" in arguments:
        print_text(f"edlae_sweeps {edlae_sweeps.__version__}")
        return 0
    if not {"-h", "--help"} & set(arguments):
        return None
    conf = conf_dir()
    pages = []
    for topic in [argument for argument in arguments if not argument.startswith("-")]:
        pages.append(help_on(conf, topic))
        if not pages[-1]:
            print_error(f"error: --help {topic}: no such choice or key; --help all lists them")
            return 2
    text = "\n\n".join(pages) or (_command(conf, config) if config in _COMMANDS else overview(conf))
    print_text(fitted(text, STANDARD_OUTPUT))
    return 0


def overview(conf: Path) -> str:
    """One screen: usage, the choices of each group, the common keys."""
    lines = [_USAGE]
    for group in _EXPLAINED:
        lines += _list_choices(conf, group)
    others = [group for group in reversed(groups(conf)) if group not in _EXPLAINED]
    lines += [f"{_title(conf, group)}: {', '.join(choices(conf, group))}" for group in others]
    lines.append("Common keys")
    for name in _COMMON:
        owner = next(iter(_owners(conf, name)))
        lines.append(f"  {name:16} {_phrase(owner.text[0])}")
    return "\n".join([*lines, _MORE])


def help_on(conf: Path, topic: str) -> str:
    """The documentation of `all`, of a choice such as method=admm, of a group or of a key; empty if there is none."""
    if topic == "all":
        every = [(group, choice) for group in groups(conf) for choice in choices(conf, group)]
        job = _entries(read_keys(conf, conf / "config.yaml").values())
        return "\n\n".join([f"Every job\n\n{job}", *(_choice(conf, *pair) for pair in every)])
    name, equals, choice = topic.partition("=")
    if name in groups(conf):
        if equals:
            return _choice(conf, name, choice) if choice in choices(conf, name) else ""
        return "\n".join(_list_choices(conf, name))
    return "\n\n".join(_entry(key, owners) for key, owners in _owners(conf, name).items())


def _command(conf: Path, config: str) -> str:
    # Its own keys, then those that every command has.
    keys = sorted(read_keys(conf, conf / f"{config}.yaml").values(), key=lambda key: "." in key.name)
    return f"{_COMMANDS[config]}\n{_entries(keys)}"


def _choice(conf: Path, group: str, choice: str) -> str:
    """What a choice is, and its keys."""
    about = " ".join(purpose(conf / group / f"{choice}.yaml"))
    title = textwrap.fill(f"{group}={choice}: {about}", 100, subsequent_indent="  ")
    keys = choice_keys(conf, group, choice).values()
    return f"{title}\n\n{_entries(keys)}" if keys else title


def _list_choices(conf: Path, group: str) -> list[str]:
    names = choices(conf, group)
    width = max(map(len, names))
    lines = [f"  {name:{width}}  {purpose(conf / group / f'{name}.yaml')[0]}" for name in names]
    return [_title(conf, group), *lines]


def _title(conf: Path, group: str) -> str:
    default = default_choice(conf, group)
    return f"{group}=NAME" + (f" (default: {default})" if default else "")


def _owners(conf: Path, name: str) -> dict[Key, list[str]]:
    """The keys with that name, or below it, each with the choices that have it as it is."""
    owners: dict[Key, list[str]] = {}
    sources = [("", read_keys(conf, config)) for config in configs(conf)]
    group = name.partition(".")[0]
    if group in groups(conf):
        sources += [(choice, choice_keys(conf, group, choice)) for choice in choices(conf, group)]
    for choice, keys in sources:
        for key in keys.values():
            if key.name == name or key.name.startswith(f"{name}."):
                owners.setdefault(replace(key, value=key.default), []).append(choice)
    return owners


def _entries(keys: Iterable[Key]) -> str:
    return "\n\n".join(_entry(key) for key in keys)


def _entry(key: Key, owners: Sequence[str] = ()) -> str:
    """A key with its default, the choices that have it, and its documentation."""
    title = f"  {key.name}" + (f" (default: {key.default})" if key.default else "")
    named = [owner for owner in owners if owner]
    lines = [f"{title}{' of ' + ', '.join(named) if named else ''}", *(f"      {line}" for line in key.text)]
    return "\n".join(lines)


def _phrase(text: str) -> str:
    """The beginning of a documentation, up to the first detail."""
    return re.split(r"[.:;(]", text, maxsplit=1)[0].strip()

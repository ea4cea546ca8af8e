"""Values that Hydra's command line can't read: the message has the spelling that works."""

import shlex

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode

from edlae_sweeps.cli.errors import user_message
from edlae_sweeps.cli.keys import conf_dir


def refused(argument: str) -> str:
    """The message for an argument of a single job."""
    with pytest.raises(HydraException) as caught:
        ConfigLoaderImpl.validate_sweep_overrides_legal(
            OverridesParser.create().parse_overrides([argument]), RunMode.RUN, from_shell=True
        )
    message = user_message(caught.value, conf_dir())
    assert message is not None
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "value",
    [
        "donné.csv",
        "~/x.csv",
        "a#b.csv",
        "user's.csv",
        'a"b.csv',
        "a=b.csv",
        "a(b).csv",
        "x';touch y",
        "$(touch y)",
        "'x",
    ],
)
def test_the_message_has_the_spelling_of_the_text(value):
    message = refused(f"dataset.path={value}")
    assert message.startswith(f"dataset.path={value}: Hydra can't read this value")
    (word,) = shlex.split(message.rpartition(", write ")[2])
    override = OverridesParser.create().parse_override(word)
    assert (override.key_or_group, override.value()) == ("dataset.path", value)


@pytest.mark.parametrize("value", ["a,b.csv", "a, b"])
def test_a_comma_is_told_from_a_list(value):
    message = refused(f"dataset.path={value}")
    assert message.startswith(f"dataset.path={value}: several values; add --multirun")
    spellings = message.partition(", or write ")[2]
    listed, _, text = spellings.partition(" for a list, or ")
    for spelling, meant in ((listed, [part.strip() for part in value.split(",")]), (text, value)):
        (word,) = shlex.split(spelling.removesuffix(" for this text"))
        assert OverridesParser.create().parse_override(word).value() == meant


@pytest.mark.parametrize("argument", ["rank=[10", "rank", "rank=[10,é]"])
def test_what_is_no_text_has_no_such_spelling(argument):
    assert "write key=value" in refused(argument)

"""Options become schemas that Hydra can hold and override, and come back as the same options."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import cloudpickle
import pytest
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from edlae_sweeps.cli.schema import UnknownKeyError, choice_of, options_of, schema, to_options
from edlae_sweeps.errors import ConfigError
from edlae_sweeps.options import Options


@dataclass(frozen=True, kw_only=True, repr=False)
class Inner(Options):
    prefix: ClassVar[str] = "inner."

    name: str = "a"


@dataclass(frozen=True, kw_only=True, repr=False)
class Outer(Options):
    word: Literal["continue", "stop"] = "stop"
    maybe: Literal["x", "y"] | None = None
    sizes: tuple[int, ...] = (1, 2)
    names: tuple[str, ...] | None = None
    number: float = 1.0
    limit: float | None = None
    flag: bool | None = None
    table: dict[str, Any] = field(default_factory=dict)
    anything: Any = 3
    inner: Inner = field(default_factory=Inner)


VALUES = {
    "word": "continue", "maybe": "y", "sizes": [3], "names": ["n"], "number": 2, "limit": None, "flag": True,
    "table": {"l2": [1, 2], "p": None}, "anything": [1, "full"],
}  # fmt: skip


def composed(**changes: Any):
    node = OmegaConf.merge(OmegaConf.structured(schema(Outer, "outer")), {**VALUES, **changes})
    node.inner = OmegaConf.merge(OmegaConf.structured(schema(Inner)), {"name": "b"})
    return node


def test_a_composed_node_becomes_the_options_it_describes():
    expected = Outer(
        word="continue", maybe="y", sizes=(3,), names=("n",), number=2.0, limit=None, flag=True,
        table={"l2": [1, 2], "p": None}, anything=[1, "full"], inner=Inner(name="b"),
    )  # fmt: skip
    assert to_options(composed()) == expected


def test_a_node_tells_its_options_and_its_choice():
    assert (options_of(composed()), choice_of(composed())) == (Outer, "outer")
    assert (options_of(OmegaConf.create({})), choice_of(None)) == (None, "")


@pytest.mark.parametrize(
    ("name", "value"), [("word", "go"), ("sizes", ["a"]), ("number", "x"), ("names", 1), ("table", 1)]
)
def test_values_of_another_type_are_refused(name, value):
    with pytest.raises(OmegaConfBaseException):
        composed(**{name: value})


def test_missing_and_unknown_keys_are_named():
    node = composed(number="???")
    with pytest.raises(ConfigError, match="number: no value"):
        to_options(node)
    node = composed()
    with open_dict(node.inner):
        node.inner["nome"] = 1
    with pytest.raises(UnknownKeyError, match=r"inner\.nome"):
        to_options(node)


def test_interpolations_resolve_from_the_root():
    assert to_options(composed(limit="${number}")).limit == 2.0


def test_a_node_survives_the_pickling_of_a_launcher():
    assert to_options(cloudpickle.loads(cloudpickle.dumps(composed()))) == to_options(composed())

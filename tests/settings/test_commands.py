"""Commands to copy: a shell and Hydra read each value back as it was, whatever is in it."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from edlae_sweeps.datasets import Debian, InteractionsFile, Synthetic
from edlae_sweeps.settings import command, dataset_overrides, hydra_text, shell_line

HOSTILE = [
    "a;touch x", "$(touch x)", "`touch x`", "a'b", 'a"b', "a b", "a\nb", "a\n';touch x;'", "${oc.env:HOME}", r"\${a}",
    "a\\", "\\'", "a,b", "[1]", "{a:1}", "007", "1e3", "null", "True", ".5", "~/x", "-x", "", "é", "a#b", "!x", "*",
    "\x1b[2J", "a\u202eb", "a=b", "glob(*)", " a ", "%TEMP%", "\r", "\U0001f600", "a\\\n",
    r"\\${a}\'${b", "${a", "$${a}", "a: b",
]  # fmt: skip
# As a command line holds them: no NUL, no halves of surrogate pairs.
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))


def read_by_hydra(override: str) -> object:
    """The value that a job gets for an override."""
    value = OverridesParser.create().parse_override(override).value()
    return OmegaConf.to_container(OmegaConf.create({"key": value}), resolve=True)["key"]


# What either reads as more than a character, in any order; ??? is OmegaConf's word for a missing value.
tricky = st.lists(st.sampled_from(["\\", "'", '"', "$", "{", "}", "${", "a", ",", " ", "\n"])).map("".join)


@given(st.one_of(texts, tricky).filter(lambda text: text != "???"))
def test_hydra_reads_a_text_as_itself(text):
    value = read_by_hydra(f"key={hydra_text(text)}")
    assert (value, type(value)) == (text, str)


@pytest.mark.parametrize("text", HOSTILE)
def test_hydra_reads_a_hostile_text_as_itself(text):
    assert read_by_hydra(f"key={hydra_text(text)}") == text
    assert read_by_hydra(f"key={hydra_text([text, 'b'])}") == [text, "b"]


@pytest.mark.parametrize("value", [None, True, False, 3, 0.5, 1e-07, [10, 100, "full"], {"a": {"b": [0.1, None]}}])
def test_hydra_reads_other_values_as_themselves(value):
    assert read_by_hydra(f"key={hydra_text(value)}") == value


def read_by(shell: str, line: str, folder) -> list[str]:
    """The words of a line as a program gets them that the shell starts."""
    show = f"{sys.executable} -S -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "
    done = subprocess.run([shell, "-c", show + line], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@settings(max_examples=20)
@given(st.lists(texts, min_size=8, max_size=30))
@example(HOSTILE)
def test_a_shell_reads_each_word_as_itself(tmp_path_factory, words):
    folder = tmp_path_factory.mktemp("shell")
    line = shell_line(words)
    assert line.isprintable()
    assert read_by("bash", line, folder) == words
    assert list(folder.iterdir()) == []


def test_a_shell_without_ansi_quotes_runs_nothing_either(tmp_path):
    assert len(read_by("sh", shell_line(HOSTILE), tmp_path)) == len(HOSTILE)
    assert list(tmp_path.iterdir()) == []


def test_a_command_names_its_module_and_quotes_its_values():
    assert command({"dataset": "debian", "rank": [10, "full"]}) == (
        "python -m edlae_sweeps dataset=debian 'rank=[10,full]'"
    )
    assert command({"datasets": ["a;touch x"]}, "report") == (
        """python -m edlae_sweeps.report 'datasets=['"'"'a;touch x'"'"']'"""
    )


def test_a_data_set_is_chosen_by_its_name_and_what_differs_from_the_defaults(tmp_path):
    assert dataset_overrides("debian") == {"dataset": "debian"}
    assert dataset_overrides("debian", asdict(Debian())) == {"dataset": "debian"}
    assert dataset_overrides("debian", asdict(Debian(split_seed=1))) == {"dataset": "debian", "dataset.split_seed": 1}
    (tmp_path / "debian.csv").touch()
    own = InteractionsFile(path=f"{tmp_path}/debian.csv", user_column="userId", rating_column="r", min_rating=4)
    # The name of a published data set does not make it one.
    assert dataset_overrides(own.label, asdict(own)) == {
        "dataset": "interactions", "dataset.path": own.path, "dataset.user_column": "userId",
        "dataset.rating_column": "r", "dataset.min_rating": 4.0, "dataset.name": "debian",
    }  # fmt: skip
    made = Synthetic(name="small", n_users=300, n_items=40)
    assert dataset_overrides("small", asdict(made)) == {
        "dataset": "synthetic", "dataset.name": "small", "dataset.n_users": 300, "dataset.n_items": 40
    }  # fmt: skip
    assert dataset_overrides("plays") == {
        "dataset": "interactions", "dataset.path": "FILE", "dataset.name": "plays"
    }  # fmt: skip

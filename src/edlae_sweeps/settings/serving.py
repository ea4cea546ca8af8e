"""What to recommend and what to register."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from edlae_sweeps.errors import ConfigError
from edlae_sweeps.imports import override
from edlae_sweeps.options import Options
from edlae_sweeps.settings.job import cache_dir
from edlae_sweeps.settings.store import Tracking

# The users whose data a registered model is fitted on: those that its metrics come from, or all of them.
Refit = Literal["split", "all"]
# Formats of tables of baskets and of recommendations, by the suffix of the file.
FORMATS = ("csv", "tsv", "parquet", "jsonl")
_QUERIES = ("items", "user", "similar", "input")


@dataclass(frozen=True, kw_only=True, repr=False)
class RecommendSettings(Options):
    """Recommendations for one basket, one user or a table of these; or the items similar to one.

    model          a registered model, run, folder or file; None: the champion of the only data set that has one
    items          names of the items of a basket
    user           name of a user of the data
    similar        name of an item
    input          table of baskets and users: csv, tsv, parquet or jsonl
    separator      what separates the items of a basket in a csv or tsv table: one character
    k              number of recommendations (≥ 1)
    exclude_known  leave out items of the basket
    explain        name the items of the basket that contributed most
    output         table to write: csv, tsv, parquet or jsonl
    tracking       the store

    Raises ConfigError unless exactly one of items, user, similar and input is given.
    """

    model: str | None = None
    items: tuple[str, ...] | None = None
    user: str | None = None
    similar: str | None = None
    input: str | None = None
    separator: str = "|"
    k: int = 10
    exclude_known: bool = True
    explain: bool = False
    output: str | None = None
    tracking: Tracking = field(default_factory=Tracking)

    @override
    def check(self) -> None:
        given = [name for name in _QUERIES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ConfigError(
                f"{' and '.join(given) or 'nothing to recommend for'}: "
                "choose one of 'items=[NAME,...]', user=NAME, similar=NAME or input=FILE"
            )
        if self.items is not None and not self.items:
            raise ConfigError("items=[]: name at least one item, such as 'items=[cmake,debhelper]'")
        if self.k < 1:
            raise ConfigError(f"k={self.k}: choose 1 or more")
        if self.explain and self.similar is not None:
            raise ConfigError("explain=true: similar items have no basket to explain them by; choose explain=false")
        if len(self.separator) != 1 or self.separator in '"\n\r':
            raise ConfigError(f"separator={self.separator}: choose one character, not a quotation mark")
        for name in ("input", "output"):
            value = getattr(self, name)
            if value is not None and table_format(value) not in FORMATS:
                raise ConfigError(f"{name}={value}: choose a file that ends in .{', .'.join(FORMATS)}")
        if self.input is not None and self.output is None:
            raise ConfigError(f"input={self.input}: name the table to write, such as output=recommendations.csv")
        if self.input is not None and PurePath(str(self.input)) == PurePath(str(self.output)):
            raise ConfigError(f"output={self.output}: this is the input; choose another file")


@dataclass(frozen=True, kw_only=True, repr=False)
class RegisterSettings(Options):
    """Which cell to register, and whether it becomes the champion.

    datasets  names of data sets; None: all that the store has
    methods   names of methods; None: those that compete in a report
    refit     split: fitted on the training users, as it was measured; all: on all users, with complete histories
    champion  True: make it the champion; False: don't; None: if it beats the present one
    data_dir  folder that caches prepared data
    tracking  the store
    """

    datasets: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    refit: Refit = "split"
    champion: bool | None = None
    data_dir: str = field(default_factory=cache_dir)
    tracking: Tracking = field(default_factory=Tracking)


def table_format(path: str) -> str:
    """The format of a table by its suffix: `csv` of baskets.csv."""
    return PurePath(path).suffix.lower().removeprefix(".")

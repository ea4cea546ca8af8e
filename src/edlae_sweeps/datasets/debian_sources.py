"""Make the shipped debian data set again from a Debian Sources index.

    python -m edlae_sweeps.datasets.debian_sources Sources debian-build-deps.tsv.gz

`Sources` is the uncompressed index of an archive's source packages (dists/<suite>/main/source/Sources). The table has
one row for each source package and each name in its Build-Depends, Build-Depends-Indep and Build-Depends-Arch: of
alternatives the first; versions, architectures and build profiles dropped. Rows are unique and in code-point order.
"""

import gzip
import re
import sys
from collections.abc import Iterable
from pathlib import Path

HEADER = "source\tbuild_depends"
_FIELDS = frozenset({"build-depends", "build-depends-indep", "build-depends-arch"})
# A relation reads `name:arch (>= version) [arch] <profile> | alternative`; a package name is a letter or digit, then
# these.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]*", re.IGNORECASE)


def build_dependencies(lines: Iterable[str]) -> dict[str, set[str]]:
    """Source package → its build dependencies, from a Sources index.

    An index lists old versions that are kept for their licences' sake beside the current one, which comes last: it
    counts.
    """
    found: dict[str, set[str]] = {}
    package = field = ""
    for line in lines:
        if line[0] not in " \t":
            field, _, value = line.partition(":")
            field = field.lower()
        else:
            value = line
        if field == "package":
            package = value.strip()
            found[package] = set()
        elif field in _FIELDS:
            found[package].update(
                match.group() for relation in value.split(",") if (match := _NAME.match(relation.strip()))
            )
    return found


def main(sources: str, table: str) -> None:
    """Read the index `sources` and write the gzipped table; equal input gives equal bytes of text."""
    with Path(sources).open(encoding="utf-8") as lines:
        found = build_dependencies(lines)
    pairs = sorted((package, name) for package, names in found.items() for name in names)
    text = "\n".join([HEADER, *("\t".join(pair) for pair in pairs)]) + "\n"
    Path(table).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m edlae_sweeps.datasets.debian_sources SOURCES TABLE.tsv.gz")
    main(*sys.argv[1:])

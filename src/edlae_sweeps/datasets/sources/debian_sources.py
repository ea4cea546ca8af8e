"""Rebuild the shipped debian data set from a Debian Sources index.

    python -m edlae_sweeps.datasets.sources.debian_sources Sources debian-build-deps.tsv.gz

`Sources` is the uncompressed index of an archive's source packages (dists/<suite>/main/source/Sources). The table has
one row for each source package and each name in its Build-Depends, Build-Depends-Indep and Build-Depends-Arch. Only the
first of several alternatives is used; versions, architectures and build profiles are dropped. Rows are unique and in
code-point order.
"""

import gzip
import re
import sys
from collections.abc import Iterable
from pathlib import Path

HEADER = "source\tbuild_depends"
_FIELDS = frozenset({"build-depends", "build-depends-indep", "build-depends-arch"})
# The name in a relation `name:arch (>= version) [arch] <profile> | alternative`.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.\-]*", re.IGNORECASE)


def build_dependencies(lines: Iterable[str]) -> dict[str, set[str]]:
    """The build dependencies of each source package in a Sources index.

    An index may also list old versions of a package, kept to meet licences. The current version comes last and is used.
    """
    dependencies: dict[str, set[str]] = {}
    package = field = ""
    for line in lines:
        if line[0] not in " \t":
            field, _, value = line.partition(":")
            field = field.lower()
        else:
            value = line
        if field == "package":
            package = value.strip()
            dependencies[package] = set()
        elif field in _FIELDS:
            dependencies[package].update(
                match.group() for relation in value.split(",") if (match := _NAME.match(relation.strip()))
            )
    return dependencies


def main(sources: str, table: str) -> None:
    """Read the index `sources` and write the gzipped table. The text depends on the index alone."""
    with Path(sources).open(encoding="utf-8") as lines:
        dependencies = build_dependencies(lines)
    pairs = sorted((package, name) for package, names in dependencies.items() for name in names)
    text = "\n".join([HEADER, *("\t".join(pair) for pair in pairs)]) + "\n"
    Path(table).write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m edlae_sweeps.datasets.sources.debian_sources SOURCES TABLE.tsv.gz")
    main(*sys.argv[1:])

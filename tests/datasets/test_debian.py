import gzip
import hashlib
from pathlib import Path

from edlae_sweeps.datasets import Debian
from edlae_sweeps.datasets.sources import debian
from edlae_sweeps.datasets.sources.debian_sources import HEADER, build_dependencies, main

SOURCES = """\
Package: zlib
Version: 1
Build-Depends: debhelper (>= 9), gcc-multilib [amd64 i386] <!nobiarch>,
 dpkg-dev:native | dpkg, debhelper
Build-Depends-Indep: doxygen
Package-List: zlib1g deb libs required
 other deb libs optional

Package: nothing
Build-Conflicts: enemy

Package: zlib
Version: 2
Build-Depends-Arch: g++-12,
Build-Depends: debhelper-compat (= 13)

Package: 2048
Build-Depends: libncurses-dev,
"""


def test_a_sources_index_becomes_a_table(tmp_path: Path):
    assert build_dependencies(SOURCES.splitlines(keepends=True)) == {
        "zlib": {"g++-12", "debhelper-compat"},
        "nothing": set(),
        "2048": {"libncurses-dev"},
    }
    first = SOURCES.split("\n\n", 1)[0].splitlines(keepends=True)
    assert build_dependencies(first) == {"zlib": {"debhelper", "gcc-multilib", "dpkg-dev", "doxygen"}}
    (tmp_path / "Sources").write_text(SOURCES)
    main(str(tmp_path / "Sources"), str(tmp_path / "table.tsv.gz"))
    rows = ["2048\tlibncurses-dev", "zlib\tdebhelper-compat", "zlib\tg++-12"]
    assert gzip.decompress((tmp_path / "table.tsv.gz").read_bytes()).decode().splitlines() == [HEADER, *rows]


def test_the_shipped_table_has_the_hash_in_its_readme():
    readme = (debian._TABLE.parent / "README.md").read_text()
    assert hashlib.sha256(gzip.decompress(debian._TABLE.read_bytes())).hexdigest() in readme


def test_the_shipped_interactions(tmp_path: Path):
    events = Debian().read(tmp_path)
    assert len(events.users) == len(events.items) == 273_389
    assert len(events.user_names) == 34_273
    assert len(events.item_names) == 22_910
    assert events.user_names.tolist() == sorted(events.user_names.tolist())
    assert (events.user_names[events.users[0]], events.item_names[events.items[0]]) == ("0ad", "autoconf")
    assert "2048" in events.user_names

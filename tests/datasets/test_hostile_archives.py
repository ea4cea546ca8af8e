"""Archives that nobody publishes: each is refused in one line, and nothing is unpacked."""

import gzip
import io
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from edlae_sweeps.datasets import MovieLens1M, Netflix, tables
from edlae_sweeps.datasets.archives import Archive
from edlae_sweeps.datasets.sources import netflix
from edlae_sweeps.errors import DataError

RATINGS = "".join(f"{user}::{item}::5::0\n" for user in range(50) for item in range(9))


def zipped(*entries: tuple[str | zipfile.ZipInfo, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def zip_link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry, target


def encrypted(content: bytes) -> bytes:
    """The same archive, whose entries say that they need a password."""
    changed = bytearray(content)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + flags] |= 1
    return bytes(changed)


def shrunk(content: bytes) -> bytes:
    """The same archive, whose entry says that it is smaller than it is."""
    place = content.index(b"PK\x01\x02") + 24
    return content[:place] + (100).to_bytes(4, "little") + content[place + 4 :]


GOOD = ("ml-1m/ratings.dat", RATINGS)
ZIPS: dict[str, tuple[bytes, str]] = {
    "absolute": (zipped(GOOD, ("/etc/passwd", "x")), "its entry '/etc/passwd' leads out of the archive"),
    "upwards": (zipped(GOOD, ("ml-1m/../../x", "x")), "leads out of the archive"),
    "upwards on Windows": (zipped(GOOD, ("..\\x", "x")), "leads out of the archive"),
    "drive": (zipped(GOOD, ("C:\\x", "x")), "leads out of the archive"),
    "link": (
        zipped(zip_link("ml-1m/ratings.dat", "/etc/passwd")),
        "its entry 'ml-1m/ratings.dat' is a link or a device",
    ),
    "twice": (zipped(GOOD, GOOD), "'ml-1m/ratings.dat' is there twice"),
    "second table": (zipped(GOOD, ("other/ratings.dat", RATINGS)), r"'other/ratings.dat' is a second ratings\.dat"),
    "bomb": (zipped(("ratings.dat", bytes(3_000_000))), "ratings.dat expands to more than"),
    "encrypted": (encrypted(zipped(GOOD)), "is encrypted"),
    "other packing": (zipped(GOOD, method=zipfile.ZIP_LZMA), "packed in a way that can't be read"),
    "lies about its size": (shrunk(zipped(GOOD)), "if it is damaged"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_hostile_zips_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name):
    content, message = ZIPS[name]
    monkeypatch.setattr(tables, "_ALWAYS_BYTES", 10**6)
    monkeypatch.setattr(MovieLens1M, "archive", Archive("ml-1m.zip", "http://127.0.0.1:9/", None))
    (tmp_path / "ml-1m.zip").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        MovieLens1M().read(tmp_path)
    assert "\n" not in str(caught.value)
    assert "ml-1m.zip" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ml-1m.zip"]


def test_what_is_beside_the_table_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(MovieLens1M, "archive", Archive("ml-1m.zip", "http://127.0.0.1:9/", None))
    content = zipped(("ml-1m/", ""), GOOD, ("ml-1m/README", "x"), ("__MACOSX/ml-1m/._ratings.dat", "x"))
    (tmp_path / "ml-1m.zip").write_bytes(content)
    assert len(MovieLens1M().read(tmp_path).users) == 450


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def film(name: str, content: bytes = b"1:\n7,5,2005-01-01\n") -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry, content


def holes(name: str) -> tuple[tarfile.TarInfo, bytes]:
    """A file of a few bytes that unpacks to gigabytes of zeros."""
    entry, content = film(name)
    sparse = {"size": str(2**33), "numblocks": "1", "map": f"0,{len(content)}"}
    entry.pax_headers = {f"GNU.sparse.{key}": value for key, value in sparse.items()}
    return entry, content


def tar_link(name: str, kind: bytes, target: str) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry, b""


MV = "training_set/mv_0000001.txt"
TARS: dict[str, tuple[bytes, str]] = {
    "absolute": (tar(film("/mv_0000001.txt")), "leads out of the archive"),
    "upwards": (tar(film("../mv_0000001.txt")), "leads out of the archive"),
    "symbolic link": (tar(tar_link(MV, tarfile.SYMTYPE, "/etc/passwd")), f"its entry '{MV}' is a link or a device"),
    "link to what is missing": (
        tar(tar_link(MV, tarfile.LNKTYPE, "nowhere")),
        f"its entry '{MV}' is a link or a device",
    ),
    "device": (tar(tar_link(MV, tarfile.CHRTYPE, "")), "is a link or a device"),
    "holes": (tar(holes(MV)), "is a link or a device"),
    "twice": (tar(film(MV), film(MV)), "is there twice"),
    "twice, nested": (tar(film("training_set.tar", tar(film(MV), film(MV)))), "is there twice"),
    "bomb": (tar(film("README", bytes(3_000_000)), film(MV)), "expands to more than"),
    "endless line": (tar(film(MV, b"1:\n" + b"7" * 300_000)), "line 2: it has more than"),
}


@pytest.mark.parametrize("name", TARS)
def test_hostile_tars_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name):
    content, message = TARS[name]
    monkeypatch.setattr(tables, "_ALWAYS_BYTES", 10**6)
    monkeypatch.setattr(netflix, "_BLOCK_BYTES", 10**5)
    (tmp_path / "netflix").mkdir()
    (tmp_path / "netflix" / "nf_prize_dataset.tar.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=message) as caught:
        Netflix().read(tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["nf_prize_dataset.tar.gz"]


def combined(**changes: str) -> bytes:
    parts = {f"combined_data_{part}.txt": f"{part}:\n7,5,2005-01-01\n" for part in range(1, 5)}
    return zipped(*{**parts, **changes}.items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (combined(**{"../x": "x"}), "leads out of the archive"),
        (combined(**{"copy/combined_data_1.txt": "1:\n"}), r"is a second combined_data_1\.txt"),
        (combined(**{"combined_data_2.txt": "2:\n" * 1_000_000}), "expands to more than"),
        (encrypted(combined()), "is encrypted"),
        (combined() + b"tail", "have 4 ratings"),
    ],
)
def test_hostile_zips_of_netflix_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content, message):
    monkeypatch.setattr(tables, "_ALWAYS_BYTES", 10**6)
    (tmp_path / "netflix").mkdir()
    (tmp_path / "netflix" / "archive.zip").write_bytes(content)
    with pytest.raises(DataError, match=message):
        Netflix().read(tmp_path)


def test_more_ratings_than_there_are_stop_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Netflix, "ratings", 20)
    read: list[str] = []
    parse = netflix._parse
    monkeypatch.setattr(netflix, "_parse", lambda *block: (read.append(block[0]), parse(*block))[1])
    folder = tmp_path / "netflix"
    folder.mkdir()
    for number in range(1, 9):
        rows = "".join(f"{user},5,2005-01-01\n" for user in range(1, 11))
        (folder / f"mv_{number:07d}.txt").write_text(f"{number}:\n{rows}")
    with pytest.raises(DataError, match="have 30 ratings or more, but the Netflix Prize has 20"):
        Netflix().read(tmp_path)
    assert len(read) == 3


def test_the_ratings_are_counted_against_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(netflix, "room", lambda _: 100)
    (tmp_path / "netflix").mkdir()
    (tmp_path / "netflix" / "mv_0000001.txt").write_text("1:\n" + "7,5,2005-01-01\n" * 9)
    with pytest.raises(DataError, match=r"rating of 4 or above, 9: .* GiB of memory"):
        Netflix().read(tmp_path)

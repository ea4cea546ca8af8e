"""Both layouts of the Netflix Prize, plain and in their archives, and what can be wrong with them."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edlae_sweeps.datasets import netflix
from edlae_sweeps.datasets.netflix import find_texts, read_ratings
from edlae_sweeps.errors import DataError

random = np.random.default_rng(0)
# Film → its (user, rating); film 4 has none of 4 and more, film 9 no rating at all.
FILMS = {
    film: [(int(user), int(random.integers(1, 6))) for user in random.permutation(40)[: random.integers(1, 30)] * 7 + 1]
    for film in (1, 2, 3, 5, 6, 10)
} | {4: [(1, 1), (8, 3)], 9: []}
FILMS = dict(sorted(FILMS.items()))
EXPECTED = [(user, film) for film, ratings in FILMS.items() for user, rating in ratings if rating >= 4]


def text(film: int, newline: str = "\n") -> bytes:
    return newline.join([f"{film}:", *(f"{u},{r},2005-09-06" for u, r in FILMS[film]), ""]).encode()


def combined(newline: str = "\n") -> dict[str, bytes]:
    parts = [[1, 2], [3, 4, 5], [6, 9], [10]]
    return {f"combined_data_{i}.txt": b"".join(text(f, newline) for f in part) for i, part in enumerate(parts, 1)}


def tar(entries: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def films(order=FILMS) -> dict[str, bytes]:
    return {f"training_set/mv_{film:07d}.txt": text(film) for film in order}


def layouts() -> dict[str, dict[str, bytes]]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in combined().items():
            archive.writestr(f"inside/{name}", content)
    outer = {"download/README": b"hello", "download/training_set.tar": tar(films())}
    return {
        "plain films": films(),
        "plain combined": combined(),
        "windows lines": combined("\r\n"),
        "tar": {"training_set.tar": tar(films())},
        "films in any order": {"training_set.tar": tar(films(reversed(list(FILMS))))},
        "tar.gz": {"training_set.tar.gz": tar(films(), "w:gz")},
        "tar in tar.gz": {"nf_prize_dataset.tar.gz": tar(outer, "w:gz")},
        "zip": {"archive.zip": zipped.getvalue()},
    }


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("block", [64 * 1024**2, 50])
@pytest.mark.parametrize("layout", layouts())
def test_every_layout_gives_the_same_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout, block):
    monkeypatch.setattr(netflix, "_BLOCK_BYTES", block)
    put(tmp_path, layouts()[layout])
    before = sorted(tmp_path.rglob("*"))
    seen = []
    events = read_ratings(find_texts(tmp_path), 4, lambda *step: seen.append(step))
    found = list(zip(events.user_names[events.users], events.item_names[events.items], strict=True))
    assert found == EXPECTED
    assert events.user_names.tolist() == sorted({user for user, _ in EXPECTED})
    assert seen[-1] == (1 if layout == "films in any order" else 10, 17_770)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_there_is_told_where_to_put_it(tmp_path: Path):
    with pytest.raises(DataError, match=r"put nf_prize_dataset\.tar\.gz there, or .* combined_data_4\.txt"):
        find_texts(tmp_path)
    # Three of four parts are not all of it.
    put(tmp_path, dict(list(combined().items())[:3]))
    with pytest.raises(DataError, match="there are no Netflix ratings"):
        find_texts(tmp_path)


@pytest.mark.parametrize("block", [64 * 1024**2, 50])
@pytest.mark.parametrize("bad", [b"7,five,2005-01-01\n", b"7\n", b"x,4,2005-01-01\n", b"7,999,2005-01-01\n", b"\n"])
def test_a_bad_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad, block):
    monkeypatch.setattr(netflix, "_BLOCK_BYTES", block)
    good = text(1)
    lines = good.count(b"\n")
    put(tmp_path, {"mv_0000001.txt": good + bad + b"7,4,2005-01-01\n"})
    with pytest.raises(DataError, match=r"mv_0000001\.txt") as caught:
        read_ratings(find_texts(tmp_path), 4)
    if b"999" not in bad:
        assert f"line {lines + 1}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ratings_without_a_film(tmp_path: Path):
    put(tmp_path, {"mv_0000001.txt": b"7,4,2005-01-01\n"})
    with pytest.raises(DataError, match="line 1: ratings stand under a line FILM:"):
        read_ratings(find_texts(tmp_path), 4)


@pytest.mark.parametrize("layout", ["tar", "tar.gz", "tar in tar.gz", "zip"])
def test_truncated_archives_are_one_line(tmp_path: Path, layout):
    ((name, content),) = layouts()[layout].items()
    # Inside the content of a file: a plain tar that ends between two of them looks whole.
    put(tmp_path, {name: content[: 512 * (len(content) // 1024) + 520 if layout == "tar" else len(content) // 2]})
    with pytest.raises(DataError, match="is it whole") as caught:
        read_ratings(find_texts(tmp_path), 4)
    assert "\n" not in str(caught.value)


def test_ratings_that_are_missing_are_noticed(tmp_path: Path):
    put(tmp_path, films())
    total = sum(map(len, FILMS.values()))
    assert len(read_ratings(find_texts(tmp_path), 4, None, total).users) == len(EXPECTED)
    with pytest.raises(DataError, match=f"hold {total} ratings, and the Netflix Prize {total + 1}"):
        read_ratings(find_texts(tmp_path), 4, None, total + 1)


def test_no_rating_that_counts(tmp_path: Path):
    put(tmp_path, {"mv_0000004.txt": text(4)})
    with pytest.raises(DataError, match="hold no rating of 4 or more"):
        read_ratings(find_texts(tmp_path), 4)

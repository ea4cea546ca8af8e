"""Both layouts of the Netflix Prize, plain and archived, and their errors."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edlae_sweeps.datasets.sources import netflix
from edlae_sweeps.datasets.sources.netflix import find_texts, read_ratings
from edlae_sweeps.errors import DataError

random = np.random.default_rng(0)
# Each film's (user, rating) pairs. Film 4 has no rating of 4 or above, film 9 no rating.
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
    steps = []
    events = read_ratings(find_texts(tmp_path), 4, lambda *step: steps.append(step))
    pairs = list(zip(events.user_names[events.users], events.item_names[events.items], strict=True))
    assert pairs == EXPECTED
    assert events.user_names.tolist() == sorted({user for user, _ in EXPECTED})
    assert steps[-1] == (1 if layout == "films in any order" else 10, 17_770)
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_files_are_an_error_that_says_where_to_put_them(tmp_path: Path):
    with pytest.raises(DataError, match=r"put nf_prize_dataset\.tar\.gz there, or .* combined_data_4\.txt"):
        find_texts(tmp_path)
    # Three of four parts are incomplete.
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


def test_ratings_without_a_film_are_refused(tmp_path: Path):
    put(tmp_path, {"mv_0000001.txt": b"7,4,2005-01-01\n"})
    with pytest.raises(DataError, match="line 1: ratings must follow a line FILM:"):
        read_ratings(find_texts(tmp_path), 4)


@pytest.mark.parametrize("layout", ["tar", "tar.gz", "tar in tar.gz", "zip"])
def test_a_truncated_archive_is_a_one_line_error(tmp_path: Path, layout):
    ((name, content),) = layouts()[layout].items()
    # Truncate inside a member: a plain tar that ends between two members looks complete.
    put(tmp_path, {name: content[: 512 * (len(content) // 1024) + 520 if layout == "tar" else len(content) // 2]})
    with pytest.raises(DataError, match="download it again") as caught:
        read_ratings(find_texts(tmp_path), 4)
    assert "\n" not in str(caught.value)


def test_missing_ratings_are_detected(tmp_path: Path):
    put(tmp_path, films())
    total = sum(map(len, FILMS.values()))
    assert len(read_ratings(find_texts(tmp_path), 4, None, total).users) == len(EXPECTED)
    with pytest.raises(DataError, match=f"have {total} ratings, but the Netflix Prize has {total + 1}"):
        read_ratings(find_texts(tmp_path), 4, None, total + 1)


def test_no_rating_above_the_threshold_is_an_error(tmp_path: Path):
    put(tmp_path, {"mv_0000004.txt": text(4)})
    with pytest.raises(DataError, match="have no rating of 4 or above"):
        read_ratings(find_texts(tmp_path), 4)

"""Netflix Prize: film ratings (Bennett & Lanning 2007). A download needs an account."""

import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

import numpy as np

from edlae_sweeps.datasets.archives import ZIP_ERRORS, EntryNames, zip_entries
from edlae_sweeps.datasets.base import Advance, DatasetSettings, IntArray, Interactions, Published
from edlae_sweeps.datasets.limits import Place, check_room, room
from edlae_sweeps.datasets.tables import bounded, file_source, most_bytes
from edlae_sweeps.errors import DataError
from edlae_sweeps.imports import needed, override

_FILMS = 17_770
_BLOCK_BYTES = 64 * 1024**2
_HEADING = re.compile(rb"^(\d+):\r?\n", re.MULTILINE)
_ROW = re.compile(rb"\d+,\d+(,[^\r\n]*)?\r?\n?")
_PARTS = tuple(f"combined_data_{part}.txt" for part in range(1, 5))
_ARCHIVES = (
    "nf_prize_dataset.tar.gz",
    "training_set.tar.gz",
    "training_set.tar",
    "archive.zip",
    "netflix-prize-data.zip",
)
# Pairs of a file's name for messages and its open stream.
_Texts = Iterator[tuple[str, IO[bytes]]]


@dataclass(frozen=True, kw_only=True, repr=False)
class Netflix(DatasetSettings):
    """Ratings of 4 and above. The defaults give the published split (Liang et al. 2018)."""

    # Ratings in the files, of any value.
    ratings: ClassVar[int] = 100_480_507

    heldout_users: int | None = 40_000

    published: ClassVar[Published] = Published({"min_user_events": 5, "min_item_events": 0}, {"users": 463_435})

    @property
    @override
    def label(self) -> str:
        return "netflix"

    @override
    def source(self, data_dir: Path) -> str:
        return str(data_dir / "netflix")

    @override
    def content_digest(self, data_dir: Path) -> str:
        # `read` verifies the number of ratings instead of a hash of the files.
        return "netflix prize, 100,480,507 ratings"

    @override
    def read(self, data_dir: Path, advance: Advance | None = None, memory: int | None = None) -> Interactions:
        """The interactions in data_dir/netflix, in either layout, plain or archived."""
        return read_ratings(find_texts(data_dir / "netflix"), 4, advance, self.ratings, memory)


def find_texts(folder: Path) -> _Texts:
    """The rating files in `folder` or in an archive there: mv_*.txt, one per film, or combined_data_1…4.txt."""
    films = sorted((folder / "training_set").glob("mv_*.txt")) or sorted(folder.glob("mv_*.txt"))
    plain = films or [path for name in _PARTS if (path := folder / name).exists()]
    if films or len(plain) == len(_PARTS):
        return ((str(path), path.open("rb")) for path in plain)
    for name in _ARCHIVES:
        path = folder / name
        if path.exists():
            return _zip_texts(path) if name.endswith(".zip") else _tar_texts(path)
    raise DataError(
        f"there are no Netflix ratings in {folder}: put nf_prize_dataset.tar.gz there, or training_set/ with "
        "mv_*.txt, or combined_data_1.txt to combined_data_4.txt, or an archive.zip with these four"
    )


def _zip_texts(path: Path) -> _Texts:
    with zipfile.ZipFile(path) as archive:
        for part, entry in zip(_PARTS, zip_entries(archive, path, _PARTS), strict=True):
            name = f"{path}:{part}"
            yield name, bounded(archive.open(entry), name, most_bytes(path))


def _tar_texts(path: Path) -> _Texts:
    """The rating files in a tar archive or in a training_set.tar inside it, read in one pass without unpacking."""
    source = file_source(path)
    with source.open() as stream:
        yield from _entries(stream, path)


def _entries(stream: IO[bytes], path: Path) -> _Texts:
    checked = EntryNames(path)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            checked.add(entry.name, link=not (entry.isreg() or entry.isdir()) or entry.issparse())
            name = entry.name.rpartition("/")[2]
            content = archive.extractfile(entry)
            if content is not None and name == "training_set.tar":
                yield from _entries(content, path)
            elif content is not None and name.startswith("mv_"):
                yield f"{path}:{entry.name}", content


def read_ratings(
    texts: _Texts,
    min_rating: int,
    advance: Advance | None = None,
    expected: int | None = None,
    memory: int | None = None,
) -> Interactions:
    """Interactions from the ratings of at least `min_rating`, ordered by film.

    A text has a line `FILM:`, followed by one line `USER,RATING,DATE` for each rating of the film.
    `advance(film, films)` reports progress. Raises DataError if the number of ratings is not `expected`, or if they
    need more than `memory` bytes.
    """
    total, high, free = 0, 0, room(memory)
    users: list[IntArray] = []
    films: list[IntArray] = []
    for name, block, line in _blocks(texts):
        film, user, rating = _parse(name, block, line)
        total += len(rating)
        if expected is not None and total > expected:
            break
        kept = rating >= min_rating
        users.append(user[kept])
        films.append(film[kept])
        # A running number: there are 17,770 files in one of the layouts.
        high += len(users[-1])
        check_room(high, 0, free, Place("the Netflix files", f"rating of {min_rating} or above,", 1))
        if advance is not None and len(film):
            advance(min(int(film[-1]), _FILMS), _FILMS)
    if expected is not None and total != expected:
        counted = f"{total:,} ratings{' or more' if total > expected else ''}"
        raise DataError(
            f"the Netflix files have {counted}, but the Netflix Prize has {expected:,}: download them again"
        )
    if not high:
        raise DataError(f"the Netflix files have no rating of {min_rating} or above: download them again")
    user_codes, user_names = _codes(np.concatenate(users))
    film_codes, film_names = _codes(np.concatenate(films))
    order: slice | IntArray = slice(None)
    if (np.diff(film_codes) < 0).any():
        order = np.argsort(film_codes, kind="stable")
    return Interactions(user_codes[order], film_codes[order], user_names, film_names)


def _blocks(texts: _Texts) -> Iterator[tuple[str, bytes, int]]:
    """For each block: the file's name, complete lines starting with a heading, and the number of the first line."""
    name = ""
    try:
        for name, stream in texts:
            with closing(stream):
                line, heading, rest = 1, b"", b""
                while content := stream.read(_BLOCK_BYTES):
                    if b"\n" not in content and len(content) == _BLOCK_BYTES:
                        raise DataError(
                            f"{name}, line {line}: it has more than {_BLOCK_BYTES >> 20} MiB; download it again"
                        )
                    content = rest + content
                    end = content.rfind(b"\n") + 1
                    block, rest = heading + content[:end], content[end:]
                    yield name, block, line - bool(heading)
                    line += content.count(b"\n", 0, end)
                    last = block.rfind(b":")
                    heading = block[block.rfind(b"\n", 0, last) + 1 : block.find(b"\n", last) + 1]
                if rest:
                    yield name, heading + rest + b"\n", line - bool(heading)
    except (*ZIP_ERRORS, tarfile.TarError) as error:
        raise DataError(
            f"can't read {name or 'the Netflix archive'}: {' '.join(str(error).split())}; download it again"
        ) from error


def _parse(name: str, block: bytes, line: int) -> tuple[IntArray, IntArray, IntArray]:
    """Film, user and rating of each row of a block that starts with a heading."""
    # Prepared data do without Arrow.
    pa, pacsv = needed("pyarrow", "reading a table"), needed("pyarrow.csv", "reading a table")
    before, *pieces = _HEADING.split(block)
    bodies = pieces[1::2]
    rows = np.array([body.count(b"\n") for body in bodies], dtype=np.int64)
    films = np.repeat(np.array(list(map(int, pieces[::2])), dtype=np.int32), rows)
    if before.strip():
        raise DataError(f"{name}, line {line}: ratings must follow a line FILM:, such as 1:")
    if not len(films):
        empty = np.empty(0, dtype=np.int32)
        return empty, empty, empty
    types = {"user": pa.int32(), "rating": pa.uint8()}
    try:
        table = pacsv.read_csv(
            io.BytesIO(b"".join(bodies)),
            read_options=pacsv.ReadOptions(column_names=["user", "rating", "date"]),
            parse_options=pacsv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pacsv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
    except pa.ArrowException as error:
        raise DataError(_bad_line(name, block, line, error)) from error
    if table.num_rows != len(films) or any(table[column].null_count for column in types):
        raise DataError(_bad_line(name, block, line, None))
    return films, table["user"].to_numpy(), table["rating"].to_numpy()


def _bad_line(name: str, block: bytes, line: int, error: Exception | None) -> str:
    """The message for a block that can't be parsed: it names the first bad line."""
    for number, text in enumerate(block.splitlines(keepends=True), line):
        if not (_ROW.fullmatch(text) or _HEADING.fullmatch(text)):
            return f"{name}, line {number}: {text[:60].decode('utf-8', 'replace').strip()!r} is not USER,RATING,DATE"
    return f"can't read {name}: {' '.join(str(error).split())}"


def _codes(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """The sorted distinct values of small whole numbers, and each row's index into them, without sorting the rows."""
    present = np.zeros(int(numbers.max()) + 1, dtype=bool)
    present[numbers] = True
    rank = np.cumsum(present, dtype=np.int32) - 1
    return rank[numbers].astype(np.int32), np.flatnonzero(present)

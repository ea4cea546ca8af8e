"""Downloads from a local server that truncates, corrupts, stalls and recovers."""

import gc
import hashlib
import io
import threading
import time
import warnings
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edlae_sweeps.datasets import MovieLens1M, archives
from edlae_sweeps.datasets.archives import Archive, member, obtain
from edlae_sweeps.errors import DataError


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"folder/{name}.dat", content)
    return buffer.getvalue()


CONTENT = zipped(ratings="".join(f"{u}::{i}::5::0\n" for u in range(500) for i in range(u % 7 + 5)))
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers each request with the next of `behaviours`, and repeats the last one."""

    daemon_threads = True
    behaviours: tuple[str, ...] = ("complete",)
    requests = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        behaviour = server.behaviours[min(server.requests, len(server.behaviours) - 1)]
        server.requests += 1
        if behaviour == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if behaviour == "complete":
            self.wfile.write(CONTENT)
        elif behaviour == "corrupt":
            self.wfile.write(CONTENT[:100] + b"?" + CONTENT[101:])
        else:
            self.wfile.write(CONTENT[: len(CONTENT) // 2])
            self.wfile.flush()
            if behaviour == "stall":
                time.sleep(5)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(archives, "_STALL_SECONDS", 0.5)
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    with warnings.catch_warnings(action="ignore"):
        # The library leaves broken connections to the garbage collector.
        gc.collect()


def archive(server: Server, md5: str | None = MD5) -> Archive:
    return Archive("ml.zip", f"http://127.0.0.1:{server.server_port}/ml.zip", md5)


def test_a_download_reports_progress_and_is_kept(server, tmp_path: Path):
    steps = []
    path = obtain(archive(server), tmp_path / "new", lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert obtain(archive(server), tmp_path / "new") == path
    assert server.requests == 1


@pytest.mark.parametrize("behaviour", ["truncate", "corrupt", "stall", "missing"])
def test_a_broken_download_is_retried(server, tmp_path: Path, behaviour):
    server.behaviours = (behaviour, "complete")
    assert obtain(archive(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == 2


@pytest.mark.parametrize("behaviour", ["truncate", "corrupt", "stall", "missing"])
def test_a_download_that_keeps_failing_leaves_no_file_and_names_the_remedy(server, tmp_path: Path, behaviour):
    server.behaviours = (behaviour,)
    with pytest.raises(DataError, match=rf"can't download .*ml\.zip: .*put ml\.zip into {tmp_path} yourself") as caught:
        obtain(archive(server), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    # The next call starts over.
    server.behaviours = ("complete",)
    assert obtain(archive(server), tmp_path).read_bytes() == CONTENT


def test_without_a_checksum_the_length_detects_truncation(server, tmp_path: Path):
    server.behaviours = ("truncate",)
    with pytest.raises(DataError, match="can't download"):
        obtain(archive(server, None), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_checksum_an_html_page_is_refused(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"{__name__}.CONTENT", b"<html>sorry</html>")
    with pytest.raises(DataError, match="the server sent no zip archive"):
        obtain(archive(server, None), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="can't download"):
        obtain(Archive("ml.zip", "http://127.0.0.1:9/ml.zip", MD5), tmp_path)


def test_an_existing_file_is_used_and_never_replaced(server, tmp_path: Path):
    (tmp_path / "ml.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match=f"has MD5 .*{MD5}: delete it"):
        obtain(archive(server), tmp_path)
    assert (tmp_path / "ml.zip").read_bytes() == b"mine"
    (tmp_path / "ml.zip").write_bytes(CONTENT)
    obtain(archive(server), tmp_path)
    assert server.requests == 0


def test_a_full_disk_is_an_error(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pooch.downloaders.HTTPDownloader.__call__", full)
    with pytest.raises(DataError, match="No space left on device"):
        obtain(archive(server), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[: len(CONTENT) // 2], "if it is damaged"),
        (b"", "if it is damaged"),
        (b"no zip at all", "if it is damaged"),
        (CONTENT[:200] + bytes(100) + CONTENT[300:], "if it is damaged"),
        (zipped(other="1::2::5::0\n"), r"has no ratings\.dat"),
    ],
)
def test_a_damaged_archive_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content, message):
    (tmp_path / "ml-1m.zip").write_bytes(content)
    monkeypatch.setattr(MovieLens1M, "archive", Archive("ml-1m.zip", "http://127.0.0.1:9/", None))
    with pytest.raises(DataError, match=message) as caught:
        MovieLens1M().read(tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["ml-1m.zip"]


def test_a_member_is_found_in_any_folder_and_read_without_unpacking(tmp_path: Path):
    (tmp_path / "ml.zip").write_bytes(CONTENT)
    with member(tmp_path / "ml.zip", "ratings.dat").open() as stream:
        assert stream.readline() == b"0::0::5::0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ml.zip"]

"""Logs kept by somebody who means harm: no answer of a server and no file lets a log hold, eat memory, or hang."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.audit.logs import KEY, ORIGIN, log_files, write_log
from tests.audit.mutations import Log, log

from loglease.audit.checkpoint import MAX_SIZE, Checkpoint, head_line, head_of_line, sign_checkpoint
from loglease.audit.log_directory import FileLog, LogUnreadable, most_bytes
from loglease.audit.log_http import HttpLog
from loglease.audit.log_reading import LogIncomplete, LogTampered, read_head
from loglease.audit.merkle import EMPTY_ROOT
from loglease.audit.note import NoteInvalid
from loglease.audit.semantic import Verifier, extract
from loglease.audit.tiles import WIDTH
from loglease.audit.verify import Checked, verify_log

KEYS = (KEY.verifier,)
PATH = "tile/entries/001"
SIZE = 600

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


class Hostile:
    """A server of a log that answers requests for one file in its own way.

    Attributes:
        asked: how often that file was asked for.
        encodings: what the requests accepted.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.answer: Answer = _whole
        self.asked = 0
        self.encodings: set[str | None] = set()
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hostile.encodings.add(self.headers["Accept-Encoding"])
                path = self.path.removeprefix("/")
                content = hostile.files.get(path)
                if content is None:
                    self.send_error(404)
                elif path == PATH:
                    hostile.asked += 1
                    hostile.answer(self, content)
                else:
                    _whole(self, content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"


def _whole(handler: BaseHTTPRequestHandler, content: bytes, **headers: str) -> None:
    handler.send_response(200)
    for name, value in ({"Content-Length": str(len(content))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture(scope="module")
def one() -> Log:
    return log(SIZE)


@pytest.fixture
def hostile(one: Log) -> Iterator[Hostile]:
    made = Hostile(dict(one.files))
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def read(hostile: Hostile) -> Iterator[HttpLog]:
    made = HttpLog(hostile.address, timeout_s=20)
    yield made
    made.close()


def test_nothing_packed_is_asked_for(hostile: Hostile, read: HttpLog, one: Log) -> None:
    head, _ = read_head(read, KEYS)
    assert verify_log(read, head).entries == range(SIZE)
    assert hostile.encodings == {"identity"}


@pytest.mark.parametrize("packing", ["gzip", "zstd", "GZIP", "br"])
def test_what_comes_packed_is_not_unpacked(hostile: Hostile, read: HttpLog, packing: str) -> None:
    packed = gzip.compress(bytes(1 << 24))
    hostile.answer = lambda handler, _: _whole(handler, packed, Content_Encoding=packing)
    with pytest.raises(LogUnreadable, match="packed as"):
        read(PATH)


def test_what_is_called_plain_is_plain(hostile: Hostile, read: HttpLog) -> None:
    hostile.answer = lambda handler, content: _whole(handler, content, Content_Encoding="Identity")
    assert read(PATH) == hostile.files[PATH]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_sent_elsewhere(hostile: Hostile, read: HttpLog, status: int) -> None:
    def away(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Location", "/tile/entries/000")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    hostile.answer = away
    with pytest.raises(LogUnreadable, match=f"status {status}"):
        read(PATH)


def test_an_answer_without_an_end_is_cut(hostile: Hostile, read: HttpLog) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        try:
            while sent < 1 << 30:
                handler.wfile.write(bytes(1 << 20))
                sent += 1 << 20
        except OSError:
            pass

    hostile.answer = endless
    assert len(read(PATH) or b"") == most_bytes(PATH) + 1
    assert sent < 1 << 30


def test_a_body_that_drips_is_not_waited_for(hostile: Hostile) -> None:
    hostile.answer = _whole
    read = HttpLog(hostile.address, timeout_s=20, most_s=-1)
    with pytest.raises(LogUnreadable, match="is not there after"):
        read(PATH)
    read.close()


@pytest.mark.parametrize("status", [200, 404, 410, 500, 204, 206])
def test_only_a_whole_answer_is_a_file(hostile: Hostile, read: HttpLog, status: int) -> None:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    hostile.answer = answer
    head, _ = read_head(read, KEYS)
    wanted = {200: LogTampered, 404: LogIncomplete, 410: LogIncomplete}
    with pytest.raises(wanted.get(status, LogUnreadable)):
        verify_log(read, head)


def test_every_file_is_read_once(read: HttpLog, hostile: Hostile) -> None:
    """So an answer that is another one the second time is never seen."""
    head, _ = read_head(read, KEYS)
    rules = Verifier()

    def take(part: Checked) -> None:
        for first, content in zip(part.entries[::WIDTH], part.extracts, strict=True):
            rules.take_extract(first, content)

    asked: list[str] = []

    def noting(path: str) -> bytes | None:
        asked.append(path)
        return read(path)

    verify_log(noting, head, extract=extract, take=take)
    assert rules.finish().entries == SIZE
    bundles = [path for path in asked if path.startswith("tile/entries/")]
    assert bundles == ["tile/entries/000", PATH, "tile/entries/002.p/88"]
    assert hostile.asked == 1


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path, one: Log) -> None:
    place = write_log(tmp_path, one.files.items())
    (place / PATH).unlink()
    os.mkfifo(place / PATH)
    with pytest.raises(LogUnreadable, match="it is no file"):
        FileLog(place)(PATH)


@pytest.mark.parametrize("target", ["/dev/zero", "001", ".", "nowhere"])
def test_links_lead_to_files_or_nowhere(tmp_path: Path, one: Log, target: str) -> None:
    place = write_log(tmp_path, one.files.items())
    (place / PATH).unlink()
    (place / PATH).symlink_to(target)
    read = FileLog(place)
    if target == "nowhere":
        assert read(PATH) is None
    else:
        with pytest.raises(LogUnreadable):
            read(PATH)
    (place / PATH).unlink()
    (tmp_path / "elsewhere").write_bytes(one.files[PATH])
    (place / PATH).symlink_to(tmp_path / "elsewhere")
    assert read(PATH) == one.files[PATH]


@pytest.mark.parametrize("size", [MAX_SIZE + 1, 10**19 - 1])
def test_no_log_is_larger_than_a_log_can_be(size: int) -> None:
    assert head_of_line(head_line(Checkpoint(ORIGIN, MAX_SIZE, bytes(32)))).size == MAX_SIZE == 2**63 - 1
    head = Checkpoint(ORIGIN, size, bytes(32))
    with pytest.raises(NoteInvalid, match="at most 9223372036854775807 entries"):
        head_of_line(head_line(head))
    with pytest.raises(LogTampered, match="at most 9223372036854775807 entries"):
        read_head({"checkpoint": sign_checkpoint(head, [KEY])}.get, KEYS)


def test_the_largest_log_lacks_its_files() -> None:
    head = Checkpoint(ORIGIN, MAX_SIZE, bytes(32))
    with pytest.raises(LogIncomplete):
        verify_log({}.get, head, entries=range(5))


def test_an_empty_log_has_its_own_root_alone() -> None:
    assert verify_log({}.get, Checkpoint(ORIGIN, 0, EMPTY_ROOT)).entries == range(0)
    with pytest.raises(NoteInvalid, match="empty log"):
        head_of_line(head_line(Checkpoint(ORIGIN, 0, bytes(32))))
    with pytest.raises(LogTampered, match="signed root"):
        verify_log({}.get, Checkpoint(ORIGIN, 0, bytes(32)))


def test_files_that_the_head_does_not_need_change_nothing(one: Log) -> None:
    files = dict(log_files(one.entries))
    head, _ = read_head(files.get, KEYS)
    files |= {"tile/0/002": bytes(8_192), "tile/entries/002": b"x", "tile/0/003": b"", "tile/1/001": b"y"}
    assert verify_log(files.get, head).entries == range(SIZE)
    del files["tile/entries/002.p/88"]
    with pytest.raises(LogTampered, match="tile/entries/002"):
        verify_log(files.get, head)

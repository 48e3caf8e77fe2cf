from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, Reply, problem

from loglease.cli.commands import audit_export
from loglease.cli.exporting import _whole_lines, exported_lines

EXPORT = "/audit/export"


def line(index: int, wanted: str = "ndjson") -> bytes:
    if wanted == "ocsf":
        return json.dumps({"metadata": {"sequence": index}}).encode() + b"\n"
    return json.dumps({"index": index, "origin": "o/1", "leaf": "00", "entry": "{}"}).encode() + b"\n"


def lines(first: int, last: int, wanted: str = "ndjson") -> bytes:
    return b"".join(line(index, wanted) for index in range(first, last + 1))


def pieces(*chunks: bytes, reset: bool = False) -> Reply:
    return Reply(pieces=lambda: iter(chunks), reset=reset, media_type="application/x-ndjson")


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.cli.exporting.time.sleep", lambda _: None)


@pytest.mark.parametrize("wanted", ["ndjson", "ocsf"])
def test_lines_go_to_standard_output_and_the_end_says_where_to_go_on(cli: Cli, server: FakeServer, wanted: str) -> None:
    server.on("GET", EXPORT, Reply(lines(0, 2, wanted), media_type="application/x-ndjson"))
    found = cli("audit", "export", "--format", wanted)
    assert (found.code, found.out) == (0, lines(0, 2, wanted).decode())
    assert found.err.splitlines()[-1].startswith("#0 to #2: 3 entries, ")
    assert found.err.endswith("go on with --since 3\n")
    (call,) = server.sent("GET", EXPORT)
    assert call.query == {"format": wanted}


def test_bounds_go_to_the_server(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, Reply(lines(5, 7), media_type="application/x-ndjson"))
    found = cli("audit", "export", "--format", "ndjson", "--since", "5", "--until", "7")
    assert found.code == 0
    assert server.sent("GET", EXPORT)[0].query == {"format": "ndjson", "since": "5", "until": "7"}


def test_nothing_new_is_said(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, Reply(b"", media_type="application/x-ndjson"))
    found = cli("audit", "export", "--format", "ndjson", "--since", "9")
    assert (found.code, found.out, found.err) == (0, "", "No entry from #9 on.\n")


def test_bounds_the_wrong_way_round_and_unknown_formats_are_usage(cli: Cli, server: FakeServer) -> None:
    assert cli("audit", "export", "--format", "ndjson", "--since", "5", "--until", "4").code == 2
    assert cli("audit", "export", "--format", "xml").code == 2
    assert cli("audit", "export").code == 2
    assert server.calls == []


def test_refusals_are_the_servers(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, problem(403, "not_permitted", "Reading the whole audit log takes the role auditor."))
    found = cli("audit", "export", "--format", "ndjson")
    assert found.code == 6
    assert "takes the role auditor" in found.err


def test_a_broken_connection_is_taken_up_behind_the_last_whole_line(cli: Cli, server: FakeServer) -> None:
    torn = line(2)[:20]
    server.on(
        "GET",
        EXPORT,
        pieces(line(0), line(1) + torn, reset=True),
        problem(503, "draining", "The server stops."),
        pieces(line(2) + line(3)),
    )
    found = cli("audit", "export", "--format", "ndjson")
    assert found.code == 0, found.err
    assert found.out == lines(0, 3).decode()
    assert [call.query.get("since") for call in server.sent("GET", EXPORT)] == [None, "2", "2"]
    assert found.err.count("The connection was lost") == 1


def test_a_connection_that_stays_broken_ends_it_with_where_to_go_on(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, pieces(line(0), reset=True), pieces(b'{"ind', reset=True))
    found = cli("audit", "export", "--format", "ndjson")
    assert found.code == 2
    assert "after 1 entries" in found.err
    assert "--since 1" in found.err
    assert len(server.sent("GET", EXPORT)) == 61


def test_following_comes_back_after_the_server_stopped_and_ends_with_its_last_entry(
    cli: Cli, server: FakeServer
) -> None:
    server.on("GET", EXPORT, pieces(line(0), b"\n", line(1)), pieces(b"\n\n", line(2)), pieces(line(3)))
    found = cli("audit", "export", "--format", "ndjson", "--follow", "--until", "3")
    assert found.out == lines(0, 3).decode()
    queries = [call.query for call in server.sent("GET", EXPORT)]
    assert [query.get("since") for query in queries] == [None, "2", "3"]
    assert {query["follow"] for query in queries} == {"true"}


def test_following_waits_for_a_server_that_restarts_before_anything_came(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, pieces(b"\n"), problem(503, "draining", "The server stops."), pieces(line(7)))
    found = cli("audit", "export", "--format", "ndjson", "--follow", "--since", "7", "--until", "7")
    assert (found.code, found.out) == (0, line(7).decode())
    assert [call.query["since"] for call in server.sent("GET", EXPORT)] == ["7", "7", "7"]


def test_a_server_that_never_answered_is_not_waited_for(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, problem(503, "audit_unavailable", "The disk is full."))
    assert cli("audit", "export", "--format", "ndjson").code == 2
    assert len(server.sent("GET", EXPORT)) == 1


def test_a_file_is_there_once_it_is_whole(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    seen: list[list[str]] = []

    def chunks() -> Iterator[bytes]:
        yield line(0)
        seen.append([one.name for one in tmp_path.iterdir() if one.suffix == ".ndjson"])
        yield line(1)

    server.on("GET", EXPORT, Reply(pieces=chunks, media_type="application/x-ndjson"))
    found = cli("audit", "export", "--format", "ndjson", "-o", str(path))
    assert (found.code, found.out) == (0, "")
    assert seen == [[]]
    assert path.read_bytes() == lines(0, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("follow", [(), ("--follow", "--until", "1")])
def test_nothing_is_written_over_a_file(cli: Cli, server: FakeServer, tmp_path: Path, follow: tuple[str, ...]) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text("mine")
    server.on("GET", EXPORT, pieces(lines(0, 1)))
    found = cli("audit", "export", "--format", "ndjson", "-o", str(path), *follow)
    assert found.code == 2
    assert "is there already" in found.err
    assert path.read_text() == "mine"
    assert server.sent("GET", EXPORT) == []


def test_a_file_that_came_meanwhile_stays(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"

    def chunks() -> Iterator[bytes]:
        yield line(0)
        path.write_text("theirs")
        yield line(1)

    server.on("GET", EXPORT, Reply(pieces=chunks, media_type="application/x-ndjson"))
    found = cli("audit", "export", "--format", "ndjson", "-o", str(path))
    assert found.code == 2
    assert path.read_text() == "theirs"
    assert not list(tmp_path.glob(".*.part"))


def test_a_folder_that_is_not_there_is_said(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    found = cli("audit", "export", "--format", "ndjson", "-o", str(tmp_path / "none" / "log.ndjson"))
    assert (found.code, server.calls) == (2, [])
    assert "cannot be written" in found.err


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Press Ctrl-C after so many blocks."""
    real = exported_lines

    def blocks(*arguments: Any, **named: Any) -> Iterator[bytes]:
        for number, block in enumerate(real(*arguments, **named), 1):
            yield block
            if number == after:
                raise KeyboardInterrupt

    monkeypatch.setattr(audit_export, "exported_lines", blocks)


def test_ctrl_c_leaves_whole_lines_and_says_where_to_go_on(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET", EXPORT, pieces(lines(0, 1)))
    interrupted(monkeypatch, 1)
    found = cli("audit", "export", "--format", "ndjson")
    assert (found.code, found.out) == (130, lines(0, 1).decode())
    assert "stopped; #0 to #1: 2 entries" in found.err
    assert "--since 2" in found.err


def test_ctrl_c_leaves_no_part_of_a_file(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.on("GET", EXPORT, pieces(lines(0, 1)))
    interrupted(monkeypatch, 1)
    found = cli("audit", "export", "--format", "ndjson", "-o", str(tmp_path / "log.ndjson"))
    assert found.code == 130
    assert "log.ndjson was not written" in found.err
    assert not [one for one in tmp_path.iterdir() if "log.ndjson" in one.name]


def test_ctrl_c_while_following_keeps_the_file(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "log.ndjson"
    server.on("GET", EXPORT, pieces(lines(0, 1)))
    interrupted(monkeypatch, 1)
    found = cli("audit", "export", "--format", "ndjson", "--follow", "-o", str(path))
    assert found.code == 130
    assert path.read_bytes() == lines(0, 1)
    assert "--since 2" in found.err


class Chunked:
    """An answer whose bytes arrive in these pieces."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    def iter_bytes(self) -> Iterator[bytes]:
        return iter(self.chunks)


@given(
    st.lists(st.sampled_from([line(0), line(1), b"\n", b"\n\n"]), max_size=8), st.lists(st.integers(0, 400), max_size=8)
)
def test_however_lines_arrive_only_whole_ones_go_on(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(parts) + line(2)[:-1]
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[begin:end] for begin, end in pairwise(places)]
    blocks = list(_whole_lines(Chunked(chunks)))
    assert all(block.endswith(b"\n") for block in blocks)
    assert b"".join(blocks) == b"".join(part for part in parts if part.strip())


def test_a_long_export_into_a_file_tells_how_far_it_is(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.on("GET", EXPORT, pieces(lines(0, 1)))
    short = cli("audit", "export", "--format", "ndjson", "-o", str(tmp_path / "short.ndjson"))
    assert len(short.err.splitlines()) == 1
    monkeypatch.setattr(audit_export, "LONG_S", 0.0)
    found = cli("audit", "export", "--format", "ndjson", "-o", str(tmp_path / "log.ndjson"))
    assert found.err.startswith("00:00  2 entries, ")


def test_what_answers_and_is_no_export_is_said(cli: Cli, server: FakeServer) -> None:
    server.on("GET", EXPORT, Reply(b"<html>\n", media_type="text/html"))
    found = cli("audit", "export", "--format", "ndjson")
    assert found.code == 2
    assert "not what the server sends" in found.err

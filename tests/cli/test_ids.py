from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer
from tests.cli.resources import GRANT, REQUEST, request_shown, usage

from loglease.cli.ids import matching

ULID = st.text(alphabet="0123ABCXYZ", min_size=26, max_size=26).map(lambda text: "0" + text[1:])
ids = st.lists(ULID.map(lambda text: f"req_{text}"), min_size=1, max_size=6, unique=True)


@given(ids, st.data())
def test_a_whole_identifier_means_itself(known: list[str], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(known))
    assert matching(one, known) == [one]


@given(ids, st.data())
def test_every_cut_finds_what_it_was_cut_from(known: list[str], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(known))
    length = data.draw(st.integers(1, 26))
    for cut in (one[: 4 + length], one[4 : 4 + length], one[-6:], one[-6:].lower(), f"{one[:8]}…{one[-3:]}"):
        assert one in matching(cut, known), cut


@given(ids, st.text(alphabet="req_0123ABCXYZ…", max_size=10))
def test_what_is_found_fits(known: list[str], text: str) -> None:
    for found in matching(text, known):
        head, _, tail = text.partition("…")
        bare = head.partition("_")[2] if "_" in head else head
        assert found.endswith(tail.upper())
        assert found[4:].startswith(bare.upper()) or found.endswith(text.upper())


def test_the_end_takes_six_characters_and_no_others() -> None:
    assert matching(REQUEST[-6:], [REQUEST]) == [REQUEST]
    assert matching(REQUEST[-5:], [REQUEST]) == []


def test_a_whole_identifier_costs_no_search(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown())
    server.on("GET", f"/requests/{REQUEST}/timeline", {"items": []})
    assert cli("requests", REQUEST).code == 0
    assert not server.sent("GET", "/requests")


def test_last_is_the_newest_whatever_the_order(cli: Cli, server: FakeServer) -> None:
    older = "req_01AAAAAAAAAAAAAAAAAAAAAAAA"
    server.on("GET", "/requests", {"items": [request_shown(id=older), request_shown(), request_shown(id=older)]})
    server.on("GET", f"/requests/{REQUEST}", request_shown())
    server.on("GET", f"/requests/{REQUEST}/timeline", {"items": []})
    assert REQUEST in cli("requests", "@last").out


@pytest.mark.parametrize(
    ("typed", "code", "error"),
    [
        (GRANT, 2, f"error: {GRANT} is no request. [usage]"),
        ("ZZZ", 7, "error: No request fits 'ZZZ'. [not_found]"),
        ("req_01", 2, "error: 2 requests fit 'req_01': "),
    ],
)
def test_what_is_not_clear_is_refused(cli: Cli, server: FakeServer, typed: str, code: int, error: str) -> None:
    server.on("GET", "/requests", {"items": [request_shown(), request_shown(id="req_01AAAAAAAAAAAAAAAAAAAAAAAA")]})
    server.on("GET", f"/grants/{GRANT}/usage", usage())
    found = cli("requests", typed)
    assert (found.code, found.err.startswith(error)) == (code, True), found.err

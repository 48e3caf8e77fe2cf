"""Backward pages hold permitted lines only and end where so many of them are, whatever the source gives between."""

from __future__ import annotations

import pytest
from tests.fakes.gateway import MARKER, MASTER
from tests.gateway.world import T0, call, line, page_of, world

from loglease.gateway.gathering import Gathering
from loglease.gateway.recheck import Recheck, Violations
from loglease.model.instant import EventWindow, Interval
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, redactor_for

SCOPE = Scope(source="src", selector=parse_selector('{service="a"}'), window=EventWindow(0, None), profile="raw@1")
# Lines that only the beginning of their block gives away.
KEY = ["-----BEGIN RSA PRIVATE KEY-----", *(f"secretbody{n:02d}AbCdEfGhIjKlMn" for n in range(3))]


def gathered(lines, *, cut: int, of: int = 4):
    gathering = Gathering(Recheck(SCOPE, Interval(0, None), Violations()), of)
    pages = []
    for start in range(0, len(lines), cut):
        pages += gathering.add(page_of(lines[start : start + cut]))
    return [*pages, *gathering.rest()]


@pytest.mark.parametrize("hidden", [0, 1, 5])
@pytest.mark.parametrize("cut", [1, 3, 4, 7, 100])
def test_neither_hidden_lines_nor_the_pages_of_the_source_move_a_border(hidden, cut):
    lines = []
    for n in range(10):
        lines.append(line(100 - n, f"{n}", (("n", f"{n}"),), service="a", pod=f"p{n % 3}"))
        lines += [line(100 - n, "not for you", service="b")] * hidden
    pages = gathered(lines, cut=cut)
    assert [[one.decode() for one in page.lines] for page in pages] == [list("0123"), list("4567"), list("89")]
    for page in pages:
        for place, text in enumerate(page.lines):
            n = int(text)
            assert page.ts[place] == 100 - n
            assert page.metadata[place] == (("n", f"{n}"),)
            assert dict(page.streams[page.stream[place]]) == {"service": "a", "pod": f"p{n % 3}"}
        assert len(set(page.streams)) == len(page.streams)


async def test_hidden_lines_do_not_part_a_secret_from_its_beginning(tmp_path):
    redactor = redactor_for(["pii-default@1"], keys=Keys.derived(MASTER, salt=b"s" * 32, grant_id="grt"), marker=MARKER)
    assert redactor.value(None, KEY[1].encode()).out == KEY[1].encode()
    lines = []
    for n, text in enumerate(KEY):
        lines += [line(T0 + n, text, service="a"), *[line(T0 + n, "not for you", service="b")] * 5]
    async with world(tmp_path, lines=lines, loose=True, page_lines=3) as w:
        grant = await w.grant(profile="pii-default@1")
        answer = await call(w, f"/g/{grant.id}/logs?start=0")
        assert len(answer.lines) == len(KEY)
        assert b"secretbody" not in answer.body

"""Evaluation of pages without a socket: blocks over page borders, order, resumption, bounds of what is held."""

from __future__ import annotations

import pytest
from tests.fakes.gateway import MARKER, MASTER
from tests.gateway.world import line, page_of

from loglease.gateway.frontends.plain.encoders import PlainText
from loglease.gateway.planner import parsed
from loglease.gateway.recheck import Recheck, Violations
from loglease.gateway.resume import Position
from loglease.gateway.worker import Worker, worker_of
from loglease.model.instant import EventWindow, Interval
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, redactor_for
from loglease.sources.interface import Direction, SourceProtocol

KEYS = Keys.derived(MASTER, salt=b"s" * 32, grant_id="grt")
REDACTOR = redactor_for(["pii-default@1"], keys=KEYS, marker=MARKER)
SCOPE = Scope(
    source="src", selector=parse_selector('{service="a"}'), window=EventWindow(0, None), profile="pii-default@1"
)
# Body lines too short for the rule that knows a key's line by its look: only the block's beginning gives them away.
KEY = [
    "-----BEGIN RSA PRIVATE KEY-----",
    *(f"secretbody{n:02d}AbCdEfGhIjKlMn" for n in range(6)),
    "-----END RSA PRIVATE KEY-----",
]


def worker(direction: Direction, query: str = "{}", after: Position | None = None, *, tail: bool = False) -> Worker:
    return worker_of(
        parsed(query),
        redactor=REDACTOR,
        recheck=Recheck(SCOPE, Interval(0, None), Violations()),
        encoder=PlainText(),
        direction=direction,
        follow=tail,
        now_ns=0,
        after=after,
    )


@pytest.mark.parametrize("border", range(1, len(KEY)))
@pytest.mark.parametrize("direction", list(Direction))
def test_a_key_that_spans_two_pages_is_masked_in_both_directions(direction, border):
    lines = [line(n + 1, text, service="a") for n, text in enumerate(KEY)]
    halves = [lines[:border], lines[border:]]
    if direction is Direction.BACKWARD:
        halves = [half[::-1] for half in reversed(halves)]
    pages = [page_of(half) for half in halves]
    evaluator = worker(direction)
    items = [*evaluator.page(pages[0], pages[1]), *evaluator.page(pages[1], None), *evaluator.finish()]
    assert len(items) == len(KEY)
    assert not any(b"secretbody" in item.record for item in items)


def test_streams_do_not_share_a_block():
    lines = [line(1, KEY[0], service="a", pod="1"), line(2, "an ordinary sentence", service="a", pod="2")]
    evaluator = worker(Direction.FORWARD)
    items = [*evaluator.page(page_of(lines)), *evaluator.finish()]
    assert items[1].record == b"an ordinary sentence\n"


def test_lines_of_one_time_are_ordered_across_page_borders():
    evaluator = worker(Direction.FORWARD)
    first = evaluator.page(page_of([line(1, "early", service="a", pod="z"), line(2, "z", service="a", pod="z")]))
    second = evaluator.page(page_of([line(2, "a", service="a", pod="a"), line(3, "late", service="a", pod="a")]))
    texts = [item.record for item in [*first, *second, *evaluator.finish()]]
    assert texts == [b"early\n", b"a\n", b"z\n", b"late\n"]


def test_a_tail_holds_nothing_back_and_takes_any_order():
    evaluator = worker(Direction.FORWARD, tail=True)
    assert len(evaluator.page(page_of([line(5, "x", service="a"), line(3, "y", service="a")]))) == 2
    assert evaluator.page(page_of([line(5, "z", service="a")]))[0].position == Position(5, 2)


def test_a_broken_order_is_noticed_across_pages():
    evaluator = worker(Direction.FORWARD)
    evaluator.page(page_of([line(5, "x", service="a")]))
    with pytest.raises(SourceProtocol):
        evaluator.page(page_of([line(4, "y", service="a")]))


def test_what_an_earlier_answer_had_is_skipped_once():
    lines = [line(7, f"{n}", service="a") for n in range(4)]
    evaluator = worker(Direction.FORWARD, after=Position(7, 2))
    items = [*evaluator.page(page_of(lines)), *evaluator.finish()]
    assert [item.record for item in items] == [b"2\n", b"3\n"]
    assert items[-1].position == Position(7, 4)

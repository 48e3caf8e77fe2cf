"""Evaluation of pages without a socket: blocks over page borders, order, resumption, bounds of what is held."""

from __future__ import annotations

import json

import pytest
from tests.fakes.gateway import MARKER, MASTER
from tests.gateway.world import line, page_of

from loglease.gateway.frontends.encoder import LineEncoder
from loglease.gateway.frontends.plain.encoders import NdJson, PlainText
from loglease.gateway.planner import parsed
from loglease.gateway.recheck import Recheck, Violations
from loglease.gateway.resume import Position, Resumes
from loglease.gateway.worker import Worker, worker_of
from loglease.model.ids import GrantId, PrincipalId
from loglease.model.instant import EventWindow, Interval
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, Withheld, redactor_for
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


RESUMES = Resumes(b"r" * 32, grants=[(GrantId("g"), 0)], principal=PrincipalId("p"), query="")


def worker(
    direction: Direction,
    query: str = "{}",
    after: Position | None = None,
    *,
    tail: bool = False,
    redactor=REDACTOR,
    encoder: LineEncoder | None = None,
) -> Worker:
    return worker_of(
        parsed(query),
        redactor=redactor,
        recheck=Recheck(SCOPE, Interval(0, None), Violations()),
        encoder=encoder or PlainText(),
        direction=direction,
        follow=tail,
        now_ns=0,
        after=after,
    )


@pytest.mark.attack("RD-02")
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


@pytest.mark.attack("RD-02")
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


@pytest.mark.parametrize("page_lines", [1, 2, 3, 7, 100])
def test_lines_of_one_time_that_are_too_many_to_hold_have_one_order_whatever_the_pages(monkeypatch, page_lines):
    monkeypatch.setattr("loglease.gateway.worker.MAX_HELD", 4)
    lines = [line(2, f"{n}", service="a", pod="ba"[n % 2]) for n in range(10)]
    lines = [line(1, "first", service="a"), *lines, line(3, "last", service="a")]
    evaluator = worker(Direction.FORWARD)
    items = []
    for start in range(0, len(lines), page_lines):
        items += evaluator.page(page_of(lines[start : start + page_lines]))
    texts = [item.record.strip().decode() for item in [*items, *evaluator.finish()]]
    assert texts == ["first", "1", "3", "0", "2", "5", "7", "4", "6", "9", "8", "last"]


@pytest.mark.parametrize("swapped", [False, True])
def test_streams_that_look_the_same_are_ordered_by_all_that_is_seen(swapped):
    lines = [line(1, "same", (("n", f"{n}"),), service="a", key=f"password={word}1x") for n, word in enumerate("zq")]
    evaluator = worker(Direction.FORWARD, encoder=NdJson(RESUMES))
    items = [*evaluator.page(page_of(lines[::-1] if swapped else lines)), *evaluator.finish()]
    assert [b'"n":"0"' in item.record for item in items] == [True, False]


def test_a_label_outside_the_scope_is_not_even_looked_at():
    class Choosy:
        block_marks = REDACTOR.block_marks
        open = staticmethod(REDACTOR.open)

        @staticmethod
        def value(key, value):
            if value == b"poison":
                raise Withheld("rule_error")
            return REDACTOR.value(key, value)

    evaluator = worker(Direction.FORWARD, redactor=Choosy)
    lines = [line(1, "seen", service="a"), line(1, "hidden", service="b", owner="poison")]
    items = [*evaluator.page(page_of(lines)), *evaluator.finish()]
    assert [item.record for item in items] == [b"seen\n"]


def test_a_tail_holds_nothing_back_and_takes_any_order():
    evaluator = worker(Direction.FORWARD, tail=True)
    assert len(evaluator.page(page_of([line(5, "x", service="a"), line(3, "y", service="a")]))) == 2
    assert evaluator.page(page_of([line(5, "z", service="a")]))[0].places == (Position(5, 2),)


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
    assert items[-1].places == (Position(7, 4),)


@pytest.mark.parametrize("direction", list(Direction))
def test_a_page_with_a_block_gives_what_its_streams_give(direction):
    mail = "mail anna@example.com, two\nlines"
    texts = [("1", KEY[0]), ("2", mail), ("1", KEY[1]), ("3", ""), ("2", "plain"), ("1", KEY[-1]), ("1", mail)]
    lines = [line(n, text, service="a", pod=pod) for n, (pod, text) in enumerate(texts)]
    if direction is Direction.BACKWARD:
        lines.reverse()
    evaluator = worker(direction)
    records = [item.record for item in [*evaluator.page(page_of(lines)), *evaluator.finish()]]
    alone = []
    for one in lines:
        by_itself = worker(direction)
        alone += [item.record for item in [*by_itself.page(page_of([one])), *by_itself.finish()]]
    inside = alone.index(f"{KEY[1]}\n".encode())
    assert records[inside] != alone[inside]
    assert [*records[:inside], *records[inside + 1 :]] == [*alone[:inside], *alone[inside + 1 :]]


@pytest.mark.parametrize(
    ("query", "level"),
    [
        ("| json", "error"),
        ('| json | detected_level="error"', "error"),
        ('| json | label_format detected_level="{{.n}}"', "7"),
        ("| json | label_format was=detected_level", None),
        ("| drop detected_level", None),
    ],
)
def test_the_level_is_shown_whether_a_stage_reads_it_or_not(query, level):
    evaluator = worker(Direction.FORWARD, f"{{}} {query}", encoder=NdJson(RESUMES))
    items = [*evaluator.page(page_of([line(1, '{"n":"7","level":"ERROR"}', service="a")])), *evaluator.finish()]
    record = json.loads(items[0].record)
    shown = {**record["metadata"], **record.get("parsed", {})}
    assert shown.get("detected_level") == level
    if "was=" in query:
        assert shown["was"] == "error"

"""The law of answers under several grants: they are the answers under each, every line once, under the first of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote

from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.fakes.gateway import MARKER, MASTER
from tests.gateway.world import Line, ListReader, line
from tests.volume import volume

from loglease.access.errors import NotPermitted
from loglease.access.open_session import Opened
from loglease.gateway import GatewaySettings
from loglease.gateway.asked import Asked, Means
from loglease.gateway.frontends.loki.queries import Direct
from loglease.gateway.frontends.plain import numbers_question, plain_question
from loglease.gateway.parameters import parameters_of
from loglease.gateway.planner import parsed
from loglease.gateway.recheck import Violations
from loglease.gateway.request import Format
from loglease.gateway.resume import Resumes
from loglease.gateway.served import Item
from loglease.logql import LogQuery, QueryFailed
from loglease.model.ids import PrincipalId
from loglease.model.instant import EventWindow, Instant
from loglease.model.limits import Limits
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, Redactor, redactor_for

SUMMED = 'sum(sum_over_time({} | regexp "^n=(?P<n>[0-9]+)" | n != "" | unwrap n [1h]))'
NOW = Instant(1_000)
SPAN = "start=0.000000000&end=1"
TIMES = st.integers(0, 6)
TEXTS = ("level=error needle", "level=info needle", "level=error mail bob@example.com", "mail bob@example.com needle")
QUERIES = ("{}", '{pod="1"}', '|= "needle"', '!= "bob"', '| logfmt | level = "error"')
BLOCK = ("-----BEGIN RSA PRIVATE KEY-----", "secretbody01AbCdEfGhIjKlMn", "-----END RSA PRIVATE KEY-----")


def redactor(profile: str, number: int) -> Redactor:
    return redactor_for([profile], keys=Keys.derived(MASTER, salt=b"s" * 32, grant_id=f"grt_{number}"), marker=MARKER)


REDACTORS = {(profile, n): redactor(profile, n) for profile in ("raw@1", "pii-default@1") for n in range(3)}


@st.composite
def all_lines(draw) -> tuple[Line, ...]:
    made = []
    for number in range(draw(st.integers(0, 14))):
        text = draw(st.sampled_from(TEXTS))
        labels = {"service": draw(st.sampled_from("ab")), "pod": draw(st.sampled_from("12"))}
        made.append(line(draw(TIMES), f"n={number} {text}", **labels))
    if draw(st.booleans()):
        at = draw(st.integers(0, 4))
        made += [line(at + n, f"{text}", service="a", pod="1") for n, text in enumerate(BLOCK)]
    return tuple(made)


@st.composite
def scopes(draw) -> Scope:
    start = draw(st.integers(0, 4))
    return Scope(
        source=draw(st.sampled_from(["src", "src", "src", "other"])),
        selector=parse_selector(
            draw(st.sampled_from(['{service="a"}', '{service=~"a|b"}', '{pod="1"}', '{pod!="1"}']))
        ),
        window=EventWindow(start, draw(st.sampled_from([None, start + 1, start + 3]))),
        level_from=draw(st.sampled_from([None, None, Level.ERROR])),
        contains=draw(st.sampled_from([(), (), ("needle",), ("bob@example.com",)])),
        profile=draw(st.sampled_from(["raw@1", "pii-default@1"])),
    )


class Desk:
    """Answers a question under some grants without sockets; item by item, before anything is cut into slices."""

    def __init__(self, lines: Sequence[Line], page_lines: int, scan_lines: int = 10**6) -> None:
        self._lines = lines
        self._page_lines = page_lines
        self._settings = GatewaySettings(scan_lines=scan_lines)

    def items(self, asked: Asked, grants: Sequence[tuple[int, Scope]]) -> list[Item]:
        return asyncio.run(self._items(asked, self._means(asked, grants)))

    def _means(self, asked: Asked, grants: Sequence[tuple[int, Scope]]) -> list[Means]:
        made: list[Means] = []
        for number, (grant, scope) in enumerate(grants):
            window = scope.window.until(NOW)
            interval = None if window is None else window.intersect(asked.interval)
            assert interval is not None
            opened = SimpleNamespace(
                grant=SimpleNamespace(
                    id=f"grt_{grant}", epoch=0, terms=SimpleNamespace(scopes=(scope,), limits=Limits())
                ),
                interval=interval,
                now=NOW,
            )
            made.append(
                Means(
                    opened=cast("Opened", opened),
                    reader=ListReader(self._lines, loose=True, page_lines=self._page_lines),
                    redactor=REDACTORS[scope.profile or "", grant],
                    violations=Violations(),
                    settings=self._settings,
                    number=number,
                    of=len(grants),
                    before=tuple(one for one in made if one.scope.source == scope.source),
                )
            )
        return made

    async def _items(self, asked: Asked, means: Sequence[Means]) -> list[Item]:
        async def at_once(work, *args):
            return work(*args)

        return [one async for batch in asked.prepare(means).reading.batches(at_once) for one in batch]


def question(query: str, direction: str = "forward") -> Asked:
    read = parameters_of(f"{SPAN}&direction={direction}&query={quote(query)}".encode(), NOW)
    found = parsed(read.query)
    if not isinstance(found, LogQuery):
        asked = numbers_question(read, found, NOW)
        assert not isinstance(asked, Direct)
        return asked

    def resumes_for(bound: str, grants: Sequence[object]) -> Resumes:
        named = [(one.id, one.epoch) for one in grants]  # type: ignore[attr-defined]
        return Resumes(b"r" * 32, grants=named, principal=PrincipalId("prn"), query=bound)

    return plain_question(found, read, Format.NDJSON, resumes_for, None)


def seen(items: Sequence[Item]) -> list[tuple[int, str, str]]:
    """Return time, labels and text of each line."""
    records = [json.loads(item.record) for item in items]
    return [(int(one["ts"]), json.dumps(one["labels"]), one["line"]) for one in records]


@settings(max_examples=volume(37, 150), deadline=None)
@given(
    all_lines(),
    st.lists(scopes(), min_size=2, max_size=3),
    st.sampled_from(QUERIES),
    st.sampled_from(["forward", "backward"]),
    st.integers(1, 5),
)
def test_lines_are_those_of_each_grant_but_for_what_an_older_one_covers(lines, found, query, direction, page_lines):
    grants = [(number, scope) for number, scope in enumerate(found) if allows(scope, query)]
    desk = Desk(lines, page_lines)
    # Texts name their line, so that what is left of the number tells which one it is, whoever masked the rest.
    expected: list[tuple[int, tuple[int, str, str]]] = []
    taken: set[tuple[str, str]] = set()
    for number, scope in grants:
        own = seen(desk.items(question(query, direction), [(number, scope)]))
        expected += [(number, one) for one in own if (scope.source, name_of(one)) not in taken]
        covered = seen(desk.items(question("{}", direction), [(number, scope)]))
        event(f"older covers some: {any((scope.source, name_of(one)) in taken for one in covered)}")
        taken |= {(scope.source, name_of(one)) for one in covered}
    items = desk.items(question(query, direction), grants) if grants else []
    together = list(zip((grants[item.owners[0]][0] for item in items), seen(items), strict=True))
    assert sorted(together) == sorted(expected)
    sign = 1 if direction == "forward" else -1
    order = [(sign * item.event_ns, item.labels, item.owners) for item in items]
    assert order == sorted(order)


def allows(scope: Scope, query: str) -> bool:
    try:
        question(query).check(scope)
    except NotPermitted:
        return False
    return True


def name_of(one: tuple[int, str, str]) -> str:
    """Return what tells a line from all others: its number, or the time and labels of a line of the block."""
    ts, labels, text = one
    return text.split(" ")[0] if text.startswith("n=") else f"{ts} {labels}"


@settings(max_examples=volume(20, 60), deadline=None)
@given(
    all_lines(),
    st.lists(scopes(), min_size=2, max_size=3),
    st.integers(1, 5),
    st.sampled_from(["sum", "last", "count"]),
)
def test_numbers_are_those_of_all_lines_each_once(lines, found, page_lines, function):
    grants = list(enumerate(found))
    desk = Desk(lines, page_lines)
    items = desk.items(question("{}"), grants)
    numbered = [
        (item.event_ns, item.owners[0], text.split(" ")[0][2:])
        for item, (_, _, text) in zip(items, seen(items), strict=True)
        if text.startswith("n=")
    ]
    stages = '| regexp "^n=(?P<n>[0-9]+)" | n != ""'
    query = {
        "sum": f"sum(sum_over_time({{}} {stages} | unwrap n [1h]))",
        "count": f"sum(count_over_time({{}} {stages} [1h]))",
        "last": f"max(last_over_time({{}} {stages} | unwrap n [1h]) by (nothing))",
    }[function]
    answer = desk.items(question(query), grants)
    values = [
        float(json.loads("[" + item.record.decode().split('"value":[')[1].split("]")[0] + "]")[1]) for item in answer
    ]
    wanted = [float(number) for _, _, number in sorted(numbered, key=lambda one: one[:1])]
    if not wanted:
        assert values == []
        return
    latest = max(ns for ns, _, _ in numbered)
    if function == "last":
        assert values[0] in [float(number) for ns, _, number in numbered if ns == latest]
    else:
        assert values == [sum(wanted) if function == "sum" else len(wanted)]


def test_the_law_is_asked_about_lines_that_several_cover():
    """The strategies would prove nothing if no two scopes met."""
    one = Scope(source="src", selector=parse_selector('{pod="1"}'), window=EventWindow(0, None), profile="raw@1")
    other = Scope(source="src", selector=parse_selector('{service="a"}'), window=EventWindow(0, 3), profile="raw@1")
    lines = (line(1, "n=0 x", service="a", pod="1"), line(2, "n=1 x", service="a", pod="2"))
    items = Desk(lines, 2).items(question("{}"), [(0, one), (1, other)])
    assert [item.owners for item in items] == [(0,), (1,)]


@settings(max_examples=volume(26, 80), deadline=None)
@given(
    all_lines(),
    st.lists(st.tuples(TIMES, st.sampled_from(TEXTS)), max_size=8),
    st.lists(scopes(), min_size=2, max_size=3),
    st.sampled_from(["{}", '|= "needle"', 'sum(count_over_time({} |= "needle" [1h]))', SUMMED]),
    st.sampled_from(["forward", "backward"]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([2, 4, 10**6]),
)
def test_what_no_grant_covers_changes_nothing(lines, hidden, found, query, direction, page_lines, scan_lines):
    """Neither what is given nor where an answer ends for its size, however a source cuts its pages."""
    grants = list(enumerate(found))
    # A window ends before these times at the latest, and no scope has that service.
    other = [line(ts, f"hidden {text}", service="z", pod="2") for ts, text in hidden]
    beyond = [line(-1 - ts, f"hidden {text}", service="a", pod="1") for ts, text in hidden]
    grants = [(number, replace(scope, selector=parse_selector('{service=~"a|b"}'))) for number, scope in grants]
    answers = []
    for given_lines, size in ((lines, page_lines[0]), ((*lines, *other, *beyond), page_lines[1])):
        desk = Desk(given_lines, size, scan_lines)
        try:
            items = desk.items(question(query, direction), grants)
        except QueryFailed as error:
            answers.append((error.reason, error.message))
        else:
            answers.append([(item.record, item.owners, item.places) for item in items])
    assert answers[0] == answers[1]

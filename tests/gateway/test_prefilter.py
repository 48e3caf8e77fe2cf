"""Literals that a source looks for: the answer is the one without, whatever lies in the lines that are left out."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.gateway import MARKER
from tests.gateway.test_tail import tailing
from tests.gateway.world import T0, Answer, Line, ListReader, World, call, eventually, line, world

from loglease.gateway import GatewaySettings, prefilter
from loglease.gateway.planner import parsed, pushed_literals
from loglease.gateway.prefilter import wanted_pages
from loglease.gateway.reading import FOLLOW_BYTES
from loglease.model.instant import Interval
from loglease.model.labels import Selector
from loglease.redaction import Keys, redactor_for
from loglease.sources.interface import Capabilities, Direction, ReadPlan

MARKS = redactor_for(["pii-default@1"], keys=Keys(bytes(32)), marker=MARKER).block_marks
EXACT = Capabilities(exact_literal=True, marks=True)
KEY = [
    "-----BEGIN RSA PRIVATE KEY-----",
    "needleAAAA1aaaaaaaaaaaaaaaaaaaaa",
    "bbbbAAAA1bbbbbbbbbbbbbbbbbbbbbbb",
    "needleA1==",
    "-----END RSA PRIVATE KEY-----",
]
MASKED = ["mail needle@example.com", "password=needle-hunter2 beside", "needle for bob@example.com"]
NEEDLE = quote('{} |= "needle"')
WORDS = ["a needle", "nothing here", "status=500 needle", "needle\nin two lines", "Needle", '{"msg":"needle"}', *MASKED]
QUERIES = [
    '|= "needle"',
    '|~ "needle.*e"',
    '|= "needle" |= "status"',
    '| logfmt | status="500" |= "needle" | line_format "{{.status}}"',
    '|= "needle" != "mail"',
    '|= "nee" or "dle"',
    '| json | __error__="" |= "needle"',
]


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefilter, "WHOLE_LINES", 4)


def logs(texts: list[str], *, tied: int = 1, service: str = "a") -> list[Line]:
    return [line(T0 + at // tied, text, service=service, pod=str(at % 2)) for at, text in enumerate(texts)]


async def asked(w: World, path: str, *, exact: bool) -> tuple[Answer, list[ReadPlan]]:
    """Ask, with literals or without, under a grant that is the same both times; return the answer and the reads."""
    w.reader.capabilities = Capabilities(backward=True, follow=True, exact_literal=exact, marks=exact)
    w.reader.plans.clear()
    answer = await call(w, path)
    return answer, [one for one in w.reader.plans if one.literals]


def path_of(grant: str, query: str, *, direction: str = "forward") -> str:
    return f"/g/{grant}/logs?start=0&direction={direction}&query={quote(query)}"


def metric_path(grant: str, query: str) -> str:
    times = f"&start={T0}&end={T0 + 60 * 10**9}&step=30"
    return f"/g/{grant}/loki/api/v1/query_range?query={quote(query)}{times}"


async def same_both_ways(w: World, path: str) -> list[ReadPlan]:
    """Compare the answer that needed literals with the one without; return the reads with literals."""
    plain, none = await asked(w, path, exact=False)
    assert none == []
    answer, plans = await asked(w, path, exact=True)
    assert answer.status == plain.status == 200
    assert answer.body == plain.body
    return plans


@pytest.mark.parametrize("profile", ["raw@1", "pii-default@1"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("query", QUERIES)
async def test_the_answer_is_the_one_without_literals(tmp_path, profile, direction, query):
    lines = [*logs(WORDS * 4, tied=3), *logs(["hidden needle", *KEY] * 3, service="b")]
    async with world(tmp_path, lines=lines, page_lines=4) as w:
        grant = await w.grant(profile=profile)
        plans = await same_both_ways(w, path_of(grant.id, "{} " + query, direction=direction))
        literals = {one for plan in plans for one in plan.literals if plan.marks or profile == "raw@1"}
        assert (b"needle" in literals) is (" or " not in query)
        metrics = f"sum by (pod) (count_over_time({{}} {query} [1m]))"
        plans = await same_both_ways(w, metric_path(grant.id, metrics))
        assert bool(plans) is (" or " not in query)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("before", [0, 2, 9, 40])
async def test_no_block_is_blinded(tmp_path, before, direction):
    """The first line of the key has no literal, some behind it have: they are masked all the same."""
    texts = ["nothing here"] * before + KEY + ["a needle"] * 30
    lines = [line(T0 + at, text, service="a") for at, text in enumerate(texts)]
    async with world(tmp_path, lines=lines, page_lines=3) as w:
        grant = await w.grant(profile="pii-default@1")
        path = path_of(grant.id, '{} |= "needle"', direction=direction)
        assert {(*one.literals, *one.marks) for one in await same_both_ways(w, path)} == {MARKS}
        assert b"needleA" not in (await call(w, path)).body


async def test_marks_in_lines_of_others_do_not_matter(tmp_path):
    lines = [*logs(WORDS * 4), *logs(KEY, service="b")]
    async with world(tmp_path, lines=sorted(lines, key=lambda one: one.ts), loose=True, page_lines=3) as w:
        grant = await w.grant(profile="pii-default@1")
        plans = await same_both_ways(w, path_of(grant.id, '{} |= "needle"'))
        assert {(*one.literals, *one.marks) for one in plans} == {MARKS, (b"needle", *MARKS)}


async def test_a_mark_that_arrives_later_ends_the_answer(tmp_path):
    async with world(tmp_path, lines=logs(["a needle", "nothing here"] * 10), exact=True, page_lines=3) as w:
        grant = await w.grant(profile="pii-default@1")
        read = w.reader.read

        def arriving(plan):
            if plan.literals == (b"needle",):
                w.reader.lines += [line(T0 + 30 + at, text, service="a") for at, text in enumerate(KEY)]
            return read(plan)

        w.reader.read = arriving
        answer = await call(w, path_of(grant.id, '{} |= "needle"'))
        assert b"needleA" not in answer.body
        assert answer.status == 502


async def test_a_frequent_literal_is_not_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(prefilter, "WHOLE_LINES", 20)
    async with world(tmp_path, lines=logs(WORDS * 4), exact=True, page_lines=3) as w:
        grant = await w.grant()
        path = f"/g/{grant.id}/loki/api/v1/query_range?query={NEEDLE}&start={T0}&end={T0 + 99}"
        answer = await call(w, path + "&limit=2&direction=forward")
        assert answer.body.count(b"needle") == 2
        assert [one.literals for one in w.reader.plans] == [()]


async def test_a_tail_looks_back_with_literals_and_follows_without(tmp_path):
    texts = ["needle old", *["nothing here"] * 20, "needle 1", "nothing", "needle 2", "mail needle@example.com"]
    async with world(tmp_path, lines=logs(texts), exact=True, page_lines=3) as w:
        grant = await w.grant(profile="pii-default@1")
        async with tailing(w, grant, query='{} |= "needle"', limit=2) as client, asyncio.timeout(20):
            shown = ""
            while "needle 2" not in shown:
                shown += str(await client.recv())
            await eventually(lambda: w.reader.plans[-1].page_bytes == FOLLOW_BYTES)
            w.reader.add(*(line(w.clock.now() * 1_000, f"{text} new", service="a") for text in ("nothing", "needle")))
            while "needle new" not in shown:
                shown += str(await client.recv())
        assert "needle 1" in shown
        assert "old" not in shown
        assert "@" not in shown
        assert (b"needle",) in {one.literals for one in w.reader.plans[:-1]}
        assert (w.reader.plans[-1].literals, w.reader.plans[-1].marks) == ((), ())


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    ("query", "holding"), [('|= "needle"', 14), ("", 28), ('|~ "need.e"', 14), ('|= "x" or "needle"', 28)]
)
async def test_a_limit_counts_lines_with_the_literal_behind_redaction(tmp_path, exact, query, holding):
    """Where a source looks for literals only they count, whichever read was chosen; else all that are permitted."""
    texts = ["a needle", "level=debug needle", "mail needle@example.com", "x"] * 7
    counted = holding if exact else 28
    for most, end in ((counted, "complete"), (counted - 1, "limit")):
        (tmp_path / end).mkdir()
        chosen = GatewaySettings(scan_lines=most)
        async with world(tmp_path / end, settings=chosen, lines=logs(texts), exact=exact, page_lines=5) as w:
            grant = await w.grant(profile="pii-default@1")
            answer = await call(w, path_of(grant.id, "{} " + query))
            assert answer.end == end


@pytest.mark.parametrize(
    ("query", "can", "marks", "literals"),
    [
        ('|= "needle"', EXACT, MARKS, (b"needle",)),
        ('|= "needle"', EXACT, (), (b"needle",)),
        ('|= "needle"', Capabilities(exact_literal=True), (), (b"needle",)),
        ('|= "needle"', Capabilities(exact_literal=True), MARKS, ()),
        ('|= "needle"', Capabilities(marks=True), (), ()),
        ('|= "ne"', EXACT, (), ()),
        ('|= "é"', EXACT, (), ()),
        ('|= "né"', EXACT, (), ("né".encode(),)),
        (f'|= "{"n" * 256}"', EXACT, (), (b"n" * 256,)),
        (f'|= "{"n" * 257}"', EXACT, (), ()),
        ('|= "⟦email"', EXACT, (), ()),
        ('|= "user⟧"', EXACT, (), ()),
        ('|= "user␀"', EXACT, (), ()),
        ('|= "user␿"', EXACT, (), ()),
        ('|= "user\ufffd"', EXACT, (), ()),
        ('!= "needle"', EXACT, (), ()),
        ('!~ "needle"', EXACT, (), ()),
        ('|> "<_>needle<_>"', EXACT, (), ()),
        ('|= "needle" or "pin"', EXACT, (), ()),
        ('|~ "needle" or "pin"', EXACT, (), ()),
        ('|~ "(?i)needle"', EXACT, (), ()),
        ('|~ "needle|pin"', EXACT, (), ()),
        ('|~ "a needle in ⟦⟧ hay"', EXACT, (), ()),
        ('|~ "a needle in .* hay"', EXACT, (), (b"a needle in ",)),
        ('| line_format "needle" |= "needle"', EXACT, (), ()),
        ('| unpack |= "needle"', EXACT, (), ()),
        ('| decolorize |= "needle"', EXACT, (), ()),
    ],
)
def test_what_may_be_pushed(query, can, marks, literals):
    assert pushed_literals(parsed("{} " + query), can, marks) == literals


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["needle", "x", "-----BEGIN x", "no"])), max_size=30),
    page_lines=st.integers(1, 5),
    direction=st.sampled_from(list(Direction)),
    loose=st.booleans(),
)
async def test_every_line_with_the_literal_is_read_once(texts, page_lines, direction, loose):
    at = 0
    lines = []
    for number, (step, text) in enumerate(texts):
        at += step
        lines.append(line(at, f"{number} {text}", service="a" if number % 3 else "b"))
    reader = ListReader(lines, loose=loose, exact=True, page_lines=page_lines)
    plan = ReadPlan(
        selector=Selector(),
        interval=Interval(0, at + 1),
        direction=direction,
        literals=(b"needle",),
        marks=MARKS,
    )

    def covered(page):
        return [place for place in range(len(page)) if dict(page.streams[page.stream[place]])["service"] == "a"]

    found = [
        (page.ts[place], page.lines[place])
        async for page in wanted_pages(reader, plan, covered)
        for place in covered(page)
    ]
    wanted = sorted(((one.ts, one.text) for one in lines if dict(one.labels)["service"] == "a"), key=lambda one: one[0])
    if direction is Direction.BACKWARD:
        wanted.reverse()
    assert [one for one in found if b"needle" in one[1]] == [one for one in wanted if b"needle" in one[1]]
    assert len(set(found)) == len(found)

"""Promise 2, blind: "Every answer is a function of permitted, already redacted lines. Data outside the scope or under a
mask changes no byte of any response: not a body, a count, a statistic, an error, a status code or the number of frames."

Two data sets that differ only there are read through a real gateway on a real socket, with a source that holds nothing
back, and every byte that comes is compared: status, headers, body, and where its frames were cut. Pseudonyms are
compared by pattern, since which values are equal is what they concede. `LOGLEASE_BLIND_EXAMPLES` asks for more.

A machine that stalls may make a gateway refuse or end an answer: its lease on what was revoked is over after two
seconds, its reservations lapse, its records come too late. None of that is in the data, and all of it is in the clock, so
the clock of these gateways stands still and a record may take its time. Nothing is left then that may differ, chunk
borders included: they do not follow from when lines come, which the tests with slow and divided sources hold them to.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.fakes.world import Runner
from tests.gateway.world import T0, TOKEN, Answer, Line, Tail, World, call, line, world
from tests.promises.shared import running
from tests.promises.twins import CLASSES, WINDOW_NS, Twins, by_pattern, queries, secret, twins
from tests.promises.twins import TOKEN as PSEUDONYM
from tests.volume import volume

from loglease.gateway import GatewaySettings
from loglease.model.grant import Grant
from loglease.model.limits import Limits
from loglease.model.scope import Level

EXAMPLES = int(os.environ.get("LOGLEASE_BLIND_EXAMPLES", volume(60, 220)))
GENEROUS = Limits(queries_per_min=10**9, lines=10**12, bytes=10**15)
FORMATS = ("application/x-ndjson", "text/event-stream", "text/plain")
TIMES = ("start=0", f"start={T0 + 100}", f"start={T0 + 300}&end={T0 + 700}", f"start=0&end={T0 + 5_000}")
MORE = (f"start={T0 - 900}&end={T0 - 800}", f"start={T0 + 9}&end={T0 + 3}", "start=x", "start=0&limit=0")
SERIES = re.compile(rb'\{"metric":\{[^{}\r]*\},"value":\[[^\[\]\r]*\]\}')
DATE = re.compile(rb"\r\ndate: [^\r]*", re.IGNORECASE)


@dataclass
class Reading:
    """A gateway, the two grants that are read under, and a loop to run it in."""

    run: Runner
    world: World
    plain: Grant
    ruled: Grant


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    settings = GatewaySettings(record_within_s=60)
    gateway = world(tmp_path_factory.mktemp("blind"), loose=True, page_lines=3, settings=settings)
    with running(gateway) as (run, made):
        made.clock.stop()
        run(made.watch.poll())
        made.profile = "pii-default@1"
        window = {"start_ns": T0, "end_ns": T0 + WINDOW_NS, "limits": GENEROUS}
        plain = run(made.grant('{service="a"}', **window))
        ruled = run(made.grant('{service="a"}', level=Level.WARN, contains=("pay",), **window))
        yield Reading(run, made, plain, ruled)


def transcript(answer: Answer) -> bytes:
    """Return everything that a client can see but the time of day and the values behind pseudonyms."""
    return by_pattern(in_an_order_of_patterns(DATE.sub(b"", answer.raw)))


def in_an_order_of_patterns(raw: bytes) -> bytes:
    """Put the series of a metric query's answer into an order for which the letters of pseudonyms do not count.

    They come in the order of their labels as they are shown, letters of pseudonyms included, and in no other.
    """
    found = SERIES.findall(raw)
    shown = [sorted(json.loads(one)["metric"].items()) for one in found]
    assert shown == sorted(shown)
    ranked = iter(sorted(found, key=lambda one: PSEUDONYM.sub(rb"\1", one)))
    return SERIES.sub(lambda _: next(ranked), raw)


def test_series_are_compared_in_an_order_that_no_pseudonym_decides() -> None:
    def answer(*series: tuple[str, str]) -> bytes:
        shown = ",".join(
            f'{{"metric":{{"owner":"⟦email:{owner}⟧",{more}}},"value":[1,"0.5"]}}' for owner, more in series
        )
        return f'HTTP/1.1 200 OK\r\n\r\n5\r\n{{"data":[{shown}]}}\r\n'.encode()

    pod, service = '"pod":"p1"', '"service":"a"'
    one, other = answer(("a" * 10, pod), ("b" * 10, service)), answer(("a" * 10, service), ("b" * 10, pod))
    assert by_pattern(one) != by_pattern(other)
    assert by_pattern(in_an_order_of_patterns(one)) == by_pattern(in_an_order_of_patterns(other))
    apart = answer(("a" * 10, pod), ("a" * 10, service))
    assert by_pattern(in_an_order_of_patterns(one)) != by_pattern(in_an_order_of_patterns(apart))
    with pytest.raises(AssertionError):
        in_an_order_of_patterns(answer(("b" * 10, pod), ("a" * 10, service)))


async def both(made: World, data: Twins, path: str, *headers: str) -> tuple[Answer, Answer]:
    answers = []
    for lines in (data.one, data.other):
        made.reader.lines = list(lines)
        answers.append(await call(made, path, TOKEN, *headers))
    return answers[0], answers[1]


async def followed_on(made: World, data: Twins, path: str, accept: str, answers: tuple[Answer, Answer]) -> None:
    """Go on where the answers stopped: a resume value is an answer, too."""
    resume = [re.findall(rb'"resume":"([^"]+)"|\nid: (\S+)\nevent: end', answer.body) for answer in answers]
    assert resume[0] == resume[1]
    if resume[0]:
        value = (resume[0][-1][0] or resume[0][-1][1]).decode()
        one, other = await both(made, data, path, f"Accept: {accept}", f"Last-Event-ID: {value}")
        assert transcript(one) == transcript(other)


@pytest.mark.volume
@pytest.mark.parametrize("ruled", [False, True], ids=["labels and time", "line rules too"])
def test_hidden_data_changes_no_byte(reading: Reading, ruled: bool) -> None:
    grant = reading.ruled if ruled else reading.plain

    @settings(
        max_examples=EXAMPLES // 2,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        data=twins(line_rules=ruled),
        query=queries(),
        accept=st.sampled_from(FORMATS),
        direction=st.sampled_from(["forward", "backward"]),
        times=st.sampled_from(TIMES * 4 + MORE),
        limit=st.sampled_from(["", "", "&limit=1", "&limit=3", "&limit=5000"]),
    )
    def changes_no_byte(data: Twins, query: str, accept: str, direction: str, times: str, limit: str) -> None:
        path = f"/g/{grant.id}/logs?{times}&direction={direction}{limit}&query={quote(query)}"

        async def compared() -> None:
            one, other = await both(reading.world, data, path, f"Accept: {accept}")
            assert one.status
            event(f"status {one.status}")
            event(f"lines: {min(len(one.body.splitlines()) - 1, 5) if one.status == 200 else 'none'}")
            assert transcript(one) == transcript(other)
            if one.status == 200 and limit:
                await followed_on(reading.world, data, path, accept, (one, other))

        reading.run(compared())

    changes_no_byte()


@pytest.mark.attack("QL-07")
def test_no_question_finds_out_what_a_mask_hides(reading: Reading) -> None:
    """Letter by letter, with parts of the hidden values, with expressions over labels: the answers do not move.

    The letters of a pseudonym itself are no secret; an expression over a label sees them as everybody does.
    """
    pages: list[list[Line]] = [[], []]
    asked = [f'{{}} {op} "{letter}"' for letter in "aqz7@:⟦" for op in ("|=", "!=")]
    asked += [f'{{owner{op}".*{part}.*"}}' for part in ("1", "@", "email", "card") for op in ("=~", "!~")]
    for cls in CLASSES:
        for n in range(5):
            for side, lines in enumerate(pages):
                value = secret(cls, 50 * (side + 1) + n)
                lines.append(line(T0 + len(lines), value, service="a"))
                lines.append(line(T0 + len(lines), f"by {n}", service="a", owner=value))
        whole = secret(cls, 50).replace('"', "")
        asked += [f'{{}} {op} "{part}"' for part in (whole, whole[-6:], whole[3:9]) for op in ("|=", "!=")]
        asked += [f'{{owner{op}"{whole}"}}' for op in ("=", "!=")]
    data = Twins(tuple(pages[0]), tuple(pages[1]))

    async def compared() -> None:
        for query in asked:
            path = f"/g/{reading.plain.id}/logs?start=0&query={quote(query)}"
            one, other = await both(reading.world, data, path)
            assert one.status == 200, query
            assert transcript(one) == transcript(other), query

    reading.run(compared())


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_slow_source_shows_nothing_of_what_it_gave_between(reading: Reading, accept: str, direction: str) -> None:
    """Pages that are full of hidden lines must not show in where the frames of an answer are cut."""
    seen = [line(T0 + 10 * at, f"visible {at}", service="a") for at in range(6)]
    hidden = [line(T0 + 10 * at + 5, "not for you " * at, service="b") for at in range(1, 6)]
    data = Twins(tuple(seen), tuple(sorted([*seen, *hidden], key=lambda one: one.ts)))
    reader = reading.world.reader
    quick = reader.read

    async def read(plan):
        async for page in quick(plan):
            yield page
            await asyncio.sleep(0.05)

    path = f"/g/{reading.plain.id}/logs?start=0&direction={direction}"
    reader.read = read
    try:
        one, other = reading.run(both(reading.world, data, path, f"Accept: {accept}"))
    finally:
        reader.read = quick
    assert transcript(one) == transcript(other)
    assert one.body.count(b"visible") == len(seen)


@pytest.mark.parametrize("accept", FORMATS)
def test_pages_of_a_tail_show_nothing_of_the_hidden_lines_in_them(reading: Reading, accept: str) -> None:
    """Hidden lines fill a source's pages, so visible ones arrive one by one instead of together."""
    seen = [line(T0 + at, f"visible {at}", service="a") for at in range(3)]
    path = f"/g/{reading.plain.id}/logs?start=0&follow=true&limit={len(seen)}"

    async def transcript_of(pages: list[list[Line]]) -> bytes:
        reader = reading.world.reader
        reader.lines = list(pages[0])
        tail = await Tail.open(reading.world, path, f"Accept: {accept}")
        received = b""
        for number, lines in enumerate(pages):
            if number:
                reader.add(*lines)
            while received.count(b"visible") < sum(one in seen for page in pages[: number + 1] for one in page):
                received = await tail.more()
        answer = await tail.rest()
        assert answer.whole
        return transcript(answer)

    together = reading.run(transcript_of([seen]))
    apart = reading.run(transcript_of([[one, line(T0 + 9, "not for you", service="b")] for one in seen]))
    assert together == apart

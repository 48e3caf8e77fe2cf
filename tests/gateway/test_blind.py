"""Data outside the scope or under a mask changes no byte of an answer, pseudonyms aside."""

from __future__ import annotations

import random
import re
from urllib.parse import quote

import pytest
from tests.gateway.world import T0, TOKEN, Line, call, line, world

from loglease.gateway import GatewaySettings
from loglease.model.limits import Limits
from loglease.model.scope import Level
from loglease.redaction import Redactor, Withheld

PAIRS = 60
PSEUDONYM = re.compile(r"⟦([a-z0-9-]+):[a-z2-7]{10}⟧".encode())
WORDS = ["timeout", "paid", "user", "error", "level=debug", "info"]
QUERIES = [
    "{}",
    '|= "timeout"',
    '!= "timeout"',
    '|= "a1b"',
    '|= "email"',
    '!= "a1b" |= "paid"',
    '{pod="p1"}',
    '{pod!="p1"} |= "example"',
    '{owner=~".*a1b.*"}',
    '{service="a"} |= "user" or "error"',
]
HIDDEN_FROM = "ab18"  # with digits that no pseudonym has, or a query could match one by chance
FORMATS = ["application/x-ndjson", "text/event-stream", "text/plain"]


def made(chance: random.Random) -> tuple[list[Line], list[Line]]:
    """Return two data sets that differ only outside the scope and under masks."""
    one: list[Line] = []
    other: list[Line] = []
    for n in range(chance.randrange(40)):
        ts = T0 + 1_000 + 2 * n  # times differ: lines of one time are ordered by what is visible, pseudonyms included
        labels = {"service": "a", "pod": chance.choice(["p1", "p2"])}
        words = chance.choices(WORDS, k=3)
        texts, owners = [], []
        for _ in range(2):
            hidden = "".join(chance.choices(HIDDEN_FROM, k=chance.choice([3, 3, 9])))
            texts.append(" ".join([*words[:2], f"for {hidden}@example.com", words[2]]))
            owners.append(f"{hidden}@example.com")
        one.append(line(ts, texts[0], service="a", pod=labels["pod"], owner=owners[0]))
        other.append(line(ts, texts[1], service="a", pod=labels["pod"], owner=owners[1]))
    for lines in (one, other):
        for _ in range(chance.randrange(30)):
            outside = chance.choice(["label", "early", "late"])
            ts = {"label": T0 + 1_001 + 2 * chance.randrange(40), "early": T0, "late": T0 + 10**9}[outside]
            text = " ".join(chance.choices([*WORDS, "a1b@example.com"], k=4))
            lines.append(line(ts, text, service="b" if outside == "label" else "a", pod="p1"))
        lines.sort(key=lambda found: found.ts)
    return one, other


def shown(raw: bytes) -> bytes:
    return PSEUDONYM.sub(rb"\1", raw)


async def test_hidden_data_changes_no_byte(tmp_path):
    chance = random.Random(7)  # noqa: S311 - made-up data
    touched = served = 0
    async with world(tmp_path) as w:
        limits = Limits(queries_per_min=10_000)
        window = {"start_ns": T0 + 1_000, "end_ns": T0 + 2_000, "profile": "pii-default@1", "limits": limits}
        grants = [
            await w.grant(**window),
            await w.grant(level=Level.INFO, **window),
            await w.grant(contains=("paid",), **window),
        ]
        for _ in range(PAIRS):
            pair = made(chance)
            grant = chance.choice(grants)
            query = quote(chance.choice(QUERIES))
            tail = chance.choice(["", "&limit=3", "&direction=forward", "&direction=forward&limit=5"])
            accept = f"Accept: {chance.choice(FORMATS)}"
            w.reader.loose = chance.random() < 0.5
            w.reader.page_lines = chance.choice([3, 100])
            answers = []
            for lines in pair:
                w.reader.lines = lines
                answers.append(await call(w, f"/g/{grant.id}/logs?start=0&query={query}{tail}", TOKEN, accept))
            one, other = answers
            assert (one.status, one.headers) == (other.status, other.headers)
            assert shown(one.body) == shown(other.body)
            assert b"example.com" not in one.body
            served += one.body.count(b"\n")
            touched += PSEUDONYM.search(one.body) is not None
    assert served > 200
    assert touched > 15


async def test_an_error_does_not_depend_on_data(tmp_path):
    async with world(tmp_path) as w:
        grant = await w.grant()
        answers = set()
        for lines in ([], [line(T0, "x", service="b")], [line(T0, "x", service="a")]):
            w.reader.lines = lines
            for query in ('{service="b"}', "{service=", '{a="b"} | json'):
                answer = await call(w, f"/g/{grant.id}/logs?start=0&query={quote(query)}")
                answers.add((query, answer.status, tuple(answer.headers), answer.body))
        assert len(answers) == 3


NAMES = ("labels", "label/service/values", "series", "detected_labels")
SHOWN = [line(T0 + n, f"warn {n}", service="a", pod="p1") for n in range(3)]
HIDDEN = [
    *(line(T0 - 5, "earlier", service="a", pod=f"q{n}") for n in range(5)),
    *(line(T0 + 1, "debug level", service="a") for _ in range(5)),
    *(line(T0 + 1, "debug level", service="a", pod=f"r{n}") for n in range(5)),
]


@pytest.mark.parametrize("route", NAMES)
async def test_streams_that_are_hidden_use_up_nothing_of_what_may_be_looked_at(tmp_path, route):
    settings = GatewaySettings(scan_lines=2)
    async with world(tmp_path, settings=settings, loose=True, page_lines=3) as w:
        grant = await w.grant(start_ns=T0, level=Level.INFO)
        answers = []
        for lines in (SHOWN, sorted([*HIDDEN, *SHOWN], key=lambda one: one.ts)):
            w.reader.lines = lines
            answers.append(await call(w, f"/g/{grant.id}/loki/api/v1/{route}?start=0"))
        assert answers[0].status == 200
        assert answers[0].raw == answers[1].raw


@pytest.mark.parametrize("route", NAMES)
async def test_labels_of_a_stream_without_a_permitted_line_are_not_redacted(tmp_path, monkeypatch, route):
    """A label that cannot be redacted ends an answer, so it may not be looked at for a stream that is hidden."""
    value = Redactor.value

    def failing(self, key, text):
        if text == b"fails":
            raise Withheld("engine_error")
        return value(self, key, text)

    monkeypatch.setattr(Redactor, "value", failing)
    async with world(tmp_path, lines=[*SHOWN, line(T0 - 5, "earlier", service="a", pod="fails")]) as w:
        path = f"loki/api/v1/{route}?start=0"
        assert (await call(w, f"/g/{(await w.grant(start_ns=T0)).id}/{path}")).status == 200
        assert (await call(w, f"/g/{(await w.grant(start_ns=T0 - 5)).id}/{path}")).status == 503


SPACED = f"start=0&end={T0 + 10**9}"
SEEN = [
    *(line(T0 + 1_000 * n, f"warn {n} bob@example.com", service="a", pod=f"p{n % 2}") for n in range(30)),
    line(T0 + 1_000, "warn of the same time", service="a", pod="p0"),
]
UNSEEN = [
    *(line(T0 + 500 * n, f"warn {n}", service="b", pod=f"p{n % 2}", host="h") for n in range(90)),
    *(line(T0 - 500 * n, f"warn {n}", service="a", pod="early") for n in range(1, 40)),
    *(line(T0 + 1_000 * n, "debug level", service="a", pod="quiet") for n in range(40)),
]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize(
    "asked",
    [
        f"query_range?query=%7B%7D&interval=0.000002&{SPACED}",
        f"query_range?query=%7B%7D&interval=0.0000015&direction=forward&limit=7&{SPACED}",
        f"index/volume?aggregateBy=labels&{SPACED}",
        f"index/volume_range?aggregateBy=labels&targetLabels=pod,host&step=1s&start={T0}&end={T0 + 10**9}",
        f"index/volume?targetLabels=pod&limit=1&{SPACED}",
        f"index/stats?{SPACED}",
        f"query_range?query=%7B%7D&start=0&end={T0}",
        f"labels?start=0&end={T0 - 1}",
        f"query_range?query=absent_over_time(%7B%7D%5B1h%5D)&step=1h&start={T0 - 10**13}&end={T0}",
    ],
)
async def test_hidden_lines_move_nothing_that_loki_s_clients_are_told(tmp_path, coding, asked):
    settings = GatewaySettings(exact_statistics=True)
    async with world(tmp_path, settings=settings, loose=True) as w:
        grant = await w.grant(start_ns=T0, level=Level.INFO, profile="strict@1")
        answers = []
        for lines, page_lines in ((SEEN, 100), ([*SEEN, *UNSEEN], 3), ([*UNSEEN, *SEEN], 7)):
            w.reader.lines, w.reader.page_lines = sorted(lines, key=lambda one: one.ts), page_lines
            answer = await call(w, f"/g/{grant.id}/loki/api/v1/{asked}", TOKEN, f"Accept-Encoding: {coding}")
            assert answer.status == 200
            answers.append(re.sub(rb"\r\ndate: [^\r]*", b"", answer.raw))
        assert len(set(answers)) == 1

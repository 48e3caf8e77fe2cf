"""All that a log store is sent for the questions of a reader: the scope, the times, and texts to look for."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

import pytest
from tests.fakes.loki import Stored
from tests.fakes.loki import time_of as event_ns_of
from tests.gateway.world import T0, TOKEN, call, world
from tests.sources.stores import LokiStore, loki_store

from loglease.gateway import prefilter

SECOND = 10**9
START, END = T0 + SECOND, T0 + 100 * SECOND
HEADERS = {"host", "accept", "accept-encoding", "user-agent", "x-loki-response-encoding-flags"}
STRANGE = ("X-Scope-OrgID: hr", "X-Prom-Label-Policy: hr:{}", "X-Query-Tags: x=y", "Cookie: a=b", "X-Strange: 1")
MARKS = r"---- BEGIN SSH2 \|-----BEGIN \|-----BEGIN\\x5c\+\|Private-Lines: "
FILTERS = rf'( \|~ "(needle\|)?{MARKS}")?'
QUESTIONS = [  # and whether their answer shows the text
    ('{} |= "needle"', True),
    ('{pod="1"} |~ "nee.le|x" |~ "needle$"', True),
    ('{service="b"} |= "needle"', False),
    ('{pod=~".*1"} |= "needle" | line_format "strange"', False),
    ('{} |= "needle" != "strange" # strange', True),
    ('sum by (pod) (count_over_time({} |= "needle" [1h]))', False),
    ('sum(rate({pod="2"} |= "needle" | logfmt | strange="" [30d] offset -1h))', False),
]


@pytest.fixture(autouse=True)
def _early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefilter, "WHOLE_LINES", 3)


def rows() -> list[Stored]:
    found = []
    for at in range(120):
        text = "a needle" if at % 5 == 0 else f"nothing {at}"
        found.append(Stored(T0 + at * SECOND, {"service": "ab"[at % 7 == 0], "pod": str(at % 3)}, text))
    return found


def asked_texts(store: LokiStore) -> list[str]:
    """Check all that the store was sent, and return the queries."""
    queries = []
    for one in store.server.calls:
        query = dict(one.query)
        text = query.get("query") or query["match[]"]
        assert re.fullmatch(r'\{(pod="[012]",)?service="a"\}' + FILTERS, text), text
        assert set(one.headers) - {"connection"} <= HEADERS
        assert START <= event_ns_of(query["start"]) <= event_ns_of(query["end"]) <= END
        assert set(query) <= {"query", "match[]", "start", "end", "limit", "direction"}
        assert "strange" not in repr(one)
        queries.append(text)
    return queries


@pytest.mark.attack("GW-06", "GW-08")
async def test_a_loki_is_sent_the_scope_inside_the_window_and_texts_to_look_for(tmp_path):
    async with loki_store(tmp_path) as store, world(tmp_path) as w:
        await store.fake.write(rows())
        w.reader = store.reader  # type: ignore[assignment]
        grant = await w.grant('{service="a"}', start_ns=START, end_ns=END, profile="pii-default@1")
        for question, shows in QUESTIONS:
            store.server.calls.clear()
            times = urlencode({"start": T0 - 10**15, "end": T0 + 10**15, "step": "2w"})
            path = f"/g/{grant.id}/loki/api/v1/query_range?{times}&query={quote(question)}&strange=1&limit=50"
            answer = await call(w, path, TOKEN, *STRANGE)
            assert answer.status == 200, answer.raw
            assert (b"needle" in answer.body) is shows
            queries = asked_texts(store)
            assert any("needle" in one for one in queries) is ('service="b"' not in question)
        for route in ("labels", "series", "label/pod/values"):
            store.server.calls.clear()
            answer = await call(w, f"/g/{grant.id}/loki/api/v1/{route}?{times}", TOKEN, *STRANGE)
            assert answer.status == 200
            assert asked_texts(store)

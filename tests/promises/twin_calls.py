"""Calls of every route of the gateway, drawn for logs of twins: addresses, parameters, headers, pages."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

from hypothesis import strategies as st
from tests.promises.in_memory import NOW_NS, Answer, Asking
from tests.promises.twin_logs import NAMES, WINDOW_NS, twin_lines_queries, twin_metrics, twin_queries, twin_selectors

from loglease.gateway.routes import Action

BASE_NS = NOW_NS - WINDOW_NS // 2
"""Where the lines of twins begin: half of them are in the past and half are still to come."""

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
PLAIN_FORMATS = ("application/x-ndjson", "text/event-stream", "text/plain")
MAX_PAGES = 3

Pairs = tuple[tuple[str, str], ...]

_GET_ALONE = (Action.LOGS, Action.TAIL, Action.BUILD, Action.LIMITS)
_END = str(BASE_NS + 10**9)
_WHOLE: tuple[Pairs, ...] = ((("start", "0"),), (("start", "0"), ("end", _END)))
_TIMES: tuple[Pairs, ...] = (
    *_WHOLE,
    (),
    (("start", str(BASE_NS + 9)),),
    (("start", str(BASE_NS + 5)), ("end", str(BASE_NS + 30))),
    (("since", "5m"), ("end", _END)),
    (("start", str(BASE_NS - 900)), ("end", str(BASE_NS - 800))),
)
_INSTANTS: tuple[Pairs, ...] = ((("time", _END),), (), (("time", str(BASE_NS + 12)),))
_STEPS: tuple[Pairs, ...] = ((), (("step", "20"),), (("step", "1s"),))
_INTERVALS: tuple[Pairs, ...] = ((), (), (("interval", "0.000000009"),), (("interval", "0"),))
_DIRECTIONS: tuple[Pairs, ...] = ((("direction", "forward"),), (("direction", "backward"),), ())
_LIMITS: tuple[Pairs, ...] = ((), (("limit", "1"),), (("limit", "3"),), (("limit", "5000"),))
_VOLUMES: tuple[Pairs, ...] = (
    *((), (("targetLabels", "owner"),), (("targetLabels", "pod,owner"),)),
    *((("limit", "1"),), (("aggregateBy", "labels"),)),
)
_FIELDS: tuple[Pairs, ...] = ((), (("line_limit", "2"),), (("limit", "1"),), (("field_limit", "2"),))
_MISTAKES: tuple[Pairs, ...] = (
    *((("limit", "0"),), (("start", "x"),), (("start", _END), ("end", "5")), (("direction", "up"),)),
    *((("step", "0"),), (("query", "{"),), (("query", "{} | nothing"),), (("regexp", "a"),), (("start", "1"),) * 2),
)
_LOKI_HEADERS: tuple[tuple[str, ...], ...] = (
    *((), (), ("X-Loki-Response-Encoding-Flags: categorize-labels",)),
    *(("Accept: application/json",), ("Accept: text/html", "X-Scope-OrgID: other"), ("Accept-Encoding: gzip",)),
)


def _one_of(choices: tuple[Pairs, ...]) -> st.SearchStrategy[Pairs]:
    return st.sampled_from(choices)


@st.composite
def _parameters(draw: st.DrawFn, action: Action, *, whole: bool) -> Pairs:
    """Draw what a route is asked.

    Args:
        whole: everything there is has to be asked for, from its beginning.
    """
    times = draw(_one_of(_WHOLE if whole else _TIMES))
    limit = () if whole else draw(_one_of(_LIMITS))
    match action:
        case Action.LOGS:
            query = draw(twin_queries())
            if query.startswith("{") and draw(st.integers(0, 3)) == 3:
                begun = tuple(pair for pair in times if pair[0] == "start")
                return (("query", query), ("follow", "true"), *begun, *limit)
            return (("query", query), *times, *draw(_one_of(_DIRECTIONS)), *limit, *draw(_one_of(_STEPS)))
        case Action.QUERY_RANGE:
            shown = (*draw(_one_of(_DIRECTIONS)), *draw(_one_of(_INTERVALS)))
            return (("query", draw(twin_queries())), *times, *shown, *limit, *draw(_one_of(_STEPS)))
        case Action.QUERY:
            return (("query", draw(twin_metrics())), *draw(_one_of(_INSTANTS[:1] if whole else _INSTANTS)))
        case Action.TAIL:
            begun = tuple(pair for pair in times if pair[0] == "start")
            waiting = draw(_one_of(((), (("delay_for", "2"),))))
            return (
                ("query", draw(twin_lines_queries())),
                *begun,
                *waiting,
                *((("limit", "5000"),) if whole else limit),
            )
        case Action.SERIES:
            names = st.sampled_from(("match", "match[]"))
            return (*draw(st.lists(st.tuples(names, twin_selectors()), max_size=2)), *times)
        case Action.VOLUME | Action.VOLUME_RANGE:
            stepped = draw(_one_of(_STEPS)) if action is Action.VOLUME_RANGE else ()
            return (("query", draw(twin_lines_queries())), *times, *stepped, *draw(_one_of(_VOLUMES)))
        case Action.DETECTED_FIELDS | Action.FIELD_VALUES:
            return (("query", draw(twin_lines_queries())), *times, *draw(_one_of(_FIELDS)))
        case Action.FORMAT | Action.PATTERNS | Action.BUILD | Action.LIMITS:
            return (("query", draw(twin_queries())), *times)
        case _:
            return (*((("query", draw(twin_selectors())),) if draw(st.booleans()) else ()), *times)


@st.composite
def calls(draw: st.DrawFn, action: Action, *, address: str, token: str, whole: bool) -> Asking:
    """Draw a call of a route.

    Args:
        address: what stands before the path of the route.
        whole: the logs hold a secret over several lines; what begins inside of it does not know that it is one.
    """
    pairs = draw(_parameters(action, whole=whole))
    if draw(st.integers(0, 11)) == 11:
        pairs = (*pairs, *draw(_one_of(_MISTAKES)))
    path = address + _path(action, draw(st.sampled_from(NAMES)))
    encoded = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    if action is Action.LOGS:
        is_lines = dict(pairs)["query"].startswith("{")
        accept = draw(st.sampled_from(PLAIN_FORMATS if is_lines else ("application/json", "*/*")))
        return Asking(f"{path}?{encoded}", token, (f"Accept: {accept}",))
    headers = draw(st.sampled_from(_LOKI_HEADERS))
    if action is Action.TAIL:
        return Asking(f"{path}?{encoded}", token, (*UPGRADE, *headers))
    if action not in _GET_ALONE and draw(st.integers(0, 2)) == 2:
        return Asking(path, token, headers, form=encoded)
    return Asking(f"{path}?{encoded}", token, headers)


def _path(action: Action, name: str) -> str:
    path = action.value.replace("{name}", name)
    return f"/{path}" if action is Action.LOGS else f"/loki/api/v1/{path}"


def next_page(action: Action, asked: Asking, answer: Answer) -> Asking | None:
    """Return the call with which a client goes on where an answer stopped, None if it has no reason to."""
    if answer.status != 200 or "limit=" not in (asked.form or asked.path):
        return None
    if action is Action.LOGS:
        found = re.findall(rb'"resume":"([^"]+)"|\nid: (\S+)\nevent: end', answer.body)
        if not found:
            return None
        resume = (found[-1][0] or found[-1][1]).decode()
        headers = tuple(one for one in asked.headers if not one.startswith("Last-Event-ID"))
        return replace(asked, headers=(*headers, f"Last-Event-ID: {resume}"))
    if action is Action.QUERY_RANGE and b'"streams"' in answer.body:
        times = [int(found) for found in re.findall(rb'\["(\d+)",', answer.body)]
        if times and "direction=forward" in (asked.form or asked.path):
            return _at(asked, "start", max(times))
        return _at(asked, "end", min(times) + 1) if times else None
    return None


def _at(asked: Asking, name: str, ns: int) -> Asking:
    """Return the call with another time, as clients of Loki page."""

    def changed(text: str) -> str:
        without = re.sub(rf"(?<=[?&]){name}=\d+&?|^{name}=\d+&?", "", text)
        return f"{without}&{name}={ns}"

    if asked.form is not None:
        return replace(asked, form=changed(asked.form))
    return replace(asked, path=changed(asked.path))

"""Promise 2, blind, for every route of the gateway: hidden data changes no byte of an answer.

The whole answer is compared: status, headers, body, where its frames are cut, and how the connection ends; in pages,
for log queries. There is no socket, so that there can be many: `BLIND_ROUNDS` says how many pairs of logs are asked.

A reveal shows what is hidden, one value of it; its twins are in tests/gateway/test_reveal.py.

Two things are conceded, both in favour of masks. A read that begins inside of a secret over several lines does not know
its beginning, so those are read whole. And a beginning that line rules hide still masks what follows it in its stream,
so the lines that only such rules hide begin none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from tests.promises.in_memory import GENEROUS, Answer, InMemory, Reads, in_memory
from tests.promises.twin_calls import BASE_NS, MAX_PAGES, calls, next_page
from tests.promises.twin_logs import WINDOW_NS, Bounds, twin_logs
from tests.volume import volume

from loglease.gateway import GatewaySettings
from loglease.gateway.routes import Action
from loglease.model.grant import Grant
from loglease.model.instant import EventWindow
from loglease.model.limits import Limits
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector

ROUNDS = int(os.environ.get("BLIND_ROUNDS", volume(100, 400)))
SHARES = {
    **dict.fromkeys(Action, 1),
    **dict.fromkeys((Action.LOGS, Action.QUERY_RANGE), 8),
    **dict.fromkeys((Action.QUERY, Action.TAIL, Action.DETECTED_FIELDS, Action.FIELD_VALUES), 4),
    **dict.fromkeys((Action.SERIES, Action.VALUES, Action.VOLUME, Action.VOLUME_RANGE, Action.DETECTED_LABELS), 3),
}
SETTINGS = (
    GatewaySettings(exact_statistics=True),
    *(GatewaySettings(exact_statistics=True, scan_lines=lines) for lines in (1, 3)),
    GatewaySettings(scan_bytes=150),
)
"""Without and with limits on what a query may look at."""
BUDGETED = ("lines", "bytes")
_DATE = re.compile(rb"\r\ndate: [^\r]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Twinned:
    """A principal with grants, and what they cover together."""

    token: str
    grants: list[Grant]
    bounds: Bounds

    def __repr__(self) -> str:
        return self.token

    @property
    def addresses(self) -> list[str]:
        return ["", *(f"/g/{grant.id}" for grant in self.grants if len(self.grants) == 1)]


@dataclass(frozen=True, slots=True)
class Room:
    gateway: InMemory
    twinned: list[Twinned]


PLAIN = '{service="a"}'
PODS = '{service="a",pod=~"p1|p2"}'
_IN_PODS = ({"service": "a", "pod": "p1"}, {"service": "a", "pod": "p2"})
_NOT_IN_PODS = (
    {"service": "a"},
    {"service": "a", "pod": "q"},
    {"service": "b", "pod": "p1"},
    {"service": "a", "app": "p1"},
)
_BELOW_BOTH = ("level=debug pay", "level=error", "info pay", "", "level=debug <card>")
_BELOW_LEVEL = ("level=debug pay", "info pay", "", '{"level":"trace","msg":"pay <email>"}')
_WITHOUT_PAY = ("level=error", "", "level=debug <card>", "warn <email>")


def _scope(
    profile: str, selector: str = PLAIN, *, is_open: bool = False, level: bool = False, pay: bool = False
) -> Scope:
    return Scope(
        source="src",
        selector=parse_selector(selector),
        window=EventWindow(BASE_NS, None if is_open else BASE_NS + WINDOW_NS),
        level_from=Level.WARN if level else None,
        contains=("pay",) if pay else (),
        profile=profile,
    )


def _room(gateway: InMemory) -> Room:
    made: list[Twinned] = []

    def add(token: str, *scopes: Scope, limits: Limits = GENEROUS, **bounds: object) -> None:
        redactors = tuple(gateway.redactor(one.profile or "") for one in scopes)
        grants = gateway.holder(token, *((one, limits) for one in scopes))
        covered = Bounds(start=BASE_NS, redactors=redactors, is_open=scopes[0].window.end_ns is None, **bounds)  # type: ignore[arg-type]
        made.append(Twinned(token, grants, covered))

    add("plain", _scope("pii-default@1"))
    add("live", _scope("pii-default@1", is_open=True))
    add("ruled", _scope("pii-default@1", level=True, pay=True), below=_BELOW_BOTH)
    add("strict", _scope("strict@1"))
    add("levels", _scope("strict@1", is_open=True, level=True), below=_BELOW_LEVEL)
    add("words", _scope("secrets@1", pay=True), below=_WITHOUT_PAY)
    add("raw", _scope("raw@1"))
    add("pods", _scope("pii-default@1", PODS), inside=_IN_PODS, outside=_NOT_IN_PODS)
    add("lines", _scope("pii-default@1"), limits=Limits(queries_per_min=10**9, lines=3))
    add("bytes", _scope("pii-default@1"), limits=Limits(queries_per_min=10**9, bytes=700))
    add("union", _scope("pii-default@1"), _scope("strict@1", PODS, level=True))
    return Room(gateway, made)


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with in_memory(*SETTINGS) as gateway, pytest.MonkeyPatch.context() as patch:
        patch.setattr("loglease.gateway.prefilter.WHOLE_LINES", 2)
        yield _room(gateway)


def _sent(answer: Answer) -> tuple[bytes, bool]:
    return _DATE.sub(b"", answer.raw), answer.was_reset


reads = st.builds(Reads, loose=st.booleans(), exact=st.booleans(), page_lines=st.sampled_from((1_000, 1, 2, 3, 7)))


@pytest.mark.volume
@pytest.mark.attack("QL-06")
@pytest.mark.parametrize("action", [one for one in Action if one is not Action.REVEAL], ids=str)
def test_hidden_data_changes_no_byte(room: Room, action: Action) -> None:
    @settings(
        max_examples=max(1, ROUNDS * SHARES[action] // sum(SHARES.values())),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def changes_no_byte(data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(room.twinned))
        address = data.draw(st.sampled_from(who.addresses))
        twins, has_key = data.draw(twin_logs(who.bounds))
        asked = data.draw(calls(action, address=address, token=who.token, whole=has_key))
        read, limited = data.draw(reads), data.draw(st.sampled_from((0, 0, 0, 1, 2, 3)))
        # A tail that looks back less far than a key begins inside of it.
        gateway = 0 if has_key and action is Action.TAIL else limited
        for page in range(MAX_PAGES):
            one, other = (
                room.gateway.answer(asked.request, lines, read, gateway) for lines in (twins.one, twins.other)
            )
            event(f"page {page}: {one.status}")
            note(f"{asked}\n{one.raw!r}\n{other.raw!r}")
            assert _sent(one) == _sent(other)
            if read.exact and gateway == 0 and who.token not in BUDGETED:
                # What a source looks for itself is no part of an answer.
                assert _sent(room.gateway.answer(asked.request, twins.one, replace(read, exact=False))) == _sent(one)
            following = next_page(action, asked, one)
            if following is None:
                break
            asked = following

    changes_no_byte()

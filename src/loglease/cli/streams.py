"""Answers of the gateway as records: one query, or a tail that comes back after the server restarts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from loglease.cli.client import Body, Client
from loglease.cli.errors import Refused, Unreachable
from loglease.cli.numbers import Numbers, numbers_of
from loglease.cli.waiting import is_away

NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"
SSE: Final = "text/event-stream"
_ENDED_STATES: Final = {"revoked": "revoked", "suspended": "suspended"}
MAX_RECORD_BYTES: Final = 128 << 20
_RECONNECTS: Final = 60
_PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Why an answer ended: a reason of sessions, or `lost` if the connection broke without one."""

    reason: str


def read_lines(client: Client, grant: str, query: Mapping[str, Any]) -> Iterator[Body | Numbers | Ended]:
    """Yield the records of one query, or all its numbers at once; the last one says why it ended.

    Raises:
        Refused: the gateway refused; also SignedOut, Unreachable.
    """
    ended: Ended | None = None
    with client.stream(f"/g/{grant}/logs", query=query, headers={"Accept": NDJSON}) as response:
        try:
            for record in _records(response):
                if isinstance(record, Ended):
                    ended = record
                else:
                    yield record
        except httpx2.TransportError:
            ended = ended or Ended(_why(client, grant))
    yield ended or Ended(_why(client, grant))


def _records(response: httpx2.Response) -> Iterator[Body | Numbers | Ended]:
    if response.headers.get("content-type", "").startswith(JSON):
        numbers = numbers_of(response.read())
        if numbers is None:
            raise _not_ours()
        yield numbers
        yield Ended("complete")
        return
    for text in _lines(response):
        record = _record(text)
        yield Ended(str(record["reason"])) if record["type"] == "end" else record


def followed_lines(
    client: Client, grant: str, query: Mapping[str, Any], *, silence_s: float, on_wait: Callable[[str], None]
) -> Iterator[Body | Ended | None]:
    """Yield the records of a tail, None once when it is open, and at the end why it ended.

    A server that stops, or a connection that breaks while the grant is still active, is tried again for a minute from
    where the tail stood; `on_wait` tells of it. Nothing at all for `silence_s` counts as broken: by then the grant must
    have ended.

    Raises:
        Refused: the gateway refused; also SignedOut, Unreachable.
    """
    position: str | None = None
    opened = False
    received = failed = 0
    asked = dict(query)
    while True:
        ended = Ended("lost")
        for record, resume in _one_tail(client, grant, asked, position, silence_s=silence_s, first=not opened):
            position = resume or position
            if isinstance(record, Ended):
                ended = record
            elif record is None and opened:
                on_wait("Connected again, going on from the last line.")
            else:
                opened, failed = True, 0
                received += record is not None and record["type"] == "line"
                yield record
        if ended.reason == "lost":
            ended = _why_lost(client, grant, last=failed == _RECONNECTS)
        if ended.reason not in ("drain", "lost") or failed == _RECONNECTS:
            yield ended
            return
        if not failed:
            on_wait("The connection was lost; trying again.")
        failed += 1
        if query.get("limit") is not None:
            asked["limit"] = max(1, query["limit"] - received)
        time.sleep(_PAUSE_S)


def _why_lost(client: Client, grant: str, *, last: bool) -> Ended:
    try:
        return Ended(_why(client, grant))
    except (Refused, Unreachable) as error:
        if last or not is_away(error):
            raise
        return Ended("lost")  # the server may be starting again


def _one_tail(
    client: Client, grant: str, query: Mapping[str, Any], position: str | None, *, silence_s: float, first: bool
) -> Iterator[tuple[Body | Ended | None, str | None]]:
    headers = {"Accept": SSE}
    if position is not None:
        headers["Last-Event-ID"] = position
    try:
        with client.stream(f"/g/{grant}/logs", query=query, headers=headers, silence_s=silence_s) as response:
            yield None, None
            for event in httpx2.EventSource(response, max_event_size=MAX_RECORD_BYTES):
                if event.event in ("line", "gap", "end"):
                    record = _record(event.data)
                    yield (Ended(str(record["reason"])) if event.event == "end" else record), event.id or None
    except httpx2.TransportError:
        return
    except (Refused, Unreachable) as error:
        if first or not is_away(error):
            raise


def _lines(response: httpx2.Response) -> Iterator[bytes]:
    """Yield lines between newlines alone: what other programs take for line ends may stand inside a JSON string."""
    parts: list[bytes] = []
    for chunk in response.iter_bytes():
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            if line := b"".join(parts):
                yield line
            parts = [other]
    if line := b"".join(parts):
        yield line


def _record(text: str | bytes) -> Body:
    try:
        record = json.loads(text)
        if isinstance(record, dict) and record.get("type") in ("line", "gap", "progress", "end"):
            return record
    except ValueError:
        pass
    raise _not_ours()


def _not_ours() -> Unreachable:
    return Unreachable(
        "The answer is not what the gateway sends.", next_step="Check the address and any proxy before it."
    )


def _why(client: Client, grant: str) -> str:
    """Say why an answer broke off without a last record: the grant knows, if it was cut."""
    shown = client.get(f"/grants/{grant}")
    state = shown["state"]
    if state == "ended":
        return "expired" if shown.get("ended_why") == "expired" else "ended"
    return _ENDED_STATES.get(state, "lost")

"""Lines of an export as they come, whole ones only; a connection that breaks is taken up again behind the last one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import orjson

from loglease.cli.client import API, Client
from loglease.cli.errors import Refused, Unreachable
from loglease.cli.waiting import is_away

PATH: Final = f"{API}/audit/export"
SILENCE_S: Final = 120.0
"""The longest time without a byte: before each piece of an export the server hashes it, and says nothing meanwhile."""

_RETRIES: Final = 60
_PAUSE_S: Final = 1.0


@dataclass(slots=True)
class Exported:
    """What has come of an export.

    Attributes:
        first: index of the first entry; None as long as there is none.
        next: index behind the last one, where an export goes on; None as long as nobody knows.
        size: bytes of all lines.
        begun: the server has answered, so that a failure from now on may pass by itself.
    """

    first: int | None = None
    next: int | None = None
    entries: int = 0
    size: int = 0
    begun: bool = False

    def add(self, block: bytes) -> None:
        """Count whole lines that have come."""
        if self.first is None:
            self.first = self.next = _index(block)
        count = block.count(b"\n")
        self.entries += count
        self.size += len(block)
        self.next = (self.next or 0) + count


def exported_lines(
    client: Client,
    wanted: str,
    exported: Exported,
    *,
    until: int | None,
    follow: bool,
    on_wait: Callable[[str], None],
) -> Iterator[bytes]:
    """Yield blocks of whole lines, counted in `exported`, whose `next` says where to begin.

    A server that stops, or a connection that breaks, is tried again for a minute; `on_wait` tells of it.

    Raises:
        Refused: the server refused; also SignedOut, Unreachable.
    """
    failed = 0
    while True:
        before = exported.entries
        try:
            yield from _one_answer(client, wanted, exported, until=until, follow=follow)
            if not follow or (until is not None and (exported.next or 0) > until):
                return
        except httpx2.TransportError as error:
            if failed == _RETRIES:
                raise _lost(exported) from error
        except (Refused, Unreachable) as error:
            if failed == _RETRIES or not is_away(error) or not exported.begun:
                raise
        failed = 1 if exported.entries > before else failed + 1
        if failed == 1:
            on_wait("The connection was lost; going on from the last line.")
        time.sleep(_PAUSE_S)


def _one_answer(client: Client, wanted: str, exported: Exported, *, until: int | None, follow: bool) -> Iterator[bytes]:
    query: dict[str, Any] = {"format": wanted, "since": exported.next, "until": until}
    if follow:
        query["follow"] = True
    headers = {"Accept": "application/x-ndjson"}
    with client.stream(PATH, query=query, headers=headers, silence_s=SILENCE_S) as response:
        exported.begun = True
        for block in _whole_lines(response):
            exported.add(block)
            yield block


def _whole_lines(response: httpx2.Response) -> Iterator[bytes]:
    """Yield what comes up to its last newline; empty lines only keep the connection alive."""
    rest = b""
    for chunk in response.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        if block := b"".join(line + b"\n" for line in whole if line):
            yield block


def _index(block: bytes) -> int:
    try:
        first = orjson.loads(block.partition(b"\n")[0])
        return int(first["index"] if "index" in first else first["metadata"]["sequence"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(
            "The answer is not what the server sends.", next_step="Check the address and any proxy before it."
        ) from error


def _lost(exported: Exported) -> Unreachable:
    begin = "" if exported.next is None else f" Go on with --since {exported.next}."
    return Unreachable(f"The connection was lost after {exported.entries:,} entries.", next_step=f"Try again.{begin}")

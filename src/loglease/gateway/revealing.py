"""One masked value: the line is read again, redacted again, compared with what was approved, recorded, then shown.

Nowhere is there a map from tokens to values. What is not exactly as it was served has one answer, whatever the cause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Final

import orjson

from loglease.access.caller import Caller
from loglease.access.errors import LineNotAvailable
from loglease.access.reveal import Revealable, reveal, revealable
from loglease.gateway.errors import LeaseOver, RedactionUnavailable
from loglease.gateway.lines import Lines
from loglease.gateway.reading import InPool, pages_of
from loglease.gateway.recheck import Recheck, Violations
from loglease.gateway.services import Services
from loglease.model.digest import sha256_hex
from loglease.model.grant import Grant
from loglease.model.ids import GrantId
from loglease.model.instant import Interval
from loglease.model.serving import Standing, may_serve
from loglease.redaction import Redactor, Revealed, Withheld
from loglease.sources.interface import Page, Reader, ReadPlan, SourceTimeout

_AT_ONCE_NS: Final = 1_000_000_000
_QUOTES: Final = b'\\"'

Parts = Callable[[Grant], Awaitable[tuple[Reader, Redactor]]]
"""Returns the reader and the redactor of a grant."""

_log = logging.getLogger("loglease.gateway")


async def value_of(
    grant_id: GrantId,
    *,
    caller: Caller,
    services: Services,
    parts: Parts,
    violations: Violations,
    in_pool: InPool,
    within_s: float,
) -> bytes:
    """Return the answer of a reveal, once its record is durable and its grant used up.

    Args:
        within_s: how long finding the line may take.

    Raises:
        LogLeaseError: nothing was revealed; unless the record itself failed, the grant is as it was.
    """
    services.watch.require_ready()
    now = services.clock.now()
    rules = services.rules()
    found = await services.store.read(lambda tx: revealable(tx, caller, grant_id, now, rules))
    reader, redactor = await parts(found.parent)
    search = _Search(found, reader=reader, redactor=redactor, violations=violations)
    try:
        async with asyncio.timeout(within_s) as within:
            value = await search.value(in_pool)
    except TimeoutError as error:
        if not within.expired():
            raise
        raise SourceTimeout("The source took too long.", next_step="Try again.") from error
    except Withheld as fault:
        _log.warning("redaction_withheld", extra={"grant": grant_id, "reason": fault.reason})
        services.withheld(fault)
        raise RedactionUnavailable from None
    used = await reveal(
        found,
        rule=value.rule,
        classes=value.classes,
        caller=caller,
        replica=services.replica,
        log=services.log,
        rules=rules,
        new_id=services.new_id,
        random=services.random,
    )
    body = orjson.dumps({"value": value.value})
    _require_may_serve(services, found, used.epoch, len(body))
    return body


def _require_may_serve(services: Services, found: Revealable, epoch: int, size: int) -> None:
    """Ask once more in the step in which the value goes to the socket."""
    boot_ns, watch = services.clock.boot_ns(), services.watch
    watch.require_ready()
    standing = Standing(
        deadline_ns=watch.deadline_ns(found.parent.due_at),
        lapse_ns=boot_ns + _AT_ONCE_NS,
        ceiling_lines=1,
        ceiling_bytes=size,
    )
    why = may_serve(
        standing,
        lines=1,
        size=size,
        lease_until_ns=watch.lease_until_ns,
        epoch_current=epoch == watch.epoch,
        boot_ns=boot_ns,
    )
    if why is not None:
        raise LeaseOver("This server does not know the newest revocations.", next_step="Ask for the value again.")


class _Search:
    """The search for the line of a reveal in the pages of its source, and for the mask in it."""

    def __init__(self, found: Revealable, *, reader: Reader, redactor: Redactor, violations: Violations) -> None:
        scope = found.grant.terms.scopes[0]
        self._reveal = found.reveal
        self._reader = reader
        self._redactor = redactor
        self._interval = scope.window.until(found.parent.due_at)
        self._plan = ReadPlan(selector=scope.selector, interval=self._interval or Interval(0, 0))
        recheck = Recheck(scope, self._plan.interval, violations)
        self._lines = Lines((), redactor=redactor, recheck=recheck, order=None, filters=(), backward=False, scan=None)

    async def value(self, in_pool: InPool) -> Revealed:
        """Return the value with the line that it is on.

        Raises:
            LineNotAvailable: no line is as it was served, or the mask is not what was approved.
            SourceError, Withheld: it could not be looked for.
        """
        if self._interval is None:
            raise LineNotAvailable
        raw: list[bytes] = []
        async with aclosing(pages_of(self._reader, self._plan, self._lines.covered)) as pages:
            async for page in pages:
                raw += await in_pool(self._served_so, page)
        if not raw:
            raise LineNotAvailable
        # SECURITY: of several lines that look the same it is the first, in the order of the source, whether they differ
        # under their masks or not: nobody may learn that from the answer; tested in tests/gateway/test_reveal.py.
        revealed: Revealed | None = await in_pool(self._redactor.reveal, raw[0], self._reveal.span)
        if revealed is None or not self._is_approved(revealed):
            raise LineNotAvailable
        return revealed

    def _served_so(self, page: Page) -> list[bytes]:
        return list(self._served_so_in(page))

    def _served_so_in(self, page: Page) -> Iterator[bytes]:
        """Yield the raw texts of covered lines that are served as the line of the reveal was."""
        wanted = self._reveal
        found = self._lines.found(page)
        for number in found.numbers:
            row = found.row(number)
            same = row.event_ns == wanted.event_ns and row.stream.labels == wanted.labels
            if same and sha256_hex(row.text) == wanted.line_sha256:
                yield page.lines[found.places[number]]

    def _is_approved(self, revealed: Revealed) -> bool:
        """Say whether the line by itself looks as it was served, and the mask is of the approved token and class."""
        wanted = self._reveal
        return (
            sha256_hex(revealed.line) == wanted.line_sha256
            and revealed.token.strip(_QUOTES) == wanted.token.encode()
            and revealed.cls == wanted.cls
        )

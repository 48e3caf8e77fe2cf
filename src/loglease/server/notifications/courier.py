"""The worker that sends: one loop a channel, so that one that is down holds up no other, and nothing but itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from loglease.access.deliver_notices import Delivery, claim, forget_notices, notice_of, retry_notices, settle
from loglease.access.rules import Rules
from loglease.audit.interface import EntryLog
from loglease.model.clock import Clock
from loglease.model.ids import NoticeId
from loglease.model.notice import Notice, NoticeState, failed, settled
from loglease.server.notifications.channel import Channel, Message, Undelivered
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

LOOK_EVERY_S: Final = 1.0
AT_ONCE: Final = 20
UNKNOWN: Final = "The server has no such channel."
GONE: Final = "It answered 410 before: it takes no more messages."
_log: Final = structlog.get_logger("loglease.notifications")


class Courier:
    """Sends what waits in the outbox.

    Args:
        message: writes a message; may block, so it runs in a thread.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        store: Store,
        log: EntryLog[Transaction],
        rules: Callable[[], Rules],
        clock: Clock,
        message: Callable[[Delivery], Message],
    ) -> None:
        self.channels = channels
        self._store = store
        self._log = log
        self._rules = rules
        self._clock = clock
        self._message = message
        self._bells = {name: asyncio.Event() for name in channels}
        self._gone: set[str] = set()

    def wake(self) -> None:
        """Look now: something was written."""
        for bell in self._bells.values():
            bell.set()

    async def run(self, name: str) -> None:
        """Send what waits for one channel until cancelled."""
        bell = self._bells[name]
        while True:
            bell.clear()
            if await self.step(name):
                continue
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await bell.wait()
            except TimeoutError:
                pass

    async def step(self, name: str) -> bool:
        """Send once what is due on a channel; return whether there may be more at once.

        The channel rests after a failure that may pass, so that one that hangs is not asked for everything in turn.
        """
        found = await claim(
            name, store=self._store, log=self._log, rules=self._rules(), now=self._clock.now(), limit=AT_ONCE
        )
        for number, one in enumerate(found, 1):
            after = await self._handed_over(name, one)
            if after.state is NoticeState.WAITING:
                await settle([after, *map(notice_of, found[number:])], log=self._log)
                return False
            await settle([after], log=self._log)
        return len(found) > 0

    async def _handed_over(self, name: str, one: Delivery | Notice) -> Notice:
        if isinstance(one, Notice):
            return settled(one, NoticeState.DROPPED)
        notice = one.notice
        try:
            await self._sent(name, one)
        except Undelivered as error:
            if error.gone:
                self._gone.add(name)
            after = failed(notice, error=error.why, now=self._clock.now(), final=error.final)
        except Exception as error:  # noqa: BLE001 - one message that cannot be sent must not stop those behind it
            _log.error("notice_failed", error=type(error).__name__)
            after = failed(notice, error="The server could not write or send it.", now=self._clock.now())
        else:
            return settled(notice, NoticeState.SENT)
        if after.state is NoticeState.DEAD:
            _log.error("notice_dead", request=notice.about, reason=after.error)
        return after

    async def _sent(self, name: str, one: Delivery) -> None:
        if name in self._gone:
            raise Undelivered(GONE, final=True)
        await self.channels[name].send(await asyncio.to_thread(self._message, one))

    async def bury_unknown(self) -> int:
        """Give up what is addressed to channels that this server does not have; return how much."""
        now = self._clock.now()

        def waiting(tx: Transaction) -> list[Notice]:
            unknown = [name for name in tx.outbox.channels() if name not in self.channels]
            return [one for name in unknown for one in tx.outbox.due(name, now, AT_ONCE)]

        buried = await self._store.read(waiting)
        if buried:
            await settle([failed(one, error=UNKNOWN, now=now, final=True) for one in buried], log=self._log)
            _log.error("notices_without_channel", count=len(buried))
        return len(buried)

    async def retry(self, notice_id: NoticeId | None) -> int:
        """Try what was given up again, one notice or all; return how many.

        Raises:
            NotFound: no such notice was given up.
        """
        tried = await retry_notices(notice_id, log=self._log)
        self._gone.clear()
        self.wake()
        return tried

    async def forget(self) -> None:
        """Forget what was sent a month ago."""
        await forget_notices(log=self._log)

"""The session's side of the audit log: reservations before hand-over, the account at the end, causes of refusals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

from loglease.access.close_session import close_session
from loglease.access.commitments import Random
from loglease.access.open_session import Opened
from loglease.access.permissions import locks_on_grant
from loglease.access.reserve import reserve
from loglease.access.serving import Reservation, Settled
from loglease.audit.interface import AuditUnavailable, EntryLog
from loglease.audit.sequencer import WITNESSED_WITHIN_S
from loglease.gateway.backlog import Backlog
from loglease.gateway.session import Reserve
from loglease.model.ack import Ack
from loglease.model.errors import GrantEnded, GrantNotActive
from loglease.model.grant import EndWhy, GrantState
from loglease.model.ids import GrantId, NewId, SessionId
from loglease.model.instant import Instant
from loglease.model.session import CloseWhy
from loglease.store.interface import StoreUnavailable, Transaction
from loglease.store.store_interface import Store

_CLOSE_AGAIN_S: Final = (0.1, 0.5, 2.0, 5.0)

_log = logging.getLogger("loglease.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes what sessions of this process report.

    Attributes:
        replica: the name of this process in the records.
        within_s: how long a session waits for a record; where policy demands witnesses, as long as these may take.
        is_stopping: whether the process stops, so that nothing may be tried for ever.
        backlog: those who wait for a reservation.
    """

    log: EntryLog[Transaction]
    store: Store
    new_id: NewId
    random: Random
    replica: str
    within_s: float
    is_stopping: Callable[[], bool]
    backlog: Backlog

    async def reserve(self, opened: Opened, step: Reserve, now: Instant) -> Reservation | CloseWhy:
        """Record and reserve, or return why the session has to end; that never takes longer than a record may.

        Raises:
            Exception: what no session of ours should meet, such as an account that does not follow its record.
        """
        work = asyncio.ensure_future(
            reserve(
                opened.session.id,
                settled=step.settled,
                want_lines=step.lines,
                want_bytes=step.size,
                subjects=step.subjects,
                limits=opened.grant.terms.limits,
                ack=opened.grant.shape.ack,
                replica=self.replica,
                log=self.log,
                new_id=self.new_id,
                random=self.random,
            )
        )
        ack = opened.grant.shape.ack
        within_s = max(self.within_s, WITNESSED_WITHIN_S) if ack is Ack.WITNESSED else self.within_s
        try:
            with self.backlog:
                async with asyncio.timeout(within_s):
                    return await asyncio.shield(work)
        except TimeoutError:
            work.add_done_callback(_forgotten)
            return CloseWhy.AUDIT
        except AuditUnavailable:
            return CloseWhy.AUDIT
        except StoreUnavailable:
            return CloseWhy.DATABASE
        except (GrantEnded, GrantNotActive):
            return await self._cause(opened.grant.id, now)

    async def _cause(self, grant_id: GrantId, now: Instant) -> CloseWhy:
        """Return why a grant may not be used, in the words of sessions."""

        def query(tx: Transaction) -> CloseWhy:
            grant = tx.grants.find(grant_id)
            if grant is None or grant.state is GrantState.REVOKED:
                return CloseWhy.REVOKED
            if grant.state is GrantState.ENDED:
                return CloseWhy.EXPIRED if grant.ended_why is EndWhy.EXPIRED else CloseWhy.ENDED
            if locks_on_grant(tx, grant, now):
                return CloseWhy.LOCKED
            return CloseWhy.EXPIRED if now >= grant.due_at else CloseWhy.SUSPENDED

        try:
            return await self.store.read(query)
        except StoreUnavailable:
            return CloseWhy.DATABASE

    async def close(
        self,
        session: SessionId,
        *,
        why: CloseWhy,
        account: Settled,
        cut_ms: int | None,
        detail: str | None = None,
        over: bool = False,
    ) -> None:
        """Settle a session, however long that takes: an open one that nobody serves would hold its place for good.

        Only a process that stops gives up, after some seconds; recovery closes the session then, as a crash.
        """
        for wait_s in chain(_CLOSE_AGAIN_S, repeat(None)):
            try:
                await close_session(
                    session,
                    why=why,
                    settled=account,
                    cut_ms=cut_ms,
                    detail=detail,
                    over=over,
                    replica=self.replica,
                    log=self.log,
                    new_id=self.new_id,
                    random=self.random,
                )
            except (AuditUnavailable, StoreUnavailable) as error:
                if wait_s is None and self.is_stopping():
                    _log.error("session_not_settled", extra={"session": session, "code": error.code})
                    return
                await asyncio.sleep(_CLOSE_AGAIN_S[-1] if wait_s is None else wait_s)
            else:
                return


def _forgotten(work: asyncio.Future[Reservation]) -> None:
    """Look at the outcome of what nobody waits for any more."""
    if not work.cancelled():
        work.exception()

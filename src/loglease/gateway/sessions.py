"""The sessions of one process: admission, opening, serving, settling, draining."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final

from loglease.access.caller import Caller
from loglease.access.errors import BudgetUsed, GuardrailDenied, NotFound, NotPermitted, PolicyDenied
from loglease.access.open_session import Opened, OpeningUncertain, open_session
from loglease.access.serving import NOTHING
from loglease.access.watch import Cut
from loglease.gateway.admission import concerned
from loglease.gateway.asked import Asked, Means, Prepared
from loglease.gateway.backlog import Backlog
from loglease.gateway.channel import Channel
from loglease.gateway.errors import Draining, LeaseOver, Overload, RedactionUnavailable
from loglease.gateway.grant_index import GrantIndex
from loglease.gateway.open_sessions import OpenSession, OpenSessions
from loglease.gateway.pump import Pump
from loglease.gateway.recheck import Violations
from loglease.gateway.reserve import Recorder
from loglease.gateway.revealing import value_of
from loglease.gateway.services import Services
from loglease.gateway.session import ServedSession
from loglease.gateway.settings import GatewaySettings
from loglease.gateway.turns import Turns
from loglease.model.errors import GrantEnded, GrantNotActive, LogLeaseError
from loglease.model.grant import Grant
from loglease.model.ids import GrantId, SessionId
from loglease.model.key_scope import KeyScope
from loglease.model.offer import Terms
from loglease.model.session import CloseWhy, SessionKind
from loglease.redaction import RedactionError, Redactor
from loglease.sources.interface import Reader, SourceUnavailable

DRAIN_S: Final = 25.0

_Parts = tuple[Reader, Redactor]
_Decisive = tuple[Terms, KeyScope]

_OF_ONE_GRANT: Final = (
    NotPermitted,
    NotFound,
    PolicyDenied,
    GuardrailDenied,
    GrantEnded,
    GrantNotActive,
    BudgetUsed,
)
"""Refusals that say that a grant does not allow the call, or not any more."""

_log = logging.getLogger("loglease.gateway")


def _require_countable(grant: Grant, redactor: Redactor) -> None:
    """Refuse to read under a limit of data subjects what shows people without a pseudonym.

    Raises:
        PolicyDenied: the profile masks nobody.
    """
    if grant.terms.limits.subjects is not None and not redactor.finds_subjects:
        profile = grant.terms.scopes[0].profile
        raise PolicyDenied(
            f"The grant limits data subjects, and its profile {profile} masks nobody, so none can be counted.",
            rule=grant.policy,
            next_step="Ask for a profile that masks people, or ask the owner of the policy.",
        )


class Sessions:
    """Opens and serves sessions under grants; every front end does it through here."""

    def __init__(self, services: Services, settings: GatewaySettings, index: GrantIndex) -> None:
        self._services = services
        self._index = index
        self._settings = settings
        self._sessions = OpenSessions()
        self._turns = Turns(settings.workers, deadline_s=settings.deadline_s)
        self._recorder = Recorder(
            log=services.log,
            store=services.store,
            new_id=services.new_id,
            random=services.random,
            replica=services.replica,
            within_s=settings.record_within_s,
            is_stopping=lambda: self._is_draining,
            backlog=Backlog(pause=self._turns.pause, resume=self._turns.resume),
        )
        self._behind: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._is_draining = False
        self.violations = Violations()
        """Lines that sources should have held back."""
        services.watch.subscribe(self._sessions.apply)

    @property
    def open(self) -> int:
        """The number of sessions that are open here."""
        return len(list(self._sessions.all()))

    async def serve(self, grants: Sequence[Grant], asked: Asked, *, caller: Caller, channel: Channel) -> None:
        """Open a session under each grant that allows a question, and serve it until it is over.

        Args:
            grants: as they rank.

        Raises:
            LogLeaseError: it was refused, or over before its first byte.
        """
        grants = concerned(grants, asked)
        asked.admit(grants)
        parts = {grant.id: (_decisive(grant), await self._parts(grant)) for grant in grants}
        self._admit(asked.kind, len(grants))
        with self._sessions.hearing(asked.kind, len(grants)) as heard:
            opened = await self._open_all(grants, asked, caller)
            try:
                means = await self._means(opened, parts, caller)
                prepared = asked.prepare(means)
            except LogLeaseError:
                self._close_unserved(opened)
                raise
        await self._serve(self._pump(means, prepared, asked, channel), opened, caller, heard)

    async def reveal(self, grant: GrantId, *, caller: Caller) -> bytes:
        """Return the answer of a reveal, which is recorded and used up by then.

        Raises:
            LogLeaseError: nothing was revealed.
        """
        self._admit(SessionKind.REVEAL, 1)
        with self._sessions.hearing(SessionKind.REVEAL):
            return await value_of(
                grant,
                caller=caller,
                services=self._services,
                parts=self._parts,
                violations=self.violations,
                in_pool=self._turns.turn(),
                within_s=self._settings.scan_s,
            )

    def _pump(self, means: Sequence[Means], prepared: Prepared, asked: Asked, channel: Channel) -> Pump:
        services, settings = self._services, self._settings
        opened = [one.opened for one in means]
        machine = ServedSession(
            deadline_ns=min(services.watch.deadline_ns(one.grant.due_at) for one in opened),
            epoch=min(one.session.epoch for one in opened),
            limit=asked.limit,
            follow=prepared.reading.follow,
            skip_after_ns=round(settings.skip_after_s * 1e9),
            slow_after_ns=round(settings.slow_after_s * 1e9),
            started_ns=services.clock.boot_ns(),
            shares=len(opened),
            subjects=[one.subject_labels for one in means],
        )
        return Pump(
            opened,
            prepared,
            machine=machine,
            channel=channel,
            watch=services.watch,
            clock=services.clock,
            recorder=self._recorder,
            in_pool=self._turns.turn(),
            withheld=services.withheld,
            settings=settings,
        )

    async def _open_all(self, grants: Sequence[Grant], asked: Asked, caller: Caller) -> list[Opened]:
        """Open a session under each grant. One that turns out not to allow the call is left out if another does."""
        results = await asyncio.gather(*(self._open(grant, asked, caller) for grant in grants), return_exceptions=True)
        opened = [one for one in results if not isinstance(one, BaseException)]
        failures = [one for one in results if isinstance(one, BaseException)]
        failures.sort(key=lambda one: isinstance(one, _OF_ONE_GRANT))
        if failures and not (opened and isinstance(failures[0], _OF_ONE_GRANT)):
            self._close_unserved(opened)
            raise failures[0]
        return opened

    def _close_unserved(self, opened: Sequence[Opened]) -> None:
        for one in opened:
            self.later(self._recorder.close(one.session.id, why=CloseWhy.ERROR, account=NOTHING, cut_ms=None))

    async def _means(
        self, opened: Sequence[Opened], parts: Mapping[GrantId, tuple[_Decisive, _Parts]], caller: Caller
    ) -> list[Means]:
        """Return what an answer is made with under each grant.

        Args:
            parts: of each grant with what they are for, which policy may have narrowed since.
        """
        made: list[Means] = []
        view = self._index.kept(caller.principal.id)
        for number, one in enumerate(opened):
            made_for, (reader, redactor) = parts[one.grant.id]
            if _decisive(one.grant) != made_for:
                reader, redactor = await self._parts(one.grant)
            _require_countable(one.grant, redactor)
            source = one.grant.terms.scopes[0].source
            made.append(
                Means(
                    opened=one,
                    reader=reader,
                    redactor=redactor,
                    violations=self.violations,
                    settings=self._settings,
                    number=number,
                    of=len(opened),
                    before=tuple(before for before in made if before.scope.source == source),
                    streams=None if view is None else view.covered,
                )
            )
        return made

    async def _open(self, grant: Grant, asked: Asked, caller: Caller) -> Opened:
        services = self._services
        try:
            opened = await open_session(
                grant.id,
                kind=asked.kind,
                front=asked.front,
                query=asked.query,
                interval=asked.interval,
                limit=asked.limit,
                caller=caller,
                replica=services.replica,
                log=services.log,
                rules=services.rules(),
                new_id=services.new_id,
                random=services.random,
                places=self._settings.places,
                refuses_outside=asked.refuses_outside,
            )
        except OpeningUncertain as error:
            self.later(self._close_if_opened(error.session))
            raise error.cause from error
        # The policy in force may have narrowed the terms since the grant was looked at.
        if opened.grant.terms != grant.terms and asked.refuses_streams:
            try:
                asked.check(opened.grant.terms.scopes[0])
            except LogLeaseError:
                self._close_unserved([opened])
                raise
        return opened

    async def _close_if_opened(self, session: SessionId) -> None:
        """Close a session whose opening came too late for its client; nothing was served."""
        with contextlib.suppress(NotFound):
            await self._recorder.close(session, why=CloseWhy.AUDIT, account=NOTHING, cut_ms=None)

    async def _parts(self, grant: Grant) -> _Parts:
        """Return the reader and the redactor of a grant."""
        reader = self._services.reader_of(grant.terms.scopes[0].source)
        if reader is None:
            raise SourceUnavailable("The source is not configured here.", next_step="Tell an operator.")
        try:
            redactor: Redactor = await self._turns.turn()(self._services.redactor_of, grant)
        except RedactionError as error:
            _log.warning("redactor_not_built", extra={"grant": grant.id, "code": error.code})
            raise RedactionUnavailable from error
        return reader, redactor

    def _admit(self, kind: SessionKind, sessions: int) -> None:
        services, settings = self._services, self._settings
        if self._is_draining:
            raise Draining("This server stops.", next_step="Try again.")
        services.watch.require_ready()
        if services.clock.boot_ns() >= services.watch.lease_until_ns:
            raise LeaseOver("This server does not know the newest revocations.", next_step="Try again in a moment.")
        most = settings.tails if kind is SessionKind.TAIL else settings.queries
        if self._sessions.open(kind) + sessions > most:
            raise Overload(f"This server serves {most} of these at once.", next_step="Try again in a moment.")

    async def _serve(self, pump: Pump, opened: Sequence[Opened], caller: Caller, heard: list[Cut]) -> None:
        # Whatever cuts one of them cuts the answer: what is left would look like a whole one.
        entries = [
            OpenSession(
                id=one.session.id,
                kind=one.session.kind,
                grant=one.grant,
                principal=caller.principal,
                token=caller.token,
                sign_in=caller.sign_in,
                cut=pump.cut,
            )
            for one in opened
        ]
        for entry in entries:
            self._sessions.add(entry)
        self._empty.clear()
        for cut in heard:
            if any(entry.is_concerned(cut) for entry in entries):
                pump.cut(cut.why, cut.text)
        try:
            if self._is_draining:
                pump.cut(CloseWhy.DRAIN, "drain")
            await pump.run()
        finally:
            for entry in entries:
                self._sessions.remove(entry)
            self.later(pump.settle())
            if not self.open:
                self._empty.set()

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something behind the client's back."""
        task = asyncio.get_running_loop().create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._behind.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("behind_failed", exc_info=error)

    async def drain(self, within_s: float = DRAIN_S) -> None:
        """Open nothing new, end tails, let queries finish for a while, settle every account."""
        self._is_draining = True
        for session in list(self._sessions.all()):
            if session.kind is SessionKind.TAIL:
                session.cut(CloseWhy.DRAIN, "drain")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        for session in list(self._sessions.all()):
            session.cut(CloseWhy.DRAIN, "drain")
        await self._empty.wait()
        await self.settled()

    async def settled(self) -> None:
        """Wait until everything that is written behind the client's back is written."""
        while self._behind:
            await asyncio.gather(*self._behind, return_exceptions=True)
            await asyncio.sleep(0)

    def close(self) -> None:
        """Let the threads go; after `drain`."""
        self._turns.close()


def _decisive(grant: Grant) -> _Decisive:
    """Return what of a grant reader and redactor depend on."""
    return grant.terms, grant.shape.pseudonyms

"""A provider that knows who is on call, from iCalendar files or addresses: one calendar for each rota.

It answers from what it read last, so nobody waits for a calendar. What was read too long ago is nobody's shift.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loglease.model.clock import Clock
from loglease.model.instant import MICROSECONDS, Instant, after, duration_text
from loglease.policy.conditions import BOOL, Fault
from loglease.policy.observed import Observed, Question
from loglease.server.facts.ical import MAX_BYTES, Calendar, CalendarInvalid, Shift, calendar_of
from loglease.server.facts.rotas import RotaConfig, RotaSource
from loglease.server.outgoing import Call, NoAnswer, Outgoing
from loglease.sources.interface import Health

AHEAD_S: Final = 26 * 3_600
"""How far ahead shifts are worked out, once the calendar is read."""
_NEVER: Final = Instant(0)
_OK: Final = 200
_NANOSECONDS: Final = 1_000_000_000
_ACCEPT: Final = ("accept", "text/calendar, */*;q=0.1")


@dataclass(slots=True)
class _Rota:
    """What was read of one rota."""

    source: RotaSource
    digest: bytes = b""
    calendar: Calendar = field(default_factory=Calendar)
    shifts: tuple[Shift, ...] = ()
    first: Instant = _NEVER
    last: Instant = _NEVER
    read_at: Instant | None = None
    fault: str | None = None


class RotaProvider:
    """Keeps the shifts of some rotas. `refresh` reads their calendars when it is time."""

    def __init__(self, config: RotaConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._rotas = [_Rota(source) for source in config.rotas]
        self._due_ns = 0
        self._reading = asyncio.Lock()
        self._outgoing = Outgoing(
            private=config.private, ca_file=config.ca_file, within_s=config.timeout_s, at_most=MAX_BYTES
        )

    @property
    def name(self) -> str:
        """What `from` calls it."""
        return self._config.name

    @property
    def rotas(self) -> frozenset[str]:
        """The names of its rotas."""
        return frozenset(one.source.name for one in self._rotas)

    async def answer(self, question: Question) -> Observed:
        """Say whether the account is on call now: for the value of a label, or for anything if there is none."""
        now = self._clock.now()
        if question.rule.type != BOOL:
            return Observed(Fault(f"{self.name} says true or false only"), self.name, now)
        if question.issuer != self._config.issuer:
            return Observed(value=False, provider=self.name, observed_at=now)
        asked = [one for one in self._rotas if question.label is None or one.source.is_for(*question.label)]
        unread = next((one.source.name for one in asked if one.read_at is None), None)
        read_at = min((one.read_at for one in asked if one.read_at is not None), default=now)
        for one in asked:
            if one.read_at is not None and question.account in self._accounts(one, now):
                return Observed(True, self.name, one.read_at, one.source.name)  # noqa: FBT003 - it is the value
        if unread is not None:
            return Observed(Fault(f"the calendar of {unread} could not be read"), self.name, now)
        return Observed(value=False, provider=self.name, observed_at=read_at)

    def on_call(self) -> dict[str, frozenset[str]]:
        """Return the accounts that are on call now, by rota; nobody's where its calendar was not read lately."""
        now = self._clock.now()
        oldest = after(now, -self._config.max_age_s)
        return {
            one.source.name: self._accounts(one, now)
            if one.read_at is not None and one.read_at >= oldest
            else frozenset()
            for one in self._rotas
        }

    def rosters(self) -> dict[str, frozenset[tuple[str, str]]]:
        """Return the same with who vouches for the accounts."""
        return {
            rota: frozenset((self._config.issuer, one) for one in accounts) for rota, accounts in self.on_call().items()
        }

    def _accounts(self, rota: _Rota, now: Instant) -> frozenset[str]:
        found = (self._account(name) for name in self._names(rota, now))
        return frozenset(one for one in found if one is not None)

    @staticmethod
    def _names(rota: _Rota, now: Instant) -> Iterable[str]:
        for shift in rota.shifts:
            if shift.start <= now < shift.end:
                yield from (shift.summary.casefold(),) if rota.source.by_summary else shift.attendees

    def _account(self, name: str) -> str | None:
        found = self._config.people.get(name)
        local, _, domain = name.rpartition("@")
        if found is None and self._config.domain is not None and domain == self._config.domain:
            return local or None
        return found

    async def refresh(self) -> None:
        """Read the calendars, if it is time."""
        async with self._reading:
            began_ns = self._clock.boot_ns()
            if began_ns < self._due_ns:
                return
            await asyncio.gather(*map(self._read, self._rotas))
            self._due_ns = began_ns + int(self._config.refresh_s * _NANOSECONDS)

    async def _read(self, rota: _Rota) -> None:
        """Read one calendar; what cannot be read leaves what was read before."""
        now = self._clock.now()
        try:
            data = await self._bytes(rota.source)
            digest = hashlib.sha256(data).digest()
            if digest != rota.digest:
                calendar = await asyncio.to_thread(calendar_of, data, self._config.zone)
                await self._look_ahead(rota, calendar, now)
                rota.digest = digest
            elif not rota.first <= now < after(rota.last, -AHEAD_S / 2):
                await self._look_ahead(rota, rota.calendar, now)
        except NoAnswer as error:
            rota.fault = f"it {error}"
        except CalendarInvalid as error:
            rota.fault = str(error)
        except OSError:
            rota.fault = "its file cannot be read"
        else:
            rota.read_at, rota.fault = now, None

    async def _look_ahead(self, rota: _Rota, calendar: Calendar, now: Instant) -> None:
        last = after(now, AHEAD_S)
        shifts = await asyncio.to_thread(calendar.shifts, now, last)
        rota.calendar, rota.shifts, rota.first, rota.last = calendar, shifts, now, last

    async def _bytes(self, source: RotaSource) -> bytes:
        if source.file is not None:
            return await asyncio.to_thread(_file_bytes, source.file)
        headers = (_ACCEPT, *self._config.secret_headers)
        answer = await self._outgoing.answer(Call(url=source.url or "", headers=headers))
        if answer.status != _OK:
            raise NoAnswer(f"answered {answer.status}")
        return answer.body

    def health(self) -> Health:
        """Say which rotas are not read, and since when nobody is on call for them."""
        now = self._clock.now()
        told = [self._trouble(one, now) for one in self._rotas if one.fault is not None or one.read_at is None]
        strangers = {name for one in self._rotas for name in self._names(one, now) if self._account(name) is None}
        if told:
            return Health(ok=False, detail=" ".join(told))
        count = len(self._rotas)
        detail = f"{count} {'rota is' if count == 1 else 'rotas are'} read."
        if strangers:
            detail += f" {len(strangers)} on call {'is' if len(strangers) == 1 else 'are'} no account here: see people."
        return Health(ok=not strangers, detail=detail)

    def _trouble(self, rota: _Rota, now: Instant) -> str:
        why = rota.fault or "it was not read yet"
        if rota.read_at is None:
            return f"{rota.source.name}: {why}; nobody is on call."
        age_s = max(0, now - rota.read_at) // MICROSECONDS
        so = "nobody of it may approve" if age_s > self._config.max_age_s else "that still counts"
        return f"{rota.source.name}: {why}; read {duration_text(age_s)} ago, {so}."

    async def probe(self) -> Health:
        """Read all calendars, and say how that went."""
        self._due_ns = 0
        await self.refresh()
        return self.health()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._outgoing.aclose()


def _file_bytes(path: Path) -> bytes:
    """Return the bytes of a file, and one more than may be read where it is too large."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)

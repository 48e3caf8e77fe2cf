"""What is safe, said without a line of the product: it hears of every commit and of every slice, with true times.

A lease is two seconds from the start of a renewal, and the database executes a renewal after it started. So whatever
leaves a server leaves within two seconds of the last renewal that the database has of it, and within two seconds of
whatever ends the right to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from tests.fakes.clock import START
from tests.simulation.loop import VirtualLoop

from loglease.audit.interface import EntryRow

LEASE_NS: Final = 2_000_000_000
BATCH_LINES: Final = 256
_ENDS: Final = frozenset({"grant.revoked", "grant.ended"})


@dataclass
class Lent:
    """A grant: what it allows, and each moment at which something took it away."""

    lines: int
    bytes: int
    until_us: int | None = None
    cuts_ns: list[int] = field(default_factory=list)
    holds: int = 0
    ends: int = 0
    handed_lines: int = 0
    handed_bytes: int = 0


@dataclass
class Used:
    """A session."""

    grant: str
    server: str
    opened_ns: int
    ceiling_lines: int = 0
    ceiling_bytes: int = 0
    handed_lines: int = 0
    handed_bytes: int = 0
    closed: str | None = None


class Judge:
    """Holds a simulation against what was promised."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.grants: dict[str, Lent] = {}
        self.sessions: dict[str, Used] = {}
        self.renewed_ns: dict[str, int] = {}
        self.lost_ns: list[int] = []
        self.ahead: list[tuple[int, int]] = [(0, 0)]
        self.everything = 0
        self.counts: Counter[str] = Counter()
        self.events = 0
        self._trace = hashlib.sha256()

    @property
    def trace(self) -> str:
        """Return the digest of all that has happened, in order, with times."""
        return self._trace.hexdigest()

    def note(self, *what: object) -> None:
        """Take an event into the trace."""
        self.events += 1
        self.counts[str(what[0])] += 1
        self._trace.update(f"{self.loop.now_ns}{what}\n".encode())

    def fault(self, text: str, *about: object) -> None:
        """Say that something is not as it was promised."""
        raise Broken(f"{text} at {self.loop.now_ns / 1e9:.6f} s: {about}")

    # What it hears of the world.

    def lent(self, grant: str, *, lines: int, size: int) -> None:
        """Hear of a grant that comes to be."""
        self.grants[grant] = Lent(lines, size)

    def renewed(self, server: str) -> None:
        """Hear that the database has executed a renewal."""
        self.renewed_ns[server] = self.loop.now_ns
        self.note("renewed", server)

    def stepped(self, ahead_us: int) -> None:
        """Hear that the database's clock is ahead by so much from now on."""
        self.ahead.append((self.loop.now_ns, ahead_us))

    def crashed(self, server: str) -> None:
        """Hear that a server is gone."""
        self.note("crashed", server)

    def refused(self, why: str) -> None:
        """Hear that a call was refused."""
        self.note("refused", why)

    def failed(self, error: BaseException) -> None:
        """Hear of what nobody has handled."""
        raise error

    def lost(self, entries: Sequence[Any]) -> None:
        """Hear that the database has changed hands, and of the entries that are left."""
        self.lost_ns.append(self.loop.now_ns)
        self.note("lost", len(entries))
        left = Counter(name for one in entries if one.type in _ENDS for name in [_grant_in(one.content)])
        for name, grant in self.grants.items():
            grant.ends = left[name]

    def committed(self, _state: object, rows: Sequence[EntryRow]) -> None:
        """Hear of a commit at the moment at which it is durable."""
        for row in rows:
            draft = row.draft
            self.note("entry", draft.type, draft.ref.get("grant"), draft.ref.get("session"))
            self._hear(draft.type, draft.ref, draft.data)

    def _hear(self, kind: str, ref: Any, data: Any) -> None:
        grant = self.grants.get(ref.get("grant", ""))
        if kind == "lock.added":
            self.everything += 1
            for one in self.grants.values():
                one.cuts_ns.append(self.loop.now_ns)
        elif kind == "lock.lifted":
            self.everything -= 1
        elif kind.startswith("grant.") and grant is not None:
            self._hear_grant(kind, ref, data, grant)
        elif grant is not None:
            self._hear_session(kind, ref, data, grant)

    def _hear_grant(self, kind: str, ref: Any, data: Any, grant: Lent) -> None:
        if kind == "grant.activated":
            if grant.ends:
                self.fault("a grant that is over became active", ref)
            grant.until_us = _micros(data["until_at"])
        elif kind == "grant.resumed":
            grant.holds -= 1
        elif kind == "grant.suspended":
            grant.holds += 1
            grant.cuts_ns.append(self.loop.now_ns)
        elif kind in _ENDS:
            grant.ends += 1
            grant.cuts_ns.append(self.loop.now_ns)
            if grant.ends > 1:
                self.fault("a grant has ended twice", ref)

    def _hear_session(self, kind: str, ref: Any, data: Any, grant: Lent) -> None:
        name = ref.get("session")
        if kind == "session.opened":
            if grant.ends or grant.holds > 0 or self.everything > 0 or grant.until_us is None:
                self.fault("a session opened under a grant that may not be used", ref, grant)
            self.sessions[name] = Used(ref["grant"], data["replica"], self.loop.now_ns)
        elif kind == "batch.served":
            used = self.sessions[name]
            used.ceiling_lines = max(used.ceiling_lines, data["total"]["lines"] + data["reserved"]["lines"])
            used.ceiling_bytes = max(used.ceiling_bytes, data["total"]["bytes"] + data["reserved"]["bytes"])
        elif kind == "session.closed":
            self._close(self.sessions[name], ref, data)

    def _close(self, used: Used, ref: Any, data: Any) -> None:
        if used.closed is not None and not self._is_of_lost_time(used):
            self.fault("a session has closed twice", ref)
        used.closed = data["why"]
        total, uncertain = data["total"], data["uncertain"]
        if self._is_of_lost_time(used):
            return
        beyond = total["lines"] + uncertain["lines"] - used.handed_lines
        if data["why"] != "crash" and (beyond or total["bytes"] != used.handed_bytes):
            self.fault("an account is not exact", ref, data, used)
        if not 0 <= beyond <= BATCH_LINES:
            self.fault("an account is more than a batch from what was handed over", ref, data, used)

    def _is_of_lost_time(self, used: Used) -> bool:
        return any(used.opened_ns <= at for at in self.lost_ns)

    # What it hears of the sockets.

    def handed(self, session: str, name: str, content: bytes, server: str) -> None:
        """Hear that a server hands bytes over now."""
        self.note("handed", session, len(content))
        now, used, grant = self.loop.now_ns, self.sessions.get(session), self.grants[name]
        if used is None or used.grant != name or used.server != server:
            self.fault("lines without a session on the record", session, name)
            return
        lines = content.count(b"L")
        used.handed_lines += lines
        used.handed_bytes += len(content)
        grant.handed_lines += lines
        grant.handed_bytes += len(content)
        about = (session, name, server, used, grant)
        if used.handed_lines > used.ceiling_lines or used.handed_bytes > used.ceiling_bytes:
            self.fault("lines that are not on the record", *about)
        if used.closed is not None:
            self.fault("lines of a session that is closed", *about)
        if now >= self.renewed_ns.get(server, -LEASE_NS) + LEASE_NS:
            self.fault("lines without a lease", self.renewed_ns.get(server), *about)
        if any(used.opened_ns <= at <= now - LEASE_NS for at in (*grant.cuts_ns, *self.lost_ns)):
            self.fault("lines after the right to them was taken away", *about)
        if grant.until_us is None or self._database_us(now) >= grant.until_us:
            self.fault("lines at or after the end of a grant", *about)
        if not self.lost_ns and (grant.handed_lines > grant.lines or grant.handed_bytes > grant.bytes):
            self.fault("lines over the budget", *about)

    def _database_us(self, now_ns: int) -> int:
        """Return the database's time by the least that its clock was ahead since a server must have looked."""
        known = [ahead for at, ahead in self.ahead if at > now_ns - LEASE_NS]
        before = [ahead for at, ahead in self.ahead if at <= now_ns - LEASE_NS]
        return START + now_ns // 1_000 + min(known + before[-1:])


class Broken(AssertionError):
    """Something that was promised does not hold."""


def _grant_in(content: bytes) -> str:
    return str(orjson.loads(content)["ref"].get("grant"))


def _micros(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

"""Which sessions are open in this process and what they depend on, so that a cut reaches each of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from loglease.access.permissions import matches
from loglease.access.watch import Cut, GrantCut, LockCut, SignInCut, SubjectCut
from loglease.model.grant import Grant
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, SessionId, TokenId
from loglease.model.principal import Principal
from loglease.model.session import CloseWhy, SessionKind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenSession:
    """One open session and how to cut it; `cut` returns at once."""

    id: SessionId
    kind: SessionKind
    grant: Grant
    principal: Principal
    token: TokenId | None
    sign_in: TokenId | None
    cut: Callable[[CloseWhy, str], None]

    def is_concerned(self, cut: Cut) -> bool:
        """Say whether a cut ends this session."""
        if isinstance(cut, GrantCut):
            return self.grant.id == cut.grant
        if isinstance(cut, LockCut):
            return self._depends_on(cut.on)
        if isinstance(cut, SignInCut):
            return self.sign_in == cut.sign_in
        return not isinstance(cut, SubjectCut) or self.principal.subject == cut.subject

    def _depends_on(self, on: LockOn) -> bool:
        if on.kind is LockKind.TOKEN:
            return self.token == on.name
        return matches(on, principal=self.principal, grant=self.grant)


@dataclass(slots=True)
class OpenSessions:
    """The open sessions of this process."""

    _by_grant: dict[GrantId, set[OpenSession]] = field(default_factory=dict)
    _by_kind: dict[SessionKind, int] = field(default_factory=dict)
    _hearing: list[list[Cut]] = field(default_factory=list)

    @contextmanager
    def hearing(self, kind: SessionKind, sessions: int = 1) -> Iterator[list[Cut]]:
        """Collect the cuts while sessions open, since they follow them, too; their places are taken from here on."""
        heard: list[Cut] = []
        self._hearing.append(heard)
        self._count(kind, sessions)
        try:
            yield heard
        finally:
            self._count(kind, -sessions)
            self._hearing = [one for one in self._hearing if one is not heard]

    def add(self, session: OpenSession) -> None:
        """Take in a session."""
        self._by_grant.setdefault(session.grant.id, set()).add(session)
        self._count(session.kind, 1)

    def remove(self, session: OpenSession) -> None:
        """Forget a session; one that is not there is no error."""
        found = self._by_grant.get(session.grant.id, set())
        if session in found:
            found.remove(session)
            self._count(session.kind, -1)
        if not found:
            self._by_grant.pop(session.grant.id, None)

    def open(self, kind: SessionKind) -> int:
        """Return how many sessions of a kind are open or opening."""
        return self._by_kind.get(kind, 0)

    def _count(self, kind: SessionKind, change: int) -> None:
        self._by_kind[kind] = self.open(kind) + change

    def all(self) -> Iterable[OpenSession]:
        """Return all open sessions."""
        return [session for sessions in self._by_grant.values() for session in sessions]

    def apply(self, cut: Cut) -> None:
        """End what a cut is about."""
        for heard in self._hearing:
            heard.append(cut)
        known = list(self._by_grant.get(cut.grant, ())) if isinstance(cut, GrantCut) else list(self.all())
        for session in known:
            if session.is_concerned(cut):
                session.cut(cut.why, cut.text)

"""What stops grants from being used without ending them: locks on anything, and suspensions of one grant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loglease.model.errors import InvalidField
from loglease.model.ids import GrantId, LockId, PrincipalId
from loglease.model.instant import Instant


class LockKind(StrEnum):
    """What can be locked or revoked."""

    GRANT = "grant"
    REQUEST = "request"
    PRINCIPAL = "principal"
    PERSON = "person"
    GROUP = "group"
    TOKEN = "token"  # noqa: S105 - a word of the vocabulary
    POLICY = "policy"
    SOURCE = "source"
    TARGET = "target"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class LockOn:
    """The thing that a lock or a revocation is about.

    Raises:
        InvalidField: a thing without a name, or `everything` with one.
    """

    kind: LockKind
    name: str = ""

    def __post_init__(self) -> None:
        if (self.kind is LockKind.EVERYTHING) is bool(self.name):
            raise InvalidField(
                "A lock names one thing.", next_step="Write it like person:dave@example.com or everything."
            )

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


def parse_lock_on(text: str) -> LockOn:
    """Read ``kind:name``, or ``everything``.

    Raises:
        InvalidField: an unknown kind or a missing name.
    """
    kind, _, name = text.partition(":")
    if kind not in set(LockKind):
        kinds = ", ".join(LockKind)
        raise InvalidField(f"{text[:60]!r} cannot be locked.", next_step=f"Write kind:name with one of {kinds}.")
    return LockOn(LockKind(kind), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock: while it is in force, grants that it matches are suspended and nothing new begins there.

    Attributes:
        until: it lapses then; None holds until somebody else lifts it.
    """

    id: LockId
    on: LockOn
    reason: str
    added_by: PrincipalId
    added_at: Instant
    until: Instant | None = None
    lifted_at: Instant | None = None
    lifted_by: PrincipalId | None = None

    def in_force(self, now: Instant) -> bool:
        """Say whether it holds at an instant."""
        return self.lifted_at is None and (self.until is None or now < self.until)


class SuspendCause(StrEnum):
    """Why one grant is suspended."""

    PERSON = "person"
    STANDING = "standing"
    POLICY = "policy"
    GUARDRAIL = "guardrail"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """One cause for which one grant may not be used until that cause is lifted."""

    grant: GrantId
    cause: SuspendCause
    reason: str
    since: Instant
    by: PrincipalId | None = None

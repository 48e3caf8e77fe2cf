"""The root of all errors that people and programs meet, and those that the model itself raises.

Not here: the mapping to HTTP statuses (`server.problems`) and to exit codes (`cli.output`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One wrong field of an input: where it is (RFC 6901 pointer) and which rule it breaks."""

    pointer: str
    code: str
    detail: str


class LogLeaseError(Exception):
    """A refusal with a stable code, a text that is safe to show, and what to do next.

    Args:
        message: what was wrong; holds no log content and nothing the caller may not know.
        next_step: a command or a sentence that helps the person who was refused.
        rule: the name of the rule that decided, if the reader may know it.
        faults: the fields that are wrong, for errors about an input.
    """

    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        next_step: str | None = None,
        rule: str | None = None,
        faults: tuple[FieldFault, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.rule = rule
        self.faults = faults

    @property
    def told(self) -> str:
        """What callers are told; the message, unless that is for the operators of the machine alone."""
        return self.message

    @property
    def told_next(self) -> str | None:
        """What callers are told to do."""
        return self.next_step


class Malformed(LogLeaseError):
    """An identifier or another basic value does not have its form."""

    code = "malformed"


class InvalidField(LogLeaseError):
    """A field of an input has a value that it cannot have."""

    code = "invalid_field"


class DurationInvalid(LogLeaseError):
    """A duration is not written as `30m`, `2h30m` or `7d`, or is not positive."""

    code = "duration_invalid"


class WindowInvalid(LogLeaseError):
    """An event window is empty, or ends before it starts."""

    code = "window_invalid"


class ScopeInvalid(LogLeaseError):
    """A selector or another part of a scope is not well-formed."""

    code = "scope_invalid"


class ScopeUndecidable(LogLeaseError):
    """A selector is well-formed, but the scope algebra cannot reason about it."""

    code = "scope_undecidable"


class NarrowingEmpty(LogLeaseError):
    """A narrowing would leave nothing to read."""

    code = "narrowing_empty"


class NarrowingNotSubset(LogLeaseError):
    """What was meant as a narrowing asks for more than was asked."""

    code = "narrowing_not_subset"


class RequestNotPending(LogLeaseError):
    """A review or a cancellation came after the verdict."""

    code = "request_not_pending"


class ProposalNotPending(LogLeaseError):
    """A review or a withdrawal of a proposal came after its verdict."""

    code = "proposal_not_pending"


class AlreadyReviewed(LogLeaseError):
    """The same person has already given a review that this one contradicts."""

    code = "already_reviewed"


class GrantNotActive(LogLeaseError):
    """A grant is scheduled or suspended, so it cannot be used now."""

    code = "grant_not_active"


class GrantEnded(LogLeaseError):
    """A grant has ended or was revoked; nothing brings it back."""

    code = "grant_ended"


class IllegalTransition(LogLeaseError):
    """A session or elevation cannot move that way from its present state."""

    code = "in_progress"

"""The errors of redaction: a root of its own, since this package imports nothing of ours.

No message here ever holds log text: a reason, a rule, a profile, a place in a file, and nothing else.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal, get_args

Reason = Literal[
    "engine_error",
    "canary_lost",
    "rule_error",
    "key_missing",
    "profile_invalid",
    "selftest_failed",
    "deadline",
]
REASONS: Final[frozenset[str]] = frozenset(get_args(Reason))


class RedactionError(Exception):
    """The root: a stable code and a text that is safe to show."""

    code: ClassVar[str] = "redaction_error"


class Withheld(RedactionError):
    """Nothing of this chunk may leave, and the stream that raised it is dead.

    Args:
        reason: one of the closed list `Reason`.
        rule: id of the rule or profile involved, where one is.
    """

    code = "redaction_withheld"

    def __init__(self, reason: Reason, *, rule: str | None = None) -> None:
        super().__init__(f"redaction withheld the text: {reason}" + (f" ({rule})" if rule else ""))
        self.reason: Reason = reason
        self.rule = rule


class RulesInvalid(RedactionError):
    """A rule pack does not load; the set in force stays.

    Args:
        where: pack or rule id.
        detail: what is wrong with it.
    """

    code = "rules_invalid"

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.where = where
        self.detail = detail


class ProfileInvalid(RedactionError):
    """A profile does not load, or names what does not exist."""

    code = "profile_invalid"

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.where = where
        self.detail = detail


class ProfileUnknown(ProfileInvalid):
    """There is no profile of this name and version."""

    code = "profile_unknown"


class EngineUnavailable(RedactionError):
    """The engine asked for cannot be used on this machine."""

    code = "engine_unavailable"

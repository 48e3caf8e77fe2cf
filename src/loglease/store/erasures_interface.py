"""What the rest of the product knows of how stored texts are erased; part of `interface`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from loglease.model.ids import PrincipalId, SubjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Something that still needs what somebody wrote.

    Attributes:
        what: kind of thing, in words.
        id: the first of them.
        count: how many there are.
    """

    what: str
    id: str
    count: int


class Erasures(Protocol):
    """Erases texts and keys for good. Each method is one transaction's business; `SqliteStore.wipe` follows it."""

    def principals_of(self, subject: str) -> Sequence[PrincipalId]:
        """Return the logins that entries name by a subject; none for one that is erased or was never drawn."""

    def is_known(self, principal: PrincipalId) -> bool:
        """Say whether a login is there and was not erased."""

    def texts_of(self, subject: str) -> int:
        """Return how many private texts are kept under a subject's key."""

    def obstacles(self, principals: Collection[PrincipalId]) -> Sequence[Obstacle]:
        """Return what is not over yet and needs the texts of these logins."""

    def erase_subject(self, subject: str, principals: Sequence[PrincipalId], *, instead: SubjectId) -> int:
        """Delete a subject's key, texts and link to its logins, and every copy of what they wrote.

        The logins stay as ids without a name, an address, a password or a token. Returns how many texts were deleted.

        Args:
            instead: a fresh subject, since a login has one.
        """

    def erase_field(self, entry_id: str, path: str, clear: str) -> None:
        """Delete one private text and its copies in what the entry is about."""

"""What the rest of the product knows of the stored keys of private texts."""

from __future__ import annotations

from typing import Protocol


class SubjectKeys(Protocol):
    """The key of each subject's private texts, wrapped by a master key that is not in the database."""

    def find(self, subject: str) -> bytes | None:
        """Return a subject's wrapped key; None before the first text, and once it was erased."""

    def insert(self, subject: str, wrapped: bytes) -> None:
        """Store the wrapped key of a subject who has none."""

    def any(self) -> tuple[str, bytes] | None:
        """Return some subject with their wrapped key; None while there is none."""

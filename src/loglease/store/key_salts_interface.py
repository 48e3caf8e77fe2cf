"""What the rest of the product knows of stored salts that grants share."""

from __future__ import annotations

from typing import Protocol


class KeySalts(Protocol):
    """Salts of keys that grants share, by the scope of the key and its day; a day is empty where there is none."""

    def find(self, name: str, day: str) -> bytes | None:
        """Return the salt of a scope on a day, if there is one."""

    def insert(self, name: str, day: str, salt: bytes) -> None:
        """Store a salt. It never changes."""

    def delete_before(self, day: str) -> int:
        """Remove the salts of earlier days; return how many."""

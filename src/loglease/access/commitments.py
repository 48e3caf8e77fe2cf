"""Salted commitments to what people type, made once and copied bit for bit wherever the text goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loglease.audit.interface import PrivateField
from loglease.model.digest import SALT_BYTES, commitment

Random = Callable[[int], bytes]
"""Return so many unpredictable bytes; the only real one is in `server.clock`."""


@dataclass(slots=True)
class Commitments:
    """The commitments of one request: equal texts of one field keep one salt, so a verifier can compare copies.

    Attributes:
        known: salt (hex) and clear text by field; starts with what the request already committed to.
        fresh: what was added since, for the side table of the entry that is being written.
    """

    random: Random
    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    fresh: list[PrivateField] = field(default_factory=list)

    def to(self, name: str, text: str) -> str:
        """Return the commitment to a text in a field such as ``reason_c`` or ``rule:level_from=warn``."""
        if name in self.known and self.known[name][1] == text:
            return commitment(bytes.fromhex(self.known[name][0]), text.encode())
        salt = self.random(SALT_BYTES)
        self.known[name] = (salt.hex(), text)
        self.fresh.append(PrivateField(path=name, salt=salt, clear=text.encode()))
        return commitment(salt, text.encode())

    def taken(self) -> tuple[PrivateField, ...]:
        """Return what is fresh and count it as written."""
        fresh, self.fresh = tuple(self.fresh), []
        return fresh


def commitments_of(private: Mapping[str, tuple[str, str]], random: Random) -> Commitments:
    """Return the commitments of a stored request, to go on with."""
    return Commitments(random=random, known=dict(private))

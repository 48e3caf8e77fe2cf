"""Salted commitments to what people type, made once and copied bit for bit wherever the text goes on."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from loglease.audit.interface import PrivateField
from loglease.model.digest import SALT_BYTES, commitment
from loglease.policy.entry_shapes import RULE

Random = Callable[[int], bytes]
"""Return so many unpredictable bytes; the only real one is in `server.clock`."""

RECORD: Final = "record_c"
"""Under which name entries commit to the record of a decision."""
_RULES: Final = "rules"
_SECRET_BYTES: Final = 32


@dataclass(slots=True)
class Commitments:
    """The commitments of one request: equal texts of one field keep one salt, so a verifier can compare copies.

    Attributes:
        known: salt (hex) and clear text by field; starts with what the request already committed to. Under ``rules``
            is no text, but the secret that salts of line rules follow from.
        fresh: what was added since, for the side table of the entry that is being written.
    """

    random: Random
    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    fresh: list[PrivateField] = field(default_factory=list)

    def to(self, name: str, text: str) -> str:
        """Return the commitment to a text in a field such as ``reason_c`` or ``rule:level_from=warn``."""
        if name in self.known and self.known[name][1] == text:
            return commitment(bytes.fromhex(self.known[name][0]), text.encode())
        salt = self._salt(name)
        self.known[name] = (salt.hex(), text)
        committed = commitment(salt, text.encode())
        self.fresh.append(PrivateField(path=_path(name, committed), salt=salt, clear=text.encode()))
        return committed

    def _salt(self, name: str) -> bytes:
        """Return 16 bytes that nobody can guess.

        Line rules come up in reviews, grants and sessions, long after the request was stored. Whoever compares those
        has to see that a rule is the same, so its salt follows from a secret of the request.
        """
        if not (name.startswith(RULE) and _RULES in self.known):
            return self.random(SALT_BYTES)
        secret, _ = self.known[_RULES]
        return hmac.digest(bytes.fromhex(secret), name.encode(), "sha256")[:SALT_BYTES]

    @property
    def of_terms(self) -> dict[str, tuple[str, str]]:
        """What is kept with the request: all but the record of the decision, which is for auditors alone."""
        return {name: pair for name, pair in self.known.items() if name != RECORD}

    def taken(self) -> tuple[PrivateField, ...]:
        """Return what is fresh and count it as written."""
        fresh, self.fresh = tuple(self.fresh), []
        return fresh


def first_commitments(random: Random) -> Commitments:
    """Return the commitments of a request that is being made."""
    return Commitments(random=random, known={_RULES: (random(_SECRET_BYTES).hex(), "")})


def opened(private: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return salt and clear text of what a request commits to, by field, for those who may read it."""
    return {name: pair for name, pair in sorted(private.items()) if name != _RULES}


def _path(name: str, committed: str) -> str:
    """Return where a commitment stands. That of a line rule is one of many, and a path must not give the rule away."""
    return f"rules_c:{committed}" if name.startswith(RULE) else name


def commitments_of(private: Mapping[str, tuple[str, str]], random: Random) -> Commitments:
    """Return the commitments of a stored request, to go on with."""
    return Commitments(random=random, known=dict(private))

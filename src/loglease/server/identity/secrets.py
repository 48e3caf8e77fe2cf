"""Tokens as texts: a kind, a public part to find it by, 32 secret bytes, a checksum. At rest there is only a hash."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from dataclasses import dataclass
from typing import Final

from loglease.access.commitments import Random

PERSONAL: Final = "llp"
SERVICE: Final = "lls"
ACCESS: Final = "lla"
REFRESH: Final = "llr"
GRANT: Final = "llg"
VIEWER: Final = "llv"
WEB: Final = "llw"
KINDS: Final = frozenset({PERSONAL, SERVICE, ACCESS, REFRESH, GRANT, VIEWER, WEB})

_LOOKUP_BYTES: Final = 10
_SECRET_BYTES: Final = 32
_CHECK_BYTES: Final = 4
_LENGTH: Final = _LOOKUP_BYTES + _SECRET_BYTES + _CHECK_BYTES
_KIND_LENGTH: Final = 3


@dataclass(frozen=True, slots=True)
class Secret:
    """A token that somebody holds. Its text is shown once; `repr` hides it."""

    kind: str
    lookup: str
    secret: bytes

    @property
    def sha256(self) -> bytes:
        """What is stored."""
        return hashlib.sha256(self.secret).digest()

    def fits(self, stored: bytes) -> bool:
        """Compare with what is stored, in constant time."""
        return hmac.compare_digest(self.sha256, stored)

    def text(self) -> str:
        """Return the token as its holder sends it."""
        body = bytes.fromhex(self.lookup) + self.secret
        checked = body + _check(self.kind, body)
        return f"{self.kind}_{base64.urlsafe_b64encode(checked).rstrip(b'=').decode()}"

    def __repr__(self) -> str:
        return f"Secret(kind={self.kind!r})"


def _check(kind: str, body: bytes) -> bytes:
    return zlib.crc32(kind.encode() + body).to_bytes(_CHECK_BYTES)


def new_secret(kind: str, random: Random) -> Secret:
    """Return a new token of a kind."""
    return Secret(kind=kind, lookup=random(_LOOKUP_BYTES).hex(), secret=random(_SECRET_BYTES))


def secret_of(text: str) -> Secret | None:
    """Read a token's text; None if it is none, by its form or checksum alone."""
    kind, mark, body = text[:_KIND_LENGTH], text[_KIND_LENGTH : _KIND_LENGTH + 1], text[_KIND_LENGTH + 1 :]
    if kind not in KINDS or mark != "_" or not body.isascii():
        return None
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != _LENGTH or _check(kind, raw[:-_CHECK_BYTES]) != raw[-_CHECK_BYTES:]:
        return None
    found = Secret(
        kind=kind, lookup=raw[:_LOOKUP_BYTES].hex(), secret=raw[_LOOKUP_BYTES : _LOOKUP_BYTES + _SECRET_BYTES]
    )
    return found if found.text() == text else None

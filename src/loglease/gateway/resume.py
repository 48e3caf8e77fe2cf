"""Resume values: where an answer stopped, authenticated, and no right: all is checked again when one comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Final

from loglease.gateway.errors import CursorInvalid
from loglease.model.ids import GrantId, PrincipalId

_TAG_BYTES: Final = 16
_POSITION: Final = struct.Struct(">Bqq")
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Position:
    """The event time of the last line that was handed over, and how many lines of exactly that time were."""

    event_ns: int
    seen: int


class Resumes:
    """Makes and checks the resume values of one grant, principal, query and direction."""

    def __init__(self, key: bytes, *, grant: GrantId, principal: PrincipalId, epoch: int, query: str) -> None:
        bound = "\0".join((grant, principal, str(epoch), query))
        self._key = hmac.digest(key, hashlib.sha256(bound.encode()).digest(), "sha256")

    def text(self, position: Position) -> str:
        """Return the value that names a position."""
        content = _POSITION.pack(_VERSION, position.event_ns, position.seen)
        tag = hmac.digest(self._key, content, "sha256")[:_TAG_BYTES]
        return base64.urlsafe_b64encode(content + tag).decode().rstrip("=")

    def position(self, text: str) -> Position:
        """Return the position that a value names.

        Raises:
            CursorInvalid: it was not made here, or for another grant, principal, query or direction.
        """
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError) as error:
            raise _refused() from error
        content, tag = raw[: _POSITION.size], raw[_POSITION.size :]
        wanted = hmac.digest(self._key, content, "sha256")[:_TAG_BYTES]
        if len(content) != _POSITION.size or not hmac.compare_digest(tag, wanted):
            raise _refused()
        version, event_ns, seen = _POSITION.unpack(content)
        if version != _VERSION:
            raise _refused()
        return Position(event_ns, seen)


def _refused() -> CursorInvalid:
    return CursorInvalid("The resume value does not belong to this call.", next_step="Ask without Last-Event-ID.")

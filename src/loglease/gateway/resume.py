"""Resume values: where an answer stopped, authenticated, and no right: all is checked again when one comes back."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from loglease.gateway.errors import CursorInvalid
from loglease.model.ids import GrantId, PrincipalId

_TAG_BYTES: Final = 16
_GRANTS_BYTES: Final = 8
_VERSION: Final = b"\2"
_POSITION: Final = struct.Struct(">qq")
_NONE: Final = (0, 0)


class Position(NamedTuple):
    """The event time of the last line that was handed over, and how many lines of exactly that time were."""

    event_ns: int
    seen: int


Places = tuple[Position | None, ...]
"""For each grant of an answer, as they rank, its last line that was handed over; None as long as there is none."""


class Resumes:
    """Makes and checks the resume values of some grants and one principal, query and direction.

    Args:
        grants: those that an answer is made under, as they rank, each with its epoch.
    """

    def __init__(
        self, key: bytes, *, grants: Sequence[tuple[GrantId, int]], principal: PrincipalId, query: str
    ) -> None:
        bound = f"{principal}\0{query}"
        self._key = hmac.digest(key, hashlib.sha256(bound.encode()).digest(), "sha256")
        named = "\0".join(f"{grant} {epoch}" for grant, epoch in grants)
        self._grants = hashlib.sha256(named.encode()).digest()[:_GRANTS_BYTES]
        self._count = len(grants)

    def text(self, places: Places) -> str:
        """Return the value that names a place in an answer."""
        packed = (_POSITION.pack(*(_NONE if one is None else (one.event_ns, one.seen))) for one in places)
        content = b"".join((_VERSION, self._grants, *packed))
        return base64.urlsafe_b64encode(content + self._tag(content)).decode().rstrip("=")

    def places(self, text: str) -> Places:
        """Return the place that a value names.

        Raises:
            CursorInvalid: it was not made here, or for other grants, another principal, query or direction.
        """
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError) as error:
            raise _foreign() from error
        content, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if not content.startswith(_VERSION) or not hmac.compare_digest(tag, self._tag(content)):
            raise _foreign()
        grants, packed = content[1 : 1 + _GRANTS_BYTES], content[1 + _GRANTS_BYTES :]
        if grants != self._grants or len(packed) != self._count * _POSITION.size:
            raise CursorInvalid(
                "The resume value was made under other grants than those that this call is answered under.",
                next_step="Ask without Last-Event-ID, or name one grant: /g/<grant>/logs",
            )
        found = _POSITION.iter_unpack(packed)
        return tuple(Position(event_ns, seen) if seen else None for event_ns, seen in found)

    def _tag(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_TAG_BYTES]


def _foreign() -> CursorInvalid:
    return CursorInvalid("The resume value does not belong to this call.", next_step="Ask without Last-Event-ID.")

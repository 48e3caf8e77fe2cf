"""Opaque cursors of lists: signed, bound to who asked and for what."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from loglease.model.ids import PrincipalId
from loglease.server.problems import InvalidCursor

_MAC_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Cursors:
    """Makes and reads cursors with a key that all servers on one database share."""

    key: bytes

    def made(self, last: str, *, principal: PrincipalId, query: str) -> str:
        """Return the cursor behind `last`; `query` is the list with its filters."""
        body = last.encode()
        return base64.urlsafe_b64encode(self._mac(body, principal, query) + body).rstrip(b"=").decode()

    def read(self, cursor: str, *, principal: PrincipalId, query: str) -> str:
        """Return what a cursor stands behind.

        Raises:
            InvalidCursor: it was made for somebody else, another list or filter, or not here.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            body = raw[_MAC_BYTES:]
            if hmac.compare_digest(raw[:_MAC_BYTES], self._mac(body, principal, query)):
                return body.decode()
        except (binascii.Error, ValueError):
            pass
        raise InvalidCursor("The cursor is not valid for this list.", next_step="Start again without a cursor.")

    def _mac(self, body: bytes, principal: PrincipalId, query: str) -> bytes:
        message = b"\0".join((principal.encode(), hashlib.sha256(query.encode()).digest(), body))
        return hmac.digest(self.key, message, "sha256")[:_MAC_BYTES]

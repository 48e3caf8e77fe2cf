"""Identifiers: a prefix that names the kind of thing, and a ULID that sorts by time of birth."""

from __future__ import annotations

import base64
import re
from typing import Final, NewType, Protocol

from ulid import ULID

from loglease.model.errors import Malformed

PrincipalId = NewType("PrincipalId", str)
PersonId = NewType("PersonId", str)
SubjectId = NewType("SubjectId", str)
RequestId = NewType("RequestId", str)
ReviewId = NewType("ReviewId", str)
GrantId = NewType("GrantId", str)
SessionId = NewType("SessionId", str)
ElevationId = NewType("ElevationId", str)
EntryId = NewType("EntryId", str)
LockId = NewType("LockId", str)
TokenId = NewType("TokenId", str)
RevocationId = NewType("RevocationId", str)
NoticeId = NewType("NoticeId", str)
ProposalId = NewType("ProposalId", str)
HoldId = NewType("HoldId", str)

PRINCIPAL: Final = "prn"
PERSON: Final = "per"
REQUEST: Final = "req"
REVIEW: Final = "rev"
GRANT: Final = "grt"
SESSION: Final = "ses"
ELEVATION: Final = "elv"
ENTRY: Final = "ent"
LOCK: Final = "lck"
TOKEN: Final = "tok"  # noqa: S105 - a prefix, not a secret
REVOCATION: Final = "rvk"
NOTICE: Final = "ntc"
PROPOSAL: Final = "prp"
HOLD: Final = "hld"

SUBJECT_BYTES: Final = 17

_RANDOM_BYTES: Final = 10
_SUBJECT_CHARACTERS: Final = 26
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


class NewId(Protocol):
    """The only source of new identifiers; the real one is in `server.clock`."""

    def __call__(self, prefix: str) -> str:
        """Return an identifier that was never returned before, such as ``req_01JDC8Z0M4…``."""


def id_of(prefix: str, *, unix_ms: int, randomness: bytes) -> str:
    """Build an identifier from a time in milliseconds and ten random bytes.

    Source: the ULID specification; Crockford's base32.
    """
    if len(randomness) != _RANDOM_BYTES:
        raise ValueError(f"a ULID takes {_RANDOM_BYTES} random bytes, got {len(randomness)}")
    return f"{prefix}_{ULID.from_bytes(unix_ms.to_bytes(6, 'big') + randomness)}"


def subject_of(randomness: bytes) -> SubjectId:
    """Build the name that audit entries use for somebody, from 17 random bytes."""
    if len(randomness) != SUBJECT_BYTES:
        raise ValueError(f"a subject takes {SUBJECT_BYTES} random bytes, got {len(randomness)}")
    return SubjectId(f"sub_{base64.b32encode(randomness).decode().lower()[:_SUBJECT_CHARACTERS]}")


def checked_id(prefix: str, text: str) -> str:
    """Return `text` if it is an identifier with that prefix.

    Raises:
        Malformed: it is something else; the message names the expected form.
    """
    kind, _, rest = text.partition("_")
    if kind != prefix or not _ULID.fullmatch(rest):
        shown = text[:40]
        raise Malformed(
            f"{shown!r} is not an identifier of the form {prefix}_ and 26 characters.",
            next_step="Copy the identifier as it was printed.",
        )
    return text

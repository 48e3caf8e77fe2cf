"""What the API answers about the audit log."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import Field

from loglease.server.api.fields import At, Count, Resource
from loglease.store.entries_interface import StoredEntry

Hash = Annotated[str, Field(description="A SHA-256 hash in base64.")]


class EntryShown(Resource):
    """One audit entry as it is in the log; `leaf` is its hash in the tree, in hexadecimal digits."""

    index: Count
    leaf: str
    id: str
    type: str
    at: At
    actor: str
    via: str | None = None
    ref: dict[str, str]
    data: dict[str, Any]


class ConsistencyShown(Resource):
    """The hashes that show that the log of size `to` begins with the log of size `from` (RFC 6962, section 2.1.2)."""

    since: Annotated[Count, Field(serialization_alias="from")]
    to: Count
    hashes: list[Hash]


def entry_shown(row: StoredEntry) -> EntryShown:
    """Return an entry as it is shown."""
    entry: dict[str, Any] = orjson.loads(row.content)
    return EntryShown(
        index=row.index,
        leaf=row.leaf.hex(),
        id=entry["id"],
        type=entry["type"],
        at=entry["at"],
        actor=entry["actor"],
        via=entry.get("via"),
        ref=entry.get("ref", {}),
        data=entry.get("data", {}),
    )

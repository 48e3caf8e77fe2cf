"""Events of entries, and what is known of the grants in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from loglease.audit.export.ocsf import line
from loglease.audit.merkle import leaf_hash
from loglease.store.entries_interface import StoredEntry

ORIGIN = "logs.example.com/loglease/1"
SCOPE: dict[str, Any] = {
    "source": "prod",
    "selector": [{"label": "app", "op": "eq", "value": "pay"}],
    "live": True,
    "rules_c": [],
    "profiles": [{"name": "pii@12", "sha256": "0f" * 32}],
}
SCHEDULED: dict[str, Any] = {"holder": "sub_holder", "basis": "reviews", "scopes": [SCOPE]}
EMERGENCY = {**SCHEDULED, "basis": "break_glass"}


def stored(content: bytes, index: int = 7) -> StoredEntry:
    return StoredEntry(index=index, content=content, leaf=leaf_hash(content))


def event_for(content: bytes, *, index: int = 7, scheduled: Mapping[str, Any] | None = SCHEDULED) -> dict[str, Any]:
    """Return the event as whoever receives it reads it."""
    written = line(stored(content, index), origin=ORIGIN, grants=lambda _: scheduled)
    found: dict[str, Any] = orjson.loads(written)
    return found

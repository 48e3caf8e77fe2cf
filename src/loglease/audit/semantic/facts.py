"""An entry as rules see it: read once, checked before, and not wrapped any further, since a log has millions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from loglease.audit.entry import Entry
from loglease.model.instant import Instant, parse_instant

Data = Mapping[str, Any]
"""Data of an entry, or an object in it; its form was checked when the entry was read."""


class Fact(NamedTuple):
    """One entry of the log."""

    id: str
    type: str
    actor: str
    at: Instant
    ref: Mapping[str, str]
    data: Data


def fact_of(entry: Entry) -> Fact:
    """Return an entry that was read already."""
    draft = entry.draft
    return Fact(draft.id, draft.type, draft.actor, entry.at, draft.ref, draft.data)


def read_fact(content: bytes) -> Fact:
    """Read the bytes of an entry whose form was checked."""
    value = orjson.loads(content)
    return Fact(value["id"], value["type"], value["actor"], _instant(value["at"]), value["ref"], value["data"])


# The entries of a group have one time.
_instant = lru_cache(maxsize=4)(parse_instant)

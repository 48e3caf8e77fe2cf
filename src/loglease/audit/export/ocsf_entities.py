"""Which thing an event of OCSF's class Entity Management is about, by type of entry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_OTHER: Final = 99
_POLICY: Final = 5

# Type of entry, or the noun that several have in front: kind of thing, and the keys that name it. `ref.` is looked up
# in the references, all else in the data; several keys are joined, those that are absent are left out.
ENTITIES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "offer": ("offer", ("ref.request", "offer")),
        "request": ("access request", ("ref.request",)),
        "review": ("review", ("ref.review",)),
        "grant": ("grant", ("ref.grant",)),
        "breakglass": ("grant", ("ref.grant",)),
        "lock": ("lock", ("lock",)),
        "elevation": ("elevation", ("ref.elevation",)),
        "target": ("target", ("target",)),
        "elevation_agent": ("elevation agent", ("agent",)),
        "policy.refused": ("policy", ("bundle_sha256",)),
        "policy.loaded": ("policy", ("bundle_sha256",)),
        "policy": ("proposal", ("ref.proposal",)),
        "act": ("proposal", ("ref.proposal",)),
        "stand_in": ("stand-in", ("subject", "stand_in")),
        "token": ("token", ("token",)),
        "config": ("configuration", ("after_sha256",)),
        "key": ("key", ("new_id",)),
        "report": ("report", ("ref.entry",)),
        "hold": ("hold", ("hold",)),
    }
)


def entity_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return OCSF's managed entity: what it is, and how it is called here."""
    kind, keys = ENTITIES.get(entry["type"]) or ENTITIES[entry["type"].partition(".")[0]]
    parts = [str(value) for value in (_value(entry, key) for key in keys) if value is not None]
    named = {"uid": "/".join(parts)} if parts else {"name": kind}
    if kind == "policy":
        return {**named, "type_id": _POLICY, "type": "Policy"}
    return {**named, "type_id": _OTHER, "type": kind}


def _value(entry: Mapping[str, Any], key: str) -> object:
    where, dot, name = key.partition(".")
    return entry["ref"].get(name) if dot else entry["data"].get(where)

"""What the request form offers: sources, the labels that scopes may name, and the values that policy declares.

Values never come from the logs: reading them there would be reading without a grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.server.services import Services

MAX_VALUES: Final = 200
_FIRST: Final = ("service", "app", "job", "env", "environment", "namespace", "team", "region", "host", "pod")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source that may be asked for, and suggestions for its labels; people may type other values."""

    name: str
    kind: str
    description: str
    labels: Mapping[str, Sequence[str]]


def source_entries(services: Services) -> list[SourceEntry]:
    """Return all sources, by name, with what names a service first among their labels."""
    declared = services.rules.current.bundle.catalog.labels
    return [
        SourceEntry(
            name=source.name,
            kind=source.kind,
            description=source.description,
            labels={name: sorted(declared.get(name) or ())[:MAX_VALUES] for name in _ordered(source.trusted_labels)},
        )
        for _, source in sorted(services.sources.items())
    ]


def _ordered(names: frozenset[str]) -> list[str]:
    return sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))

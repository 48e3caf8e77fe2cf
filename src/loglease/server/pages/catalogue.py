"""What the request form offers: sources, the labels that scopes may name, and the values that policies name.

Values never come from the logs: reading them there would be reading without a grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.model.principal import Directory, Principal
from loglease.policy import People, askable
from loglease.server.services import Services
from loglease.sources.registry import Source

MAX_VALUES: Final = 200
_FIRST: Final = ("service", "app", "job", "env", "environment", "namespace", "team", "region", "host", "pod")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source that may be asked for, and suggestions for its labels; people may type other values."""

    name: str
    kind: str
    description: str
    labels: Mapping[str, Sequence[str]]


def source_entries(services: Services, principal: Principal, directory: Directory) -> list[SourceEntry]:
    """Return all sources, by name, with what names a service first among their labels."""
    return [
        SourceEntry(
            name=source.name,
            kind=source.kind,
            description=source.description,
            labels=_suggested(services, source, principal, directory),
        )
        for _, source in sorted(services.sources.items())
    ]


def _suggested(
    services: Services, source: Source, principal: Principal, directory: Directory
) -> dict[str, Sequence[str]]:
    bundle = services.rules.current.bundle
    known = askable(
        bundle,
        principal,
        people=People(directory, bundle.approver_sets),
        source=source.name,
        labels=source.trusted_labels,
    )
    names = _ordered(source.trusted_labels)
    return {name: sorted(known[name].values)[:MAX_VALUES] if name in known else () for name in names}


def _ordered(names: frozenset[str]) -> list[str]:
    return sorted(names, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))

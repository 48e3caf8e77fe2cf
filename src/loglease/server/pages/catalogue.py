"""What the request form offers: sources, their labels, and the values seen lately."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.model.instant import NANOSECONDS, Interval
from loglease.model.labels import Selector
from loglease.server.services import Services, Source
from loglease.sources.interface import SourceError

MAX_VALUES: Final = 200
_LOOKBACK_NS: Final = 24 * 3_600 * NANOSECONDS
_WITHIN_S: Final = 2.0
_FIRST: Final = ("service", "app", "job", "env", "environment", "namespace", "team", "region", "host", "pod")


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """A source that may be asked for, and suggestions for its labels; people may type other values."""

    name: str
    kind: str
    description: str
    labels: Mapping[str, Sequence[str]]


async def source_entries(services: Services) -> list[SourceEntry]:
    """Return all sources, by name; one that does not answer in time has labels without suggestions."""
    now_ns = services.clock.now() * 1_000
    interval = Interval(now_ns - _LOOKBACK_NS, now_ns)
    sources = [services.sources[name] for name in sorted(services.sources)]
    return list(await asyncio.gather(*(_entry(source, interval) for source in sources)))


async def _entry(source: Source, interval: Interval) -> SourceEntry:
    names = sorted(source.labels, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    labels: dict[str, Sequence[str]] = dict.fromkeys(names, ())
    try:
        async with asyncio.timeout(_WITHIN_S):
            for name in names:
                values = await source.reader.label_values(name, Selector(()), interval)
                labels[name] = sorted(values)[:MAX_VALUES]
    except (SourceError, TimeoutError):
        pass  # suggestions only: the form works without them
    return SourceEntry(name=source.name, kind=source.kind, description=source.description, labels=labels)

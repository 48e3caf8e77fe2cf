"""The configured sources by name, with what the rest of the program may know of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from loglease.model.errors import InvalidField
from loglease.sources.interface import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One configured source.

    Attributes:
        trusted_labels: the only labels that a scope may name.
        clear_labels: labels that are never masked; a redaction profile may only narrow them.
        description: for people who choose a source.
    """

    name: str
    kind: str
    reader: Reader
    trusted_labels: frozenset[str]
    clear_labels: frozenset[str] = frozenset()
    description: str = ""

    def __post_init__(self) -> None:
        unknown = self.clear_labels - self.trusted_labels
        if unknown:
            raise InvalidField(
                f"The source {self.name!r} lists clear labels that are not trusted: {', '.join(sorted(unknown))}.",
                next_step="Add them to trusted_labels or remove them from clear_labels.",
            )


class Sources(Mapping[str, Source]):
    """All sources of this program, in the order of configuration.

    Raises:
        InvalidField: two sources have one name.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources: dict[str, Source] = {}
        for source in sources:
            if source.name in self._sources:
                raise InvalidField(
                    f"Two sources are called {source.name!r}.", next_step="Rename one of them in the configuration."
                )
            self._sources[source.name] = source

    def __getitem__(self, name: str) -> Source:
        return self._sources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    async def aclose(self) -> None:
        """Close all readers."""
        for source in self._sources.values():
            await source.reader.aclose()

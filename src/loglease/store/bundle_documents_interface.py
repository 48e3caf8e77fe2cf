"""What the rest of the product knows of the documents of bundles that were in force; part of `interface`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from loglease.model.instant import Instant


class KeptBundle(NamedTuple):
    """A bundle of which the documents are kept, and since when."""

    bundle_sha256: str
    kept_at: Instant


class BundleDocuments(Protocol):
    """The documents of every bundle that was in force, whoever vouched for it; never changed."""

    def keep(self, bundle_sha256: str, files: Mapping[str, str], now: Instant) -> None:
        """Keep the documents of a bundle; the first ones that had its hash stay."""

    def find(self, bundle_sha256: str) -> Mapping[str, str] | None:
        """Return the documents of a bundle by path; None where they are not kept."""

    def kept(self) -> Sequence[KeptBundle]:
        """Return all of which documents are kept, the first ones first."""

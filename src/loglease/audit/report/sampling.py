"""Samples that anybody can draw again, in any language: rows in the order of a hash of the seed and their entry.

The key of a row is SHA-256 over the seed and the index of its first entry, each as eight bytes, big-endian. The rows
with the smallest keys are the sample. No random generator takes part, so no version of one changes it.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from typing import Final

from loglease.audit.report.tables import Row

METHOD: Final = (
    "Rows in ascending order of SHA-256(seed ‖ index of the row's first entry), each number as 8 bytes big-endian; the "
    "first of them are the sample."
)
_BYTES: Final = 8


def sampled(rows: Iterable[Row], count: int, seed: int) -> tuple[Row, ...]:
    """Return so many rows, in their own order, or all where there are fewer. Rows without entries take no part."""
    drawable = (row for row in rows if row.entries)
    chosen = heapq.nsmallest(count, drawable, key=lambda row: sampling_key(seed, row.entries[0]))
    return tuple(sorted(chosen, key=lambda row: row.entries[0]))


def sampling_key(seed: int, index: int) -> bytes:
    """Return the key by which a row is drawn."""
    return hashlib.sha256(seed.to_bytes(_BYTES, "big") + index.to_bytes(_BYTES, "big")).digest()

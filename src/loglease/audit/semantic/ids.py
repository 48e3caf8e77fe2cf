"""Which ids occurred before, exactly, in sixteen bytes each."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

_FORM: Final = re.compile(r"([a-z]{2,4}_)([0-7][0-9A-HJKMNP-TV-Z]{25})")
_DIGITS: Final = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
"""From the digits of a ULID, Crockford's, to those that Python reads to the base of 32."""

_WIDTH: Final = 16
_SEALED_AT: Final = 65_536


@dataclass(slots=True)
class _Run:
    """Sorted ids in one piece of memory."""

    content: bytes
    low: bytes
    high: bytes

    def __len__(self) -> int:
        return len(self.content) // _WIDTH

    def __getitem__(self, position: int) -> bytes:
        return self.content[position * _WIDTH : (position + 1) * _WIDTH]

    def holds(self, one: bytes) -> bool:
        if not self.low <= one <= self.high:
            return False
        position = bisect_left(self, one)
        return position < len(self) and self[position] == one


@dataclass(slots=True)
class Ids:
    """A set of ids of one kind, which have one prefix.

    Ids are made shortly before they are written, so a new one is nearly always above all older ones, and needs no
    search: in their text, too, ULIDs are in the order of their times. The newest 65,536 are in a set, older ones in
    sorted runs. What is no ULID with that prefix is kept as it is.
    """

    _recent: set[str] = field(default_factory=set)
    _runs: list[_Run] = field(default_factory=list)
    _top: str = ""
    _prefix: str = ""
    _others: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._recent) + sum(map(len, self._runs)) + len(self._others)

    def __contains__(self, text: str) -> bool:
        return text in self._recent or text in self._others or (text <= self._top and self._is_old(text))

    def add(self, text: str) -> bool:
        """Add an id, and say whether it is new."""
        recent = self._recent
        if text in recent or text in self._others or (text <= self._top and self._is_old(text)):
            return False
        recent.add(text)
        if len(recent) >= _SEALED_AT:
            self._seal()
        return True

    def _is_old(self, text: str) -> bool:
        one = self._packed(text)
        return one is not None and any(run.holds(one) for run in reversed(self._runs))

    def _seal(self) -> None:
        packed = []
        for text in sorted(self._recent):
            one = self._packed(text)
            if one is None:
                self._others.add(text)
            else:
                packed.append(one)
                self._top = max(self._top, text)
        if packed:
            self._runs.append(_Run(b"".join(packed), packed[0], packed[-1]))
        self._recent = set()

    def _packed(self, text: str) -> bytes | None:
        """Return an id in sixteen bytes, in the order of the text; None for one of another form, or another prefix."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        self._prefix = self._prefix or match[1]
        return int(match[2].translate(_DIGITS), 32).to_bytes(_WIDTH, "big") if match[1] == self._prefix else None

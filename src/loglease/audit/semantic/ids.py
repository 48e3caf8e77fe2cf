"""Which ids occurred before, exactly, in sixteen bytes each."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

_FORM: Final = re.compile(r"[a-z]{2,4}_([0-7][0-9A-HJKMNP-TV-Z]{25})")
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
    """A set of ids of one kind.

    Ids are made shortly before they are written, so a new one is nearly always above all older ones, and needs no
    search. The newest 65,536 are in a set, older ones in sorted runs. What is no prefixed ULID is kept as it is.
    """

    _recent: set[int] = field(default_factory=set)
    _runs: list[_Run] = field(default_factory=list)
    _top: int = -1
    _others: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._recent) + sum(map(len, self._runs)) + len(self._others)

    def __contains__(self, text: str) -> bool:
        number = _number(text)
        return text in self._others if number is None else self._holds(number)

    def add(self, text: str) -> bool:
        """Add an id, and say whether it is new."""
        number = _number(text)
        if number is None:
            if text in self._others:
                return False
            self._others.add(text)
            return True
        if self._holds(number):
            return False
        self._recent.add(number)
        if len(self._recent) >= _SEALED_AT:
            self._seal()
        return True

    def _holds(self, number: int) -> bool:
        if number in self._recent:
            return True
        if number > self._top:
            return False
        one = number.to_bytes(_WIDTH, "big")
        return any(run.holds(one) for run in reversed(self._runs))

    def _seal(self) -> None:
        ordered = sorted(self._recent)
        content = b"".join([one.to_bytes(_WIDTH, "big") for one in ordered])
        self._runs.append(_Run(content, content[:_WIDTH], content[-_WIDTH:]))
        self._top = max(self._top, ordered[-1])
        self._recent = set()


def _number(text: str) -> int | None:
    match = _FORM.fullmatch(text)
    return None if match is None else int(match[1].translate(_DIGITS), 32)

"""Which ids occurred before, exactly, in sixteen bytes each."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

_ULID: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_FORM: Final = re.compile(f"([a-z]{{2,4}}_)({_ULID})")
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
        return self[bisect_left(self, one)] == one


@dataclass(slots=True)
class Ids:
    """A set of ids of one kind, which have one prefix.

    Ids are made shortly before they are written, so a new one is nearly always above all older ones, and needs no
    search: in their text, too, ULIDs are in the order of their times. The newest 65,536 are in a list, which is in
    order, and those that came behind a higher one in a set; older ones in sorted runs. What is no ULID with that prefix
    is kept as it is.
    """

    _recent: list[str] = field(default_factory=list)
    _late: set[str] = field(default_factory=set)
    _highest: str = ""
    _runs: list[_Run] = field(default_factory=list)
    _top: str = ""
    _prefix: str = ""
    _others: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._recent) + len(self._late) + sum(map(len, self._runs)) + len(self._others)

    def __contains__(self, text: str) -> bool:
        if text > self._highest:
            return False
        recent = self._recent
        position = bisect_left(recent, text)
        return (
            (position < len(recent) and recent[position] == text)
            or text in self._late
            or text in self._others
            or (text <= self._top and self._is_old(text))
        )

    def add(self, text: str) -> bool:
        """Add an id, and say whether it is new."""
        if text > self._highest:
            self._highest = text
            self._recent.append(text)
        elif text in self:
            return False
        else:
            self._late.add(text)
        if len(self._recent) + len(self._late) >= _SEALED_AT:
            self._seal()
        return True

    def _is_old(self, text: str) -> bool:
        one = self._packed(text)
        return one is not None and any(run.holds(one) for run in reversed(self._runs))

    def _seal(self) -> None:
        texts = sorted((*self._recent, *self._late)) if self._late else self._recent
        packed = self._all_packed(texts)
        if packed is None:
            packed = []
            for text in texts:
                one = self._packed(text)
                if one is None:
                    self._others.add(text)
                else:
                    packed.append(one)
                    self._top = max(self._top, text)
        else:
            self._top = max(self._top, texts[-1])
        if packed:
            self._runs.append(_Run(b"".join(packed), packed[0], packed[-1]))
        self._recent, self._late = [], set()

    def _all_packed(self, texts: list[str]) -> list[bytes] | None:
        """Return ids in sixteen bytes each, seen and read together; None if not all have one form and prefix."""
        if self._packed(texts[0]) is None:
            return None
        width, joined = len(texts[0]), "".join(texts)
        begin = len(self._prefix)
        if {len(text) for text in texts} != {width} or not re.fullmatch(f"(?:{self._prefix}{_ULID})+", joined):
            return None
        digits = joined.translate(_DIGITS)
        return [
            int(digits[place + begin : place + width], 32).to_bytes(_WIDTH, "big")
            for place in range(0, len(joined), width)
        ]

    def _packed(self, text: str) -> bytes | None:
        """Return an id in sixteen bytes, in the order of the text; None for one of another form, or another prefix."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        self._prefix = self._prefix or match[1]
        return int(match[2].translate(_DIGITS), 32).to_bytes(_WIDTH, "big") if match[1] == self._prefix else None

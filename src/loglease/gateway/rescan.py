"""Redaction of what a query has decoded: a value that an encoding hid from the first look gets another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loglease.gateway.chunks import redacting
from loglease.logql import Rescan
from loglease.redaction import TOKEN, Redactor

MAX_REMEMBERED: Final = 10_000

_MARK: Final = "⟦"
_PSEUDONYM: Final = re.compile("⟦[a-z][a-z0-9-]{0,39}:[a-z2-7]{10}⟧")

# SECURITY: only what redaction writes is a token, since decoded text can hold the marks around anything; tested in
# tests/gateway/test_rescan.py.
_TOKEN = re.compile(b"((?:%b))" % TOKEN.pattern)


class Rescans:
    """The redaction of decoded values where lines of several grants meet in one query.

    Args:
        rescans: one for each grant.
    """

    def __init__(self, rescans: Sequence[Rescan]) -> None:
        self._rescans = rescans
        self._current = rescans[0]

    def use(self, number: int) -> None:
        """Take the grant that the next lines are from."""
        self._current = self._rescans[number]

    def __call__(self, name: str, value: str) -> str:
        """Redact a decoded value of a line of that grant."""
        return self._current(name, value)


def rescan_with(redactor: Redactor, tokens: list[str] | None = None) -> Rescan:
    """Return what redacts a decoded value: the parts between tokens of ours, one by one.

    Args:
        tokens: where the pseudonyms go that are found in what is returned; None if nobody asks for them.

    Raises (what is returned):
        Withheld: the redactor cannot vouch for the text.
    """
    known: dict[tuple[str, str], str] = {}

    def rescan(name: str, value: str) -> str:
        found = known.get((name, value))
        if found is None:
            if len(known) >= MAX_REMEMBERED:
                known.clear()
            with redacting(redactor):
                found = known[name, value] = b"".join(
                    part if number % 2 else redactor.value(name or None, part).out
                    for number, part in enumerate(_TOKEN.split(value.encode()))
                ).decode()
        if tokens is not None and _MARK in found:
            tokens.extend(_PSEUDONYM.findall(found))
        return found

    return rescan

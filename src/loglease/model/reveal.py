"""The reveal of one masked value: which token, on which line, under which grant. It never holds the value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from loglease.model.digest import Canonical, canonical_bytes
from loglease.model.ids import GrantId
from loglease.model.instant import Instant
from loglease.model.labels import Labels

_TOKEN: Final = re.compile("⟦[^⟦⟧]*⟧")
_PSEUDONYM: Final = re.compile("⟦[a-z][a-z0-9-]{0,39}:[a-z2-7]{10}⟧")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """One token on one line, as the line was served under a grant.

    Attributes:
        grant: under which the line was served; the value may be seen only while it is active.
        policy: of that grant; no other can allow the reveal.
        asked_at: when that grant's request was submitted, from where lookbacks count.
        token: as it stands in the line.
        cls: class of the masked value.
        source: where the line is.
        labels: of the line's stream, as served.
        event_ns: event time of the line.
        line_sha256: digest of the line's text as served.
        span: which of the line's tokens it is, from 1.
    """

    grant: GrantId
    policy: str
    asked_at: Instant
    token: str
    cls: str
    source: str
    labels: Labels
    event_ns: int
    line_sha256: str
    span: int

    @property
    def pseudonym(self) -> str | None:
        """The token if equal values have equal ones; None if it is a mask that tells nothing."""
        return self.token if _PSEUDONYM.fullmatch(self.token) else None

    @property
    def reference(self) -> str:
        """Line, span number and token as one canonical text, for commitments."""
        reference: dict[str, Canonical] = {
            "source": self.source,
            "labels": [list(pair) for pair in self.labels],
            "event_ns": str(self.event_ns),
            "line_sha256": self.line_sha256,
            "span": self.span,
            "token": self.token,
        }
        return canonical_bytes(reference).decode()


def tokens_in(text: str) -> list[str]:
    """Return the tokens of a served line in order; log text cannot hold their brackets, so each is a mask."""
    return _TOKEN.findall(text)


def label_of(token: str) -> str:
    """Return the word that stands in a token: `email` of ``⟦email:q3f7k2p9xa⟧``."""
    return re.split("[: ]", token.strip("⟦⟧"), maxsplit=1)[0]


def is_class_among(cls: str, named: Iterable[str]) -> bool:
    """Say whether a class is one of the named ones, or below one of them: `pii.email` is below `pii`."""
    return any(cls == one or cls.startswith(f"{one}.") for one in named)

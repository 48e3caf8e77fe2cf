"""What is configured of rotas: where their calendars are, what they are for, and which accounts they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaSource:
    """One rota.

    Attributes:
        file: where its calendar is; or `url`, which may be a secret itself.
        by_summary: whether titles of events say who is on call, and not their attendees.
        labels: what it is for: by label, values, or beginnings of them with a ``*`` at the end.
    """

    name: str
    file: Path | None = None
    url: str | None = field(default=None, repr=False)
    by_summary: bool = False
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def is_for(self, key: str, value: str) -> bool:
        """Say whether somebody of this rota is on call for a value of a label."""
        return any(
            value.startswith(one[:-1]) if one.endswith("*") else value == one for one in self.labels.get(key, ())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaConfig:
    """One provider of rotas.

    Attributes:
        issuer: who vouches for the accounts that calendars name.
        zone: of days and of times without a zone.
        people: accounts by what calendars call them, in lower case.
        domain: attendees with a mail address there are the accounts before the @; None has none.
        refresh_s: how often calendars are read.
        max_age_s: after how long without reading a calendar nobody of it may approve.
    """

    name: str
    issuer: str
    rotas: tuple[RotaSource, ...]
    zone: ZoneInfo | None = None
    people: Mapping[str, str] = field(default_factory=dict)
    domain: str | None = None
    refresh_s: float
    max_age_s: float
    timeout_s: float
    secret_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    private: bool = False
    ca_file: str | None = None

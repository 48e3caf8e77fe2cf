"""Who is on call now, as this process knows it: part of each snapshot of the directory, and no row of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rosters:
    """Issuers and accounts by the name of the rota; whoever reads rotas puts another mapping there."""

    current: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

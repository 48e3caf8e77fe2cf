"""What is kept of the budgets of grants: how much of them is used, and which data subjects are counted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from loglease.model.ids import GrantId


class Budgets(Protocol):
    """The budgets of grants."""

    def spend(self, grant_id: GrantId, *, lines: int, size: int, queries: int = 0) -> bool:
        """Take from the budgets if all of it is left, in one conditional statement; negative amounts give back."""

    def known_subjects(self, grant_id: GrantId, pseudonyms: Collection[str]) -> frozenset[str]:
        """Return which of some data subjects, by their pseudonyms, a grant has taken already."""

    def take_subjects(self, grant_id: GrantId, pseudonyms: Collection[str]) -> bool:
        """Take data subjects that are not taken yet, if the budget has room for all; they are never given back."""

"""How far pseudonyms reach: the farther, the more can be linked."""

from __future__ import annotations

from loglease.model.key_scope import KeyScope
from loglease.policy.difference.found import Comparison, Verdict


def compare_key_scopes(found: Comparison, field: str, old: KeyScope | None, new: KeyScope | None) -> None:
    """Compare two scopes; where none is given, nothing bounds how far pseudonyms reach."""
    if old is not new:
        verdict = Verdict.NARROWS if _reach(new) < _reach(old) else Verdict.WIDENS
        found.add(verdict, field, None if old is None else str(old), None if new is None else str(new))


def _reach(scope: KeyScope | None) -> int:
    return len(KeyScope) if scope is None else scope.reach

"""Which entries of policies hold the scopes that are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.instant import NANOSECONDS, EventWindow, Instant
from loglease.model.scope import Scope
from loglease.policy.documents import AccessPolicy, ScopeRule
from loglease.policy.trace import Fix, Step, StepName

_INSIDE: Final = Step(StepName.SCOPE, ok=True, text="")


@dataclass(frozen=True, slots=True)
class Entries:
    """The scopes of one wish, looked at once for each entry, though several policies may have the same.

    Attributes:
        submitted_at: from where lookbacks count.
    """

    wish: Wish
    submitted_at: Instant
    _held: dict[tuple[int, int], tuple[ScopeRule, bool]] = field(init=False, default_factory=dict)

    def step(self, policy: AccessPolicy, *, tells: bool) -> Step:
        """Find, for every requested scope, one entry that contains it; say which ones where that is told."""
        found = []
        for place, scope in enumerate(self.wish.scopes):
            for number, rule in enumerate(policy.scopes, 1):
                if self._holds(rule, place, scope):
                    found.append(number)
                    break
            else:
                return Step(StepName.SCOPE, ok=False, text="not inside one entry of the policy", fix=Fix.NARROW)
        if not found:
            return Step(StepName.SCOPE, ok=False, text="nothing is asked for")
        return Step(StepName.SCOPE, ok=True, text=f"entry {', '.join(map(str, found))}") if tells else _INSIDE

    def _holds(self, rule: ScopeRule, place: int, scope: Scope) -> bool:
        known = self._held.get((place, id(rule)))
        if known is None:
            holds = (
                scope.source in rule.sources
                and rule.selector.contains(scope.selector)  # what most rules fail by, and quickly told
                and rule_scope(rule, scope.source, self.submitted_at).contains_lines_of(scope)
            )
            known = self._held[place, id(rule)] = (rule, holds)  # the rule is kept: nothing else gets its place
        return known[1]


def rule_scope(rule: ScopeRule, source: str, submitted_at: Instant) -> Scope:
    """Return an entry of a policy as a scope, as of the submission of a request."""
    submitted_ns = submitted_at * 1_000
    window = EventWindow(submitted_ns - rule.lookback_s * NANOSECONDS, None if rule.live else submitted_ns)
    return Scope(
        source=source, selector=rule.selector, window=window, level_from=rule.level_from, contains=rule.contains
    )

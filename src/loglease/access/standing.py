"""Whether break-glass and automatic routes are closed to somebody, and whether the glass is broken too often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from loglease.access.rules import Rules
from loglease.model.after_review import Closes
from loglease.model.ids import PersonId
from loglease.model.instant import MICROSECONDS, Instant, duration_text
from loglease.model.principal import Directory, Principal
from loglease.policy.documents import BreakGlass
from loglease.policy.people import People
from loglease.store.interface import Transaction

_WORDS: Final[Mapping[Closes, str]] = MappingProxyType(
    {
        Closes.OVERDUE: "the after-review of {request} is late",
        Closes.NOT_JUSTIFIED: "{request} was found not to be justified",
    }
)


@dataclass(frozen=True, slots=True)
class Alarm:
    """How often the glass was broken under a document that calls it too often."""

    document: str
    count: int
    at: int
    window_s: int


def closed_to(tx: Transaction, principal: Principal, directory: Directory, rules: Rules, now: Instant) -> str | None:
    """Say why nothing is given to a person without a review, in words for them; None if it may be.

    All logins of the person count, and those that may be theirs. Ordinary requests are never closed.
    """
    persons = _one_human(principal, directory, rules)
    for review in tx.after_reviews.unjustified_of(persons):
        why = review.closes(now)
        if why is not None:
            # That two logins may be one human being only takes rights away: it shows nobody the other's requests.
            own = review.requester == principal.id or review.persons == {principal.person}
            return _WORDS[why].format(request=review.request if own else "a request")
    for document in rules.bundle.emergencies:
        rate = document.rate
        if tx.after_reviews.broken_by(persons, document.id, _since(document, now)) >= rate.per_person:
            times = "once" if rate.per_person == 1 else f"{rate.per_person} times"
            return f"{document.id} lets one person break the glass {times} in {duration_text(rate.window_s)}"
    return None


def alarm(tx: Transaction, rules: Rules, policy: str, now: Instant) -> Alarm | None:
    """Return what is to be told where everybody together broke the glass too often; it stops nobody."""
    document = rules.bundle.emergency(policy)
    if document is None:
        return None
    count = tx.after_reviews.broken(document.id, _since(document, now))
    if count < document.rate.alarm_at:
        return None
    return Alarm(document.id, count, document.rate.alarm_at, document.rate.window_s)


def _since(document: BreakGlass, now: Instant) -> Instant:
    return Instant(now - document.rate.window_s * MICROSECONDS)


def _one_human(principal: Principal, directory: Directory, rules: Rules) -> frozenset[PersonId]:
    """Return every person that is, or may be, the human being behind a principal."""
    people = People(directory, rules.bundle.approver_sets)
    own = people.counted(principal.persons)
    known = {person for one in directory.principals.values() for person in one.persons}
    return principal.persons | {person for person in known if people.one(person) in own}

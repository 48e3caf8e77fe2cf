"""Decides recorded requests again by other documents: who would gain or lose what.

What was not recorded makes a case undecided; nothing is guessed. Who could approve is not recorded, so approvers are
taken to be there, and a request that was refused for want of them is undecided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from loglease.model.digest import Canonical
from loglease.model.instant import duration_text
from loglease.model.principal import Directory, Principal
from loglease.policy.bundle import Bundle
from loglease.policy.cases import catalog_profiles
from loglease.policy.decision import decide
from loglease.policy.decision_records import Answer, RecordedDecision, answer_of
from loglease.policy.profiles import Profiles, is_as_strict
from loglease.policy.questions import facts_wanted
from loglease.policy.supposed import with_approvers

_NOBODY_TO_APPROVE: Final = "no_eligible_approver"
_MOST_DIRECTORIES: Final = 4_096
MAX_EXAMPLES: Final = 3


class Change(StrEnum):
    """What is different for whoever asked."""

    NEWLY_ALLOWED = "newly-allowed"
    NEWLY_DENIED = "newly-denied"
    FEWER_REVIEWS = "fewer-reviews"
    MORE_REVIEWS = "more-reviews"
    LONGER = "longer"
    SHORTER = "shorter"
    LESS_REDACTION = "less-redaction"
    MORE_REDACTION = "more-redaction"
    OTHER_POLICY = "other-policy"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision, made again.

    Attributes:
        before: what is compared with: what came of it then, or what the present documents make of it.
        answer: what the new documents make of it; None where that cannot be told.
        changes: nothing where all that is compared is the same.
        undecided: why it cannot be made again; None if it was.
    """

    record: RecordedDecision
    before: Answer
    answer: Answer | None
    changes: tuple[Change, ...] = ()
    undecided: str | None = None


class Simulation:
    """Decides by one bundle, again and again.

    What a recorded decision is compared with is what came of it; with `present` it is what that bundle makes of it, so
    that nothing is put down to the new documents that other ones changed since.
    """

    def __init__(self, bundle: Bundle, profiles: Profiles | None = None, *, present: Bundle | None = None) -> None:
        self._profiles = catalog_profiles(bundle) if profiles is None else profiles
        self._new = _Documents(bundle, self._profiles)
        self._present = None if present is None else _Documents(present, self._profiles)

    def replay(self, records: Iterable[RecordedDecision]) -> Iterator[Replayed]:
        """Decide each again."""
        for record in records:
            yield self._replayed(record)

    def _replayed(self, record: RecordedDecision) -> Replayed:
        before = record.answer
        if before.code == _NOBODY_TO_APPROVE:
            return Replayed(record, before, None, undecided="who could approve was not recorded")
        if self._present is not None:
            found = self._present.answer(record, before.policy)
            if isinstance(found, str):
                return Replayed(record, before, None, undecided=found)
            before = replace(found, code=before.code) if found.policy is None else found
        now = self._new.answer(record, before.policy)
        if isinstance(now, str):
            return Replayed(record, before, None, undecided=now)
        return Replayed(record, before, now, tuple(_changes(before, now, self._profiles)))


class _Documents:
    """One bundle that decides, with people who could approve."""

    def __init__(self, bundle: Bundle, profiles: Profiles) -> None:
        self._bundle = bundle
        self._profiles = profiles
        self._directories: dict[Principal, Directory] = {}

    def answer(self, record: RecordedDecision, policy: str | None) -> Answer | str:
        """Return what comes of a recorded wish, by the offer of that policy if it makes one; or why nobody can tell."""
        wanted = facts_wanted(self._bundle, record.wish, record.principal)
        missing = sorted({name for name, _ in wanted - record.facts.keys()})
        if missing:
            return f"{', '.join(missing)} was not recorded"
        decision = decide(
            self._bundle,
            record.wish,
            record.principal,
            directory=self._directory(record.principal),
            now=record.at,
            profiles=self._profiles,
            facts=record.facts,
            closed=record.closed,
        )
        return answer_of(decision, None if policy is None else decision.offer_of(policy))

    def _directory(self, asks: Principal) -> Directory:
        found = self._directories.get(asks)
        if found is None:
            if len(self._directories) >= _MOST_DIRECTORIES:
                self._directories.clear()
            found = self._directories[asks] = with_approvers(self._bundle, asks)
        return found


def _changes(before: Answer, after: Answer, profiles: Profiles) -> Iterator[Change]:
    if before.policy is None or after.policy is None:
        if before.policy is not after.policy:
            yield Change.NEWLY_ALLOWED if before.policy is None else Change.NEWLY_DENIED
        return
    if before.need != after.need:
        yield Change.FEWER_REVIEWS if after.need < before.need else Change.MORE_REVIEWS
    if before.duration_s != after.duration_s:
        yield Change.LONGER if after.duration_s > before.duration_s else Change.SHORTER
    is_stricter = before.profile in profiles and is_as_strict(after.profile, before.profile, profiles)
    reach = after.pseudonyms.reach - before.pseudonyms.reach
    if (before.profile != after.profile and not is_stricter) or reach > 0:
        yield Change.LESS_REDACTION
    elif before.profile != after.profile or reach < 0:
        yield Change.MORE_REDACTION
    if before.policy != after.policy:
        yield Change.OTHER_POLICY


@dataclass(slots=True)
class Cases:
    """How many there are of a kind, and the first few."""

    count: int = 0
    examples: list[Replayed] = field(default_factory=list)

    def add(self, one: Replayed) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(one)


@dataclass(slots=True)
class Summary:
    """What came of all of them.

    Attributes:
        kinds: by change and group of who asked, the cases.
        undecided: by reason, how many.
    """

    total: int = 0
    same: int = 0
    changed: int = 0
    kinds: dict[Change, dict[str, Cases]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Cases)))
    undecided: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def leave_out(self, reason: str) -> None:
        """Count one more that could not be decided again."""
        self.total += 1
        self.undecided[reason] += 1

    def add(self, one: Replayed) -> None:
        """Count one more."""
        self.total += 1
        if one.undecided is not None:
            self.undecided[one.undecided] += 1
            return
        if not one.changes:
            self.same += 1
            return
        self.changed += 1
        groups = sorted(one.record.principal.groups) or [""]
        for change in one.changes:
            for group in groups:
                self.kinds[change][group].add(one)

    def lines(self) -> Iterator[str]:
        """Yield the summary as people read it."""
        out = sum(self.undecided.values())
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in sorted(self.undecided.items()))
        undecided = f", {out:,} undecided ({reasons})" if out else ""
        yield f"{self.total:,} replayed: {self.same:,} same, {self.changed:,} changed{undecided}"
        for change, group, cases in self.rows():
            whom = f"group:{group}" if group else "in no group"
            yield f"{change.replace('-', ' '):<15} {cases.count:>5,}  {whom:<24} e.g. {example(cases.examples[0])}"

    def rows(self) -> Iterator[tuple[Change, str, Cases]]:
        """Yield the cases of each kind, by group of who asked, the most first."""
        for change in Change:
            for group, cases in sorted(self.kinds.get(change, {}).items(), key=lambda one: (-one[1].count, one[0])):
                yield change, group, cases

    def data(self) -> dict[str, Canonical]:
        """Return the summary for programs."""
        return {
            "replayed": self.total,
            "same": self.same,
            "changed": self.changed,
            "undecided": dict(self.undecided),
            "kinds": [
                {
                    "kind": str(change),
                    "group": group,
                    "count": cases.count,
                    "examples": [_case(one) for one in cases.examples],
                }
                for change, group, cases in self.rows()
            ],
        }


def _case(one: Replayed) -> Mapping[str, Canonical]:
    found: dict[str, Canonical] = {"line": one.record.number, "account": one.record.principal.account}
    return found | ({"request": one.record.request} if one.record.request is not None else {})


def example(one: Replayed) -> str:
    """Say of one case what it was and what it would be."""
    name = one.record.request or f"line {one.record.number}"
    after = one.answer
    return f"{name}  {answer_words(one.before)}, now {answer_words(after) if after is not None else 'unknown'}"


def answer_words(answer: Answer) -> str:
    """Say what came of a decision."""
    if answer.policy is None:
        return f"denied ({answer.code})" if answer.code else "denied"
    reviews = f"{answer.need} review{'' if answer.need == 1 else 's'}"
    how = answer.outcome if answer.need == 0 else reviews
    return f"{answer.policy} with {how} for {duration_text(answer.duration_s)}, {answer.profile}"

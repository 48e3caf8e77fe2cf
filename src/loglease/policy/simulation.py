"""Decides recorded requests again by other documents: who would gain or lose what.

What was not recorded makes a case undecided; nothing is guessed. Who could approve is not recorded, so approvers are
taken to be there, and a request that was refused for want of them is undecided.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
        changes: nothing where all that is compared is the same.
        undecided: why it cannot be made again; None if it was.
    """

    record: RecordedDecision
    answer: Answer | None
    changes: tuple[Change, ...] = ()
    undecided: str | None = None


class Simulation:
    """Decides by one bundle, again and again."""

    def __init__(self, bundle: Bundle, profiles: Profiles | None = None) -> None:
        self._bundle = bundle
        self._profiles = catalog_profiles(bundle) if profiles is None else profiles
        self._directories: dict[Principal, Directory] = {}

    def replay(self, records: Iterable[RecordedDecision]) -> Iterator[Replayed]:
        """Decide each again."""
        for record in records:
            yield self._replayed(record)

    def _replayed(self, record: RecordedDecision) -> Replayed:
        if record.answer.code == _NOBODY_TO_APPROVE:
            return Replayed(record, None, undecided="who could approve was not recorded")
        wanted = facts_wanted(self._bundle, record.wish, record.principal)
        missing = sorted({name for name, _ in wanted - record.facts.keys()})
        if missing:
            return Replayed(record, None, undecided=f"{', '.join(missing)} was not recorded")
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
        same = None if record.answer.policy is None else decision.offer_of(record.answer.policy)
        now = answer_of(decision, same)
        return Replayed(record, now, tuple(_changes(record.answer, now, self._profiles)))

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
    if before.profile != after.profile:
        stricter = before.profile in profiles and is_as_strict(after.profile, before.profile, profiles)
        yield Change.MORE_REDACTION if stricter else Change.LESS_REDACTION
    if before.policy != after.policy:
        yield Change.OTHER_POLICY


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
    kinds: dict[Change, dict[str, list[Replayed]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    undecided: dict[str, int] = field(default_factory=lambda: defaultdict(int))

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
                self.kinds[change][group].append(one)

    def lines(self) -> Iterator[str]:
        """Yield the summary as people read it."""
        out = sum(self.undecided.values())
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in sorted(self.undecided.items()))
        undecided = f", {out:,} undecided ({reasons})" if out else ""
        yield f"{self.total:,} replayed: {self.same:,} same, {self.changed:,} changed{undecided}"
        for change, group, cases in self._rows():
            whom = f"group:{group}" if group else "in no group"
            yield f"{change.replace('-', ' '):<15} {len(cases):>5,}  {whom:<24} e.g. {example(cases[0])}"

    def _rows(self) -> Iterator[tuple[Change, str, list[Replayed]]]:
        for change in Change:
            for group, cases in sorted(self.kinds.get(change, {}).items(), key=lambda one: (-len(one[1]), one[0])):
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
                    "count": len(cases),
                    "examples": [_case(one) for one in cases[:3]],
                }
                for change, group, cases in self._rows()
            ],
        }


def _case(one: Replayed) -> Mapping[str, Canonical]:
    found: dict[str, Canonical] = {"line": one.record.number, "account": one.record.principal.account}
    return found | ({"request": one.record.request} if one.record.request is not None else {})


def example(one: Replayed) -> str:
    """Say of one case what it was and what it would be."""
    name = one.record.request or f"line {one.record.number}"
    after = one.answer
    return f"{name}  {_words(one.record.answer)}, now {_words(after) if after is not None else 'unknown'}"


def _words(answer: Answer) -> str:
    if answer.policy is None:
        return f"denied ({answer.code})" if answer.code else "denied"
    reviews = f"{answer.need} review{'' if answer.need == 1 else 's'}"
    how = answer.outcome if answer.need == 0 else reviews
    return f"{answer.policy} with {how} for {duration_text(answer.duration_s)}, {answer.profile}"

"""Who is who, as the log tells: kinds, owners, who may be one person, groups, locks, who stands in for whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from loglease.model.instant import Instant

HUMAN: Final = "human"


@dataclass(frozen=True, slots=True)
class Deputy:
    """Who stands in for a member, and from when until when."""

    by: str
    since: Instant
    until: Instant


@dataclass(slots=True)
class Lock:
    """A lock in force.

    Attributes:
        on: what it is on: a kind of thing, or `principal` for subjects.
        thing: the id or name of that; empty for everything.
        subjects: whom it is aimed at.
        until: it lapses then; None holds until it is lifted.
        index: of the entry that added it.
        by: the subject who did.
    """

    on: str
    thing: str
    until: Instant | None
    index: int
    by: str
    subjects: set[str] = field(default_factory=set)

    def in_force(self, now: Instant) -> bool:
        """Say whether it holds at an instant."""
        return self.until is None or now < self.until


@dataclass(slots=True)
class People:
    """All subjects, as of one entry; grows with people, not with what they do.

    Attributes:
        version: rises whenever somebody might not be allowed any more what they were before.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    disabled: dict[str, int] = field(default_factory=dict)
    locks: dict[str, Lock] = field(default_factory=dict)
    deputies: dict[str, Deputy] = field(default_factory=dict)
    version: int = 0
    _alike: dict[str, set[str]] = field(default_factory=dict)
    _one: dict[str, str] = field(default_factory=dict)

    def join(self, one: str, other: str) -> None:
        """Count two subjects as one person from now on."""
        self._alike.setdefault(one, set()).add(other)
        self._alike.setdefault(other, set()).add(one)
        self._one.clear()

    def part(self, one: str, other: str) -> None:
        """Count two subjects as two again, unless others make them one."""
        self._alike.get(one, set()).discard(other)
        self._alike.get(other, set()).discard(one)
        self._one.clear()

    def person(self, subject: str) -> str:
        """Return the name under which a subject is counted: one for all that may be one person."""
        if subject not in self._alike:
            return subject
        found = self._one.get(subject)
        if found is None:
            together = self._reached(subject)
            found = min(together)
            self._one.update(dict.fromkeys(together, found))
        return found

    def _reached(self, subject: str) -> set[str]:
        found, todo = {subject}, [subject]
        while todo:
            fresh = self._alike.get(todo.pop(), set()) - found
            found |= fresh
            todo += fresh
        return found

    def own(self, subjects: Iterable[str]) -> set[str]:
        """Return the names under which these subjects and their owners are counted."""
        with_owners = {one for subject in subjects for one in (subject, self.owners.get(subject, subject))}
        return {self.person(one) for one in with_owners}

    def members_of(self, by: str, now: Instant, *, named_by: Instant | None = None) -> list[str]:
        """Return for whom a subject stands in.

        Args:
            named_by: only those who had named them by then; None is now.
        """
        person, last = self.person(by), now if named_by is None else named_by
        standing = ((member, one) for member, one in self.deputies.items() if one.since <= last and now < one.until)
        return [member for member, one in standing if self.person(one.by) == person]

    def held(self, subject: str, now: Instant) -> tuple[str, int] | None:
        """Say why a subject may do nothing now, with the entry that says so: locked or disabled; None if they may."""
        if not (self.disabled or self.locks):
            return None
        index = self.disabled.get(subject)
        if index is not None:
            return "is disabled", index
        for lock in self.locks.values():
            if self._is_aimed(lock, subject) and lock.in_force(now):
                return "is locked", lock.index
        return None

    def _is_aimed(self, lock: Lock, subject: str) -> bool:
        return subject in lock.subjects or (lock.on == "group" and lock.thing in self.groups.get(subject, ()))

"""Who was shown what: found in the served lists, where these tell it, and in what queries were about where they do not.

Nothing is left out that may be: what a list does not tell (numbers, names, a crash, too many pseudonyms) is said to be
so, and grants in which a value cannot be found are named. The grain is one record of a session, at most 256 lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from loglease.access.caller import Caller
from loglease.access.errors import NotFound, NotPermitted
from loglease.model.errors import InvalidField
from loglease.model.ids import GrantId, SessionId
from loglease.model.instant import Interval
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Labels, Selector
from loglease.model.principal import Role
from loglease.model.rights import Right
from loglease.model.served_list import selects, served_list_of
from loglease.store.interface import Transaction
from loglease.store.served_index_interface import GrantKey, ServedRow, Unlisted, UnlistedRow

MOST: Final = 10_000
"""Records that one answer takes into account at most."""

_CHUNK: Final = 500
_EVERYTHING: Final = Interval(-(1 << 63), None)


class How(StrEnum):
    """How certain it is that something was shown.

    SERVED: a served list has it. REVEALED: a value was shown in clear. DERIVED: numbers or names were made of lines
    that may have held it. POSSIBLE: it cannot be ruled out.
    """

    SERVED = "served"
    REVEALED = "revealed"
    DERIVED = "derived"
    POSSIBLE = "possible"


class Why(StrEnum):
    """Why something is derived or possible, and no list tells."""

    SAMPLES = "samples"
    NAMES = "names"
    CRASH = "crash"
    OVERFLOW = "overflow"
    LIST_LOST = "list_lost"
    MASKED_LABEL = "masked_label"
    NO_PSEUDONYM = "no_pseudonym"


_LISTED: Final = frozenset({How.SERVED, How.POSSIBLE})
"""What lists tell: that something was shown, or that a mask hides whether it was."""
_UNLISTED: Final = {How.DERIVED: (Unlisted.DERIVED,), How.POSSIBLE: (Unlisted.CRASH, Unlisted.LOST)}


class Looked(NamedTuple):
    """What looking a value up under the keys of one grant gives.

    Attributes:
        pseudonyms: as which it may have been shown.
        hidden: why the answer for this grant may be less than all, by profile; empty where it is all.
    """

    pseudonyms: Collection[str]
    hidden: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWanted:
    """A clear value; only functions that know keys hold it.

    Attributes:
        look: looks it up under the keys of a grant.
        classes: those that its class stands for.
    """

    cls: str
    classes: frozenset[str]
    look: Callable[[GrantKey], Looked] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudonymWanted:
    """A pseudonym as it is written, ``⟦email:abcdefghij⟧``, with a grant under whose key it stands for a value."""

    grant: GrantId
    pseudonym: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked; all that is given has to fit.

    Attributes:
        selector_text: as it was typed.
        window: of event times.
        first: the index in the log from which records are looked at.
        most: how many records the answer may take into account; the next one begins behind them.
        hows: what is looked for. Less than all is faster, and leaves out what may be: numbers, names, crashes.
    """

    selector: Selector | None = None
    selector_text: str = ""
    window: Interval | None = None
    wanted: ValueWanted | PseudonymWanted | None = None
    first: int = 0
    most: int = 1_000
    hows: frozenset[How] = frozenset(How)

    def __post_init__(self) -> None:
        if self.selector is None and self.window is None and self.wanted is None:
            raise InvalidField(
                "Who saw what?", next_step="Name a selector, event times, a pseudonym with its grant, or a value."
            )
        if self.selector is not None and not self.selector.matchers and self.window is None and self.wanted is None:
            raise InvalidField("{} is everything.", next_step="Name labels, event times, a pseudonym or a value.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One record in which something was shown, or may have been.

    Attributes:
        index: of the entry.
        lines: of the streams that fit; numbers or names where those were served.
        first_ns: first event time, or the beginning of what was asked for where no list tells; `last_ns` likewise.
        pseudonyms: which of the wanted ones the list has.
    """

    index: int
    grant: GrantId
    session: SessionId
    how: How
    why: Why | None
    lines: int
    first_ns: int | None
    last_ns: int | None
    pseudonyms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsearchable:
    """Grants in which the value may have been shown under a profile without a pseudonym to find it by."""

    profile: str
    why: str
    grants: Sequence[GrantId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found.

    Attributes:
        size: entries of the log when it was looked at.
        min_index: the lowest index that was not pruned.
        next: where the next answer has to begin; None where this is all.
    """

    hits: Sequence[Hit]
    unsearchable: Sequence[Unsearchable]
    size: int
    min_index: int
    next: int | None


def require_may_ask(caller: Caller) -> None:
    """Refuse whoever may not ask who saw what.

    Raises:
        NotPermitted: the token may not read the audit log, or the person is neither auditor nor administrator.
    """
    caller.require(Right.AUDIT_READ)
    if not caller.principal.roles & {Role.AUDITOR, Role.ADMIN}:
        raise NotPermitted("Asking who saw what takes the role auditor.", next_step="Ask an auditor.")


def seen(tx: Transaction, question: Question) -> Seen:
    """Return who was shown what is asked for; whoever asks has to be allowed to.

    Raises:
        NotFound: there is no such grant.
    """
    return _Search(tx, question).seen()


class _Search:
    """One question in one transaction."""

    def __init__(self, tx: Transaction, question: Question) -> None:
        self._tx = tx
        self._question = question
        self._window = question.window or _EVERYTHING
        # Of what was pruned nothing is told, whether its rows are still there or not.
        self._min_index = tx.entries.min_index()
        self._first = max(question.first, self._min_index)
        selector = question.selector
        narrows = selector is not None and bool(selector.matchers)
        self._selector = selector if narrows else None
        self._scopes = tx.served.scopes_like(selector) if selector is not None and narrows else None
        self._wanted: dict[GrantId, Collection[str]] | None = None
        self._by_number: dict[int, Collection[str]] | None = None
        self._unsearchable: list[Unsearchable] = []

    def seen(self) -> Seen:
        """Return what was found."""
        question, tx = self._question, self._tx
        match question.wanted:
            case ValueWanted() as wanted:
                self._look_up(wanted)
            case PseudonymWanted() as wanted:
                self._share(wanted)
        listed, unlisted = self._listed(), self._unlisted()
        indices = sorted({*listed, *(row.index for row in unlisted)})
        following = indices[question.most] if len(indices) > question.most else None
        indices = indices[: question.most]
        by_index: dict[int, list[UnlistedRow]] = {}
        for row in unlisted:
            by_index.setdefault(row.index, []).append(row)
        hits = [
            hit
            for row in tx.served.rows(indices)
            for hit in self._hits(row, by_index.get(row.index, ()), is_listed=row.index in listed)
        ]
        if How.REVEALED in question.hows:
            hits += self._reveals(following)
        return Seen(
            hits=sorted((hit for hit in hits if hit.how in question.hows), key=lambda one: one.index),
            unsearchable=self._unsearchable,
            size=tx.entries.size(),
            min_index=self._min_index,
            next=following,
        )

    def _look_up(self, wanted: ValueWanted) -> None:
        """Want the pseudonyms of a value, by grant, and take note of grants in which it cannot be found."""
        by_grant: dict[GrantId, Collection[str]] = {}
        by_number: dict[int, Collection[str]] = {}
        hiding: defaultdict[tuple[str, str], list[GrantId]] = defaultdict(list)
        look = wanted.look
        for key in self._tx.served.grant_keys(scopes=self._scopes, window=self._question.window):
            pseudonyms, hidden = look(key)
            if pseudonyms:
                by_grant[key.id] = by_number[key.number] = pseudonyms
            for one in hidden.items():
                hiding[one].append(key.id)
        self._wanted, self._by_number = by_grant, by_number
        self._unsearchable = [
            Unsearchable(profile=profile, why=why, grants=grants) for (profile, why), grants in hiding.items()
        ]

    def _share(self, wanted: PseudonymWanted) -> None:
        """Want the pseudonym for its grant and those that may share a key with it."""
        grant = self._tx.grants.find(wanted.grant)
        if grant is None:
            raise NotFound(f"There is no grant {wanted.grant}.", next_step="loglease audit list --type batch.served")
        tokens = frozenset({wanted.pseudonym})
        served = self._tx.served
        numbers = dict(served.numbers([grant.id]))
        if grant.shape.pseudonyms is not KeyScope.GRANT and grant.shared_salt:
            keys = served.grant_keys(scopes=None, window=None)
            numbers |= {key.id: key.number for key in keys if key.shared_salt == grant.shared_salt}
        self._wanted = dict.fromkeys([grant.id, *numbers], tokens)
        self._by_number = dict.fromkeys(numbers.values(), tokens)

    def _listed(self) -> frozenset[int]:
        """Return the records whose lists may have what is wanted."""
        question, served = self._question, self._tx.served
        most = question.most + 1
        if question.hows.isdisjoint(_LISTED):
            return frozenset()
        if self._by_number is not None:
            return frozenset(served.pseudonyms(self._by_number, first=self._first, most=most))
        labels = None if self._selector is None else served.labels_like(self._selector)
        return frozenset(served.streams(labels, question.window, first=self._first, most=most))

    def _unlisted(self) -> Sequence[UnlistedRow]:
        first, most = self._first, self._question.most + 1
        unlisted = self._tx.served.unlisted
        kinds = [kind for how, kinds in _UNLISTED.items() if how in self._question.hows for kind in kinds]
        if not kinds:
            return ()
        found = unlisted(
            kinds,
            grants=self._by_number,
            scopes=self._scopes,
            window=self._question.window,
            first=first,
            most=most,
        )
        if self._by_number is None or How.POSSIBLE not in self._question.hows:
            return found
        # Their lists tell everything but pseudonyms.
        overflowing = unlisted(
            [Unlisted.OVERFLOW], grants=self._by_number, scopes=None, window=None, first=first, most=most
        )
        return sorted([*found, *overflowing], key=lambda one: one.index)

    def _hits(self, row: ServedRow, unlisted: Sequence[UnlistedRow], *, is_listed: bool) -> Iterator[Hit]:
        entry = orjson.loads(row.content)
        settled = entry["data"].get("settled", {})
        for one in unlisted:
            if one.kind is Unlisted.OVERFLOW:
                is_listed = True
            elif one.kind is Unlisted.CRASH:
                yield self._unlisted_hit(entry, one, How.POSSIBLE, Why.CRASH, entry["data"]["uncertain"]["lines"])
            elif one.kind is Unlisted.LOST:
                yield self._unlisted_hit(entry, one, How.POSSIBLE, Why.LIST_LOST, settled["lines"])
            else:
                why = Why.SAMPLES if settled["unit"] == "sample" else Why.NAMES
                yield self._unlisted_hit(entry, one, How.DERIVED, why, settled["lines"])
        if is_listed and row.served is not None:
            yield from self._listed_hit(row.index, entry, row.served)

    def _unlisted_hit(self, entry: Mapping[str, Any], row: UnlistedRow, how: How, why: Why, lines: int) -> Hit:
        both = row.interval.intersect(self._window) or row.interval
        return Hit(
            index=row.index,
            grant=row.grant,
            session=SessionId(entry["ref"]["session"]),
            how=how,
            why=why,
            lines=lines,
            first_ns=both.start,
            last_ns=both.end,
        )

    def _listed_hit(self, index: int, entry: Mapping[str, Any], content: bytes) -> Iterator[Hit]:
        served = served_list_of(content)
        grant = GrantId(entry["ref"]["grant"])
        found: frozenset[str] = frozenset()
        why: Why | None = None
        if self._wanted is not None:
            found = frozenset(self._wanted.get(grant, ())).intersection(served.pseudonyms)
            if not found:
                if not entry["data"]["settled"]["overflow"]:
                    return
                why = Why.OVERFLOW
        inside = [one for one in served.streams if one.touches(self._window)]
        certain = [one for one in inside if self._selects(one.labels)]
        streams = certain or [one for one in inside if self._selects(one.labels) is None]
        if not streams:
            return
        if not certain:
            why = why or Why.MASKED_LABEL
        yield Hit(
            index=index,
            grant=grant,
            session=SessionId(entry["ref"]["session"]),
            how=How.SERVED if why is None else How.POSSIBLE,
            why=why,
            lines=sum(one.lines for one in streams),
            first_ns=min(one.first_ns for one in streams),
            last_ns=max(one.last_ns for one in streams),
            pseudonyms=found,
        )

    def _selects(self, labels: Labels) -> bool | None:
        return True if self._selector is None else selects(self._selector, labels)

    def _reveals(self, following: int | None) -> Iterator[Hit]:
        """Yield the values that were shown in clear, between where this answer begins and the next one."""
        before = following
        types = frozenset({"reveal.served"})
        wanted: frozenset[str] | None = None
        while rows := self._tx.entries.page(types=types, before=before, limit=_CHUNK):
            if wanted is None and self._wanted is not None:
                wanted = frozenset().union(*self._wanted.values())
            for row in rows:
                if row.index < self._first:
                    return
                entry = orjson.loads(row.content)
                if wanted is not None and (shown := entry["data"].get("pseudonym")) and shown not in wanted:
                    continue  # the most of them, without another look into the database
                hit = self._revealed(row.index, entry)
                if hit is not None:
                    yield hit
            before = rows[-1].index

    def _revealed(self, index: int, entry: Mapping[str, Any]) -> Hit | None:
        grant = self._tx.grants.find(GrantId(entry["ref"]["grant"]))
        if grant is None or grant.parent is None:
            return None
        how: How = How.REVEALED
        why: Why | None = None
        pseudonym = entry["data"].get("pseudonym")
        if self._wanted is not None:
            tokens = self._wanted.get(grant.parent, ())
            if pseudonym is None and entry["data"]["class"] in self._classes():
                how, why = How.POSSIBLE, Why.NO_PSEUDONYM
            elif pseudonym not in tokens:
                return None
        request = self._tx.requests.find(grant.request)
        reveal = None if request is None else request.wish.reveal
        if reveal is None or not self._window.holds(reveal.event_ns):
            return None
        selected = self._selects(reveal.labels)
        if selected is False:
            return None
        if selected is None:
            how, why = How.POSSIBLE, why or Why.MASKED_LABEL
        return Hit(
            index=index,
            grant=grant.id,
            session=SessionId(entry["ref"]["session"]),
            how=how,
            why=why,
            lines=1,
            first_ns=reveal.event_ns,
            last_ns=reveal.event_ns,
            pseudonyms=frozenset() if pseudonym is None else frozenset({pseudonym}),
        )

    def _classes(self) -> Collection[str]:
        wanted = self._question.wanted
        return wanted.classes if isinstance(wanted, ValueWanted) else ()

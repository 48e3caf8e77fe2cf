"""`ServedIndex` on one connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, Integer, Select, and_, bindparam, func, literal, or_, select

from loglease.model.errors import InvalidField
from loglease.model.ids import GrantId
from loglease.model.instant import Interval
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Labels, Matcher, Selector, matcher_of, selector_of
from loglease.model.served_list import names_mask, selects, served_list_of
from loglease.store.audit_schema import entries, served
from loglease.store.portable import list_in, listed
from loglease.store.schema import grants
from loglease.store.served_index import longest_of, mark_of, rebuild_served_index
from loglease.store.served_index_interface import LONGEST_NS, GrantKey, ServedRow, Unlisted, UnlistedRow
from loglease.store.served_schema import (
    served_grant,
    served_label,
    served_labels,
    served_pseudonym,
    served_scopes,
    served_stream,
    served_under,
    served_unlisted,
)

Item = TypeVar("Item")

_AT_ONCE: Final = 500
"""Values that one condition names at most; more go into a statement as one list."""
_ROWS: Final = 1_000
_ROWS_AN_ENTRY: Final = 4
_MANY: Final = 100_000
"""Streams that are sorted in less time than reading lists in their order takes."""
_READ: Final = 10_000
_REACHES: Final = 17
_MARK_BITS: Final = 32
_MARKS: Final = (1 << _MARK_BITS) - 1
_LOWEST_MARK: Final = -(1 << _MARK_BITS - 1)
_REACH: Final[Mapping[str, KeyScope]] = {str(scope): scope for scope in KeyScope}
_LABELS: Final = select(served_labels.c.number, served_labels.c.labels)
_NEXT: Final = (
    select(entries.c.idx, entries.c.bytes, served.c.bytes.label("list"))
    .join(served, served.c.entry_id == entries.c.id)
    .where(entries.c.idx >= bindparam("first"))
    .order_by(entries.c.idx)
    .limit(_READ)
)
_PROFILES: Final = select(served_under.c.grant_number, served_under.c.profile).distinct().subquery()
_MADE_WITH: Final = ("shape.pseudonyms", "scheduled_at", "key_salt", "shared_salt")


def _keys(*more: str) -> Select[Any]:
    """Return what reads the grants, each once for every profile, with these parts of its document."""
    return (
        select(
            _PROFILES.c.grant_number,
            served_grant.c.grant_id,
            _PROFILES.c.profile,
            grants.c.policy,
            grants.c.valid_until,
            list_in(grants.c.document, *_MADE_WITH, *more),
        )
        .join(served_grant, served_grant.c.number == _PROFILES.c.grant_number)
        .join(grants, grants.c.id == served_grant.c.grant_id)
        .where(or_(grants.c.lines_used > 0, grants.c.bytes_used > 0))
        .order_by(_PROFILES.c.grant_number)
    )


_KEYS: Final = _keys()
_KEYS_AND_SCOPES: Final = _keys("terms.scopes")


class SqlServedIndex:
    """What was served, by what it was."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def labels_like(self, selector: Selector) -> Mapping[int, bool]:
        """Return the numbers of label sets that match; False for those that may only, since a mask hides a value."""
        found = {number: True for number, labels in self._candidates(selector) if selects(selector, labels)}
        for number, labels in self._label_sets(_LABELS.where(served_labels.c.masked)):
            if number not in found and selects(selector, labels) is not False:
                found[number] = False
        return found

    def _candidates(self, selector: Selector) -> Iterator[tuple[int, Labels]]:
        """Yield all label sets that can match: by the first label of which values are named, if there is one."""
        for name, matcher in selector.matchers:
            if not (matcher.any_value or matcher.prefixes):
                for values in _chunks(sorted(matcher.exact)):
                    query = _LABELS.join(served_label, served_label.c.labels == served_labels.c.number)
                    named = and_(served_label.c.name == name, served_label.c.value.in_(values))
                    yield from self._label_sets(query.where(named))
                return
        yield from self._label_sets(_LABELS)

    def _label_sets(self, query: Select[Any]) -> Iterator[tuple[int, Labels]]:
        for number, content in self._connection.execute(query):
            yield number, tuple([(name, value) for name, value in orjson.loads(content)])

    def scopes_like(self, selector: Selector) -> frozenset[int]:
        """Return the numbers of what queries were about, where a stream that matches may be among it."""
        # Scopes are about labels as sources have them: what names a mask is about any of these.
        clear = selector_of({key: matcher for key, matcher in selector.matchers if not names_mask(matcher)})
        rows = self._connection.execute(select(served_scopes.c.number, served_scopes.c.scopes))
        return frozenset(number for number, content in rows if _may_hold(orjson.loads(content), clear))

    def streams(
        self, labels: Collection[int] | None, window: Interval | None, *, first: int, most: int
    ) -> Sequence[int]:
        """Return the entries with a stream of these labels whose event times may touch a window; None is all."""
        if window is None and self._are_many(labels, first):
            next_ones = self._in_order(labels, first, most)
            if len(next_ones) == most:
                return next_ones
        streams = served_stream.c
        query = select(streams.idx).where(streams.idx >= first).order_by(streams.idx)
        found: set[int] = set()
        for chunk in _label_numbers(labels):
            for times in _touching(window):
                found |= self._first_of(query.where(streams.labels.in_(chunk), *times), most)
        return sorted(found)[:most]

    def _are_many(self, labels: Collection[int] | None, first: int) -> bool:
        """Say whether so many streams have these labels that to sort them all takes longer than to read some lists."""
        streams, left = served_stream.c, _MANY
        for chunk in _label_numbers(labels):
            some = select(streams.idx).where(streams.labels.in_(chunk), streams.idx >= first).limit(left).subquery()
            left -= self._connection.execute(select(func.count()).select_from(some)).scalar_one()
            if left <= 0:
                return True
        return False

    def _in_order(self, labels: Collection[int] | None, first: int, most: int) -> Sequence[int]:
        """Return the entries with a stream of these labels, up to so many, among the next lists of the log alone."""
        named: set[Labels] | None = None
        if labels is not None:
            query = _LABELS.where(served_labels.c.number.in_(_some(labels)))
            named = {content for _, content in self._label_sets(query)}
        found: list[int] = []
        for rows in self._connection.execute(_NEXT, {"first": first}).partitions(_ROWS):
            for index, content, served_list in rows:
                if _lists_lines(content, served_list, named):
                    found.append(index)
                    if len(found) == most:
                        return found
        return found

    def _first_of(self, query: Select[Any], most: int) -> set[int]:
        """Return the first entries that a query finds, in the order of the log, an entry perhaps several times.

        Where it finds very many, to keep the first rows takes a third of what it takes to find each entry once.
        """
        limit = _ROWS_AN_ENTRY * most
        while True:
            rows = self._connection.execute(query.limit(limit)).scalars().all()
            found = set(rows)
            if len(found) >= most or len(rows) < limit:
                return found
            limit *= _ROWS_AN_ENTRY

    def numbers(self, grants: Collection[GrantId]) -> Mapping[GrantId, int]:
        """Return the numbers that grants have in these tables; one under which nothing was asked has none."""
        query = select(served_grant.c.grant_id, served_grant.c.number)
        found: dict[GrantId, int] = {}
        for chunk in _chunks(sorted(grants)):
            rows = self._connection.execute(query.where(served_grant.c.grant_id.in_(chunk)))
            found |= {GrantId(grant): number for grant, number in rows}
        return found

    def pseudonyms(self, wanted: Mapping[int, Collection[str]], *, first: int, most: int) -> Sequence[int]:
        """Return the entries that may list one of these pseudonyms under the grant of that number."""
        pairs = [
            number << _MARK_BITS | mark_of(one) - _LOWEST_MARK
            for number, pseudonyms in wanted.items()
            for one in pseudonyms
        ]
        # In the order of the key, so that neighbours are read together.
        pairs.sort()
        pair, marks = listed(pairs), served_pseudonym.c
        found = and_(
            marks.grant_number == pair.op(">>")(literal(_MARK_BITS, Integer)),
            marks.mark == pair.op("&")(_MARKS) + _LOWEST_MARK,
            marks.idx >= first,
        )
        query = select(marks.idx).distinct().where(found).order_by(marks.idx).limit(most)
        return list(self._connection.execute(query).scalars())

    def unlisted(
        self,
        kinds: Collection[Unlisted],
        *,
        grants: Collection[int] | None,
        scopes: Collection[int] | None,
        window: Interval | None,
        first: int,
        most: int,
    ) -> Sequence[UnlistedRow]:
        """Return the records whose lists do not tell all, of grants with these numbers; None does not narrow."""
        row = served_unlisted.c
        query = (
            select(row.idx, row.kind, served_grant.c.grant_id, row.from_ns, row.to_ns)
            .join(served_grant, served_grant.c.number == row.grant_number)
            .where(row.kind.in_(sorted(kinds)), row.idx >= first)
            .order_by(row.idx, row.kind)
            .limit(most)
        )
        if window is not None:
            query = query.where(row.to_ns > window.start)
            query = query if window.end is None else query.where(row.from_ns < window.end)
        if scopes is not None:
            query = query.where(row.scopes.in_(_some(scopes)))
        if grants is not None:
            # Those of many grants are found sooner in the order of the log than grant by grant.
            number = row.grant_number if len(grants) <= _AT_ONCE else row.grant_number + 0
            query = query.where(number.in_(_some(grants)))
        return [
            UnlistedRow(
                index, Unlisted(kind), GrantId(grant), Interval(from_ns, None if to_ns == LONGEST_NS else to_ns)
            )
            for index, kind, grant, from_ns, to_ns in self._connection.execute(query)
        ]

    def rows(self, indices: Iterable[int]) -> Sequence[ServedRow]:
        """Return the entries with their lists, in the order of the log."""
        query = select(entries.c.idx, entries.c.bytes, served.c.bytes.label("list")).join(
            served, served.c.entry_id == entries.c.id, isouter=True
        )
        found: list[ServedRow] = []
        for chunk in _chunks(sorted(set(indices))):
            some = query.where(entries.c.idx.in_(chunk)).order_by(entries.c.idx)
            found += [ServedRow(row.idx, row.bytes, row.list) for row in self._connection.execute(some)]
        return found

    def grant_keys(self, *, scopes: Collection[int] | None, window: Interval | None) -> Iterator[GrantKey]:
        """Yield the grants under which something was served, or may have been; None does not narrow.

        Args:
            scopes: the numbers of what queries were about, of which there was one at least.
            window: event times, of which the grant can have shown some.
        """
        query = _KEYS if window is None else _KEYS_AND_SCOPES
        if scopes is not None:
            about = select(served_under.c.grant_number).where(served_under.c.scopes.in_(_some(scopes)))
            query = query.where(_PROFILES.c.grant_number.in_(about))
        found: GrantKey | None = None
        alone = cache(lambda profile: frozenset((profile,)))
        # Not all of them at once: objects that stay make the interpreter look for cycles among all that it has.
        for rows in self._connection.execute(query).partitions(_ROWS):
            for number, grant, profile, policy, valid_until, parts in rows:
                if found is not None and number == found.number:
                    found = found._replace(profiles=found.profiles | {profile})
                    continue
                made_with = orjson.loads(parts)
                if window is not None and not _can_show(window, valid_until, made_with.pop()):
                    continue
                if found is not None:
                    yield found
                reach, at, salt, shared = made_with
                salt, shared = bytes.fromhex(salt), None if shared is None else bytes.fromhex(shared)
                found = GrantKey(number, grant, policy, _REACH[reach], at, salt, shared, alone(profile))
        if found is not None:
            yield found

    def rebuild(self) -> int:
        """Make the tables anew from the log; return how many entries were looked at."""
        return rebuild_served_index(self._connection)


def _can_show(wanted: Interval, valid_until: int | None, scopes: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether a grant can have shown event times of a window; a scope that is live ends with the grant."""
    windows = [scope["window"] for scope in scopes]
    ends = [window.get("end_ns", None if valid_until is None else valid_until * 1_000) for window in windows]
    known = [end for end in ends if end is not None]
    shown = Interval(min(window["start_ns"] for window in windows), max(known) if len(known) == len(ends) else None)
    return shown.intersect(wanted) is not None


def _some(numbers: Collection[int]) -> Any:
    """Return what a column may be in: a few numbers by themselves, many as one list."""
    ordered = sorted(numbers)
    return ordered if len(ordered) <= _AT_ONCE else select(listed(ordered))


def _touching(window: Interval | None) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """Yield the conditions of streams that may touch a window, for each class of spans: each is a range of the key."""
    if window is None:
        yield ()
        return
    streams = served_stream.c
    for reach in range(_REACHES):
        since = max(-LONGEST_NS, window.start - longest_of(reach))
        found = (streams.reach == reach, streams.first_ns >= since, streams.first_ns + streams.span_ns >= window.start)
        yield found if window.end is None else (*found, streams.first_ns < window.end)


def _label_numbers(labels: Collection[int] | None) -> Iterable[Any]:
    """Return what label sets may be in, a part at a time. All of them are named, too: times are found by them."""
    return [select(served_labels.c.number)] if labels is None else _chunks(sorted(labels))


def _lists_lines(content: bytes, listed: bytes, named: Collection[Labels] | None) -> bool:
    """Say whether an entry is about lines of a stream with one of these label sets; None is all."""
    try:
        streams = served_list_of(listed).streams
    except InvalidField:
        return False
    if named is not None and not any(one.labels in named for one in streams):
        return False
    unit: object = orjson.loads(content)["data"].get("settled", {}).get("unit")
    return unit == "line"


def _may_hold(scopes: Sequence[Mapping[str, Any]] | None, selector: Selector) -> bool:
    return scopes is None or any(_selector(one["selector"]).overlaps(selector) for one in scopes)


def _selector(tests: Iterable[Mapping[str, Any]]) -> Selector:
    """Return the selector that an entry has as a list of tests; a label with a value that is not told is left open."""
    by_label: dict[str, list[Mapping[str, Any]]] = {}
    for test in tests:
        by_label.setdefault(test["label"], []).append(test)
    found = {label: matcher for label, some in by_label.items() if (matcher := _matcher(some)) is not None}
    return selector_of(found)


def _matcher(tests: Sequence[Mapping[str, Any]]) -> Matcher | None:
    if any("value_c" in test for test in tests):
        return None
    values: dict[str, list[str]] = {}
    for test in tests:
        values.setdefault(test["op"], []).append(test.get("value", ""))
    return matcher_of(
        exact=values.get("eq", ()),
        prefixes=values.get("prefix", ()),
        any_value="any" in values,
        except_exact=values.get("not_eq", ()),
        except_prefixes=values.get("not_prefix", ()),
    )


def _chunks(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(values), _AT_ONCE):
        yield values[first : first + _AT_ONCE]

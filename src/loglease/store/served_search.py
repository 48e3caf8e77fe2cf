"""`ServedIndex` on one connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select, tuple_

from loglease.model.ids import GrantId
from loglease.model.instant import Instant, Interval
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Labels, Matcher, Selector, matcher_of, selector_of
from loglease.model.served_list import names_mask, selects
from loglease.store.audit_schema import entries, served
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
_MANY: Final = 10_000
"""Numbers that one condition names at most; more are looked at one by one."""
_REACHES: Final = 17
_LABELS: Final = select(served_labels.c.number, served_labels.c.labels)
_KEYS: Final = select(grants.c.id, grants.c.policy, grants.c.valid_until, grants.c.document).where(
    or_(grants.c.lines_used > 0, grants.c.bytes_used > 0)
)
_UNDER: Final = select(served_grant.c.grant_id, served_under.c.profile, served_under.c.scopes).join(
    served_under, served_under.c.grant_number == served_grant.c.number
)


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
        streams = served_stream.c
        query = select(streams.idx).distinct().where(streams.idx >= first).order_by(streams.idx).limit(most)
        found: set[int] = set()
        # All label sets are named, too: times are found by them.
        some = [select(served_labels.c.number)] if labels is None else _chunks(sorted(labels))
        for chunk in some:
            for times in _touching(window):
                found.update(self._connection.execute(query.where(streams.labels.in_(chunk), *times)).scalars())
        return sorted(found)[:most]

    def pseudonyms(self, wanted: Mapping[GrantId, Collection[str]], *, first: int, most: int) -> Sequence[int]:
        """Return the entries that may list one of these pseudonyms under its grant."""
        numbers = self._numbers(wanted)
        pairs = sorted(
            {(numbers[grant], mark_of(one)) for grant, some in wanted.items() if grant in numbers for one in some}
        )
        marks = served_pseudonym.c
        query = select(marks.idx).distinct().where(marks.idx >= first).order_by(marks.idx).limit(most)
        found: set[int] = set()
        for chunk in _chunks(pairs):
            one_of = tuple_(marks.grant_number, marks.mark).in_(chunk)
            found.update(self._connection.execute(query.where(one_of)).scalars())
        return sorted(found)[:most]

    def unlisted(
        self,
        kinds: Collection[Unlisted],
        *,
        grants: Collection[GrantId] | None,
        scopes: Collection[int] | None,
        window: Interval | None,
        first: int,
        most: int,
    ) -> Sequence[UnlistedRow]:
        """Return the records whose lists do not tell all; None does not narrow."""
        row = served_unlisted.c
        query = (
            select(row.idx, row.kind, served_grant.c.grant_id, row.from_ns, row.to_ns, row.scopes)
            .join(served_grant, served_grant.c.number == row.grant_number)
            .where(row.kind.in_(sorted(kinds)), row.idx >= first)
            .order_by(row.idx, row.kind)
        )
        if window is not None:
            query = query.where(row.to_ns > window.start)
            query = query if window.end is None else query.where(row.from_ns < window.end)
        if scopes is not None and len(scopes) <= _MANY:
            query, scopes = query.where(row.scopes.in_(sorted(scopes))), None
        if grants is None:
            return list(islice(self._unlisted(query, scopes, None), most))
        numbers = self._numbers(grants)
        if len(numbers) > _AT_ONCE:
            return list(islice(self._unlisted(query, scopes, frozenset(numbers)), most))
        narrowed = query.where(row.grant_number.in_(sorted(numbers.values())))
        return list(islice(self._unlisted(narrowed, scopes, None), most))

    def _unlisted(
        self, query: Select[Any], scopes: Collection[int] | None, grants: Collection[GrantId] | None
    ) -> Iterator[UnlistedRow]:
        with self._connection.execute(query.execution_options(stream_results=True)) as rows:
            for index, kind, grant, from_ns, to_ns, about in rows:
                if (scopes is None or about in scopes) and (grants is None or grant in grants):
                    end = None if to_ns == LONGEST_NS else to_ns
                    yield UnlistedRow(index, Unlisted(kind), GrantId(grant), Interval(from_ns, end))

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

    def grant_keys(self) -> Sequence[GrantKey]:
        """Return all grants under which something was served, or may have been."""
        profiles: dict[str, set[str]] = {}
        scopes: dict[str, set[int]] = {}
        for grant, profile, about in self._connection.execute(_UNDER):
            profiles.setdefault(grant, set()).add(profile)
            scopes.setdefault(grant, set()).add(about)
        return [
            _key(row, orjson.loads(row.document), profiles[row.id], scopes[row.id])
            for row in self._connection.execute(_KEYS)
            if row.id in profiles
        ]

    def rebuild(self) -> int:
        """Make the tables anew from the log; return how many entries were looked at."""
        return rebuild_served_index(self._connection)

    def _numbers(self, wanted: Iterable[GrantId]) -> dict[GrantId, int]:
        names = set(wanted)
        query = select(served_grant.c.grant_id, served_grant.c.number)
        if len(names) > _AT_ONCE:
            return {grant: number for grant, number in self._connection.execute(query) if grant in names}
        rows = self._connection.execute(query.where(served_grant.c.grant_id.in_(sorted(names))))
        return {GrantId(grant): number for grant, number in rows}


def _key(
    row: Row[Any, Any, Any, Any], document: Mapping[str, Any], profiles: Iterable[str], scopes: Iterable[int]
) -> GrantKey:
    shared = document.get("shared_salt")
    windows = [scope["window"] for scope in document["terms"]["scopes"]]
    ends = [window.get("end_ns", None if row.valid_until is None else row.valid_until * 1_000) for window in windows]
    known = [end for end in ends if end is not None]
    return GrantKey(
        id=GrantId(row.id),
        policy=row.policy,
        reach=KeyScope(document["shape"]["pseudonyms"]),
        scheduled_at=Instant(document["scheduled_at"]),
        salt=bytes.fromhex(document["key_salt"]),
        shared_salt=None if shared is None else bytes.fromhex(shared),
        profiles=frozenset(profiles),
        scopes=frozenset(scopes),
        interval=Interval(
            min(window["start_ns"] for window in windows), max(known) if len(known) == len(ends) else None
        ),
    )


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

"""Who saw what, against a naive reading of the same records: what was shown is found, and nothing that was not."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.fakes.served import ServedLog, batch, crash, served_log, stream
from tests.store.fixtures import change

from loglease.access.served_index import bring_up_served_index
from loglease.access.serving import Unit
from loglease.access.who_saw import How, Looked, PseudonymWanted, Question, Seen, ValueWanted, Why
from loglease.audit.interface import Draft
from loglease.model.errors import InvalidField
from loglease.model.grant import Grant
from loglease.model.ids import GrantId
from loglease.model.instant import EventWindow, Interval
from loglease.model.key_scope import KeyScope
from loglease.model.labels import Selector
from loglease.model.selector_text import parse_selector
from loglease.model.served_list import ServedStream, served_list_of
from loglease.store.interface import Transaction
from loglease.store.served_index import longest_of, mark_of, reach_of
from loglease.store.served_index_interface import GrantKey

# LOGLEASE_LONG=1 tries many more.
EXAMPLES = 2_000 if os.environ.get("LOGLEASE_LONG") else 15
EMAIL = "⟦email:aaaaaaaaaa⟧"
OTHER = "⟦email:bbbbbbbbbb⟧"
SELECTORS = ("{}", '{app="pay"}', '{app="web",env="prod"}', '{env=~"prod|test"}', '{app=~"p.*"}', '{app!="pay"}')


def question(
    selector: str | None = None,
    window: tuple[int, int | None] | None = None,
    pseudonym: tuple[Grant, str] | None = None,
    value: ValueWanted | None = None,
    **more: int,
) -> Question:
    return Question(
        selector=None if selector is None else parse_selector(selector),
        window=None if window is None else Interval(*window),
        wanted=value if pseudonym is None else PseudonymWanted(grant=pseudonym[0].id, pseudonym=pseudonym[1]),
        **more,
    )


def told(found: Seen) -> dict[int, tuple[How, Why | None]]:
    return {hit.index: (hit.how, hit.why) for hit in found.hits}


# The property: any records, any question, against a reading of all of them one by one.


@dataclass(frozen=True)
class Made:
    """One record of a session, with the query that it is about."""

    selector: str
    interval: tuple[int, int | None]
    draft: Draft
    grant: Grant


times = st.integers(0, 40) | st.integers(0, 2**40) | st.integers(2**62, 2**62 + 20)
values = st.fixed_dictionaries(
    {"app": st.sampled_from(["pay", "pay-eu", "web"])},
    optional={"env": st.sampled_from(["prod", "test", "dev"]), "pod": st.sampled_from(["1", "⟦email:cccccccccc⟧"])},
)
intervals = st.tuples(times, times | st.none()).filter(lambda one: one[1] is None or one[1] > one[0])


@st.composite
def streams(draw: st.DrawFn) -> list[ServedStream]:
    by_labels = {}
    for labels in draw(st.lists(values, min_size=1, max_size=3)):
        first, last = sorted((draw(times), draw(times)))
        by_labels[tuple(sorted(labels.items()))] = stream(first, last, draw(st.integers(1, 9)), **labels)
    return list(by_labels.values())


sorts = st.sampled_from(["line", "line", "line", "overflow", "sample", "name", "crash", "nothing"])
records = st.lists(
    st.tuples(st.integers(0, 2), intervals, sorts, streams(), st.sets(st.sampled_from([EMAIL, OTHER]))), max_size=12
)
questions = st.tuples(
    st.none() | st.sampled_from(SELECTORS[1:]),
    st.none() | intervals,
    st.none()
    | st.tuples(st.integers(0, 2), st.sampled_from([EMAIL, OTHER]))
    | st.dictionaries(st.integers(0, 2), st.sets(st.sampled_from([EMAIL, OTHER]), min_size=1), min_size=1),
).filter(any)


def naive(
    made: Sequence[Made], first: int, asked: Question, tokens: Mapping[GrantId, set[str]] | None
) -> dict[int, How]:
    """Read every record, and say how it answers; a selector is compared with a scope by trying all label sets.

    A value is looked up only where the grant may have read what is asked for.
    """
    found = {}
    window = asked.window or Interval(0, None)
    for index, one in enumerate(made, first):
        if tokens is not None and one.grant.id not in tokens:
            continue
        selector = asked.selector if isinstance(asked.wanted, ValueWanted) else None
        if selector is not None and not _overlap(selector, parse_selector(one.selector)):
            continue
        data: Any = one.draft.data
        settled = data.get("settled")
        if settled is not None and settled["unit"] == "line":
            assert one.draft.served is not None
            served = served_list_of(one.draft.served[0])
            listed = tokens is None or not tokens[one.grant.id].isdisjoint(served.pseudonyms)
            if not listed and not settled["overflow"]:
                continue
            inside = [
                part
                for part in served.streams
                if part.last_ns >= window.start and (window.end is None or part.first_ns < window.end)
            ]
            if any(asked.selector is None or _selects(asked.selector, part) for part in inside):
                found[index] = How.SERVED if listed else How.POSSIBLE
        elif settled is not None or data.get("uncertain", {}).get("lines"):
            start, end = one.interval
            touches = (end is None or end > window.start) and (window.end is None or start < window.end)
            if touches and (asked.selector is None or _overlap(asked.selector, parse_selector(one.selector))):
                found[index] = How.POSSIBLE if settled is None else How.DERIVED
    return found


def _selects(selector: Selector, part: ServedStream) -> bool:
    """No question of the property names `pod`, of which a value may be under a mask."""
    return selector.matches(part.labels)


def _overlap(one: object, other: object) -> bool:
    apps, envs = ["pay", "pay-eu", "web", "p", ""], ["prod", "test", "dev", ""]
    sets = [tuple((k, v) for k, v in (("app", app), ("env", env)) if v) for app, env in itertools.product(apps, envs)]
    return any(one.matches(labels) and other.matches(labels) for labels in sets)  # type: ignore[attr-defined]


def record(grant: Grant, session: str, sort: str, parts: Sequence[ServedStream], pseudonyms: set[str]) -> Draft:
    if sort == "crash":
        return crash(grant, session)
    if sort == "nothing":
        return batch(grant, session)
    unit = {"sample": Unit.SAMPLE, "name": Unit.NAME}.get(sort, Unit.LINE)
    return batch(grant, session, parts, sorted(pseudonyms), unit=unit, overflow=sort == "overflow")


@settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    records=records,
    asked=st.lists(questions, min_size=1, max_size=6),
    selectors=st.tuples(*[st.sampled_from(SELECTORS)] * 3),
    at_once=st.sampled_from([1, 500]),
)
def test_the_answer_is_that_of_reading_every_record(records, asked, selectors, at_once) -> None:  # type: ignore[no-untyped-def]
    """Whether there is much to name in a statement, or little."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with served_log(Path(folder)) as log:
                all_times = EventWindow(0, 1 << 63)
                grants = [await log.grant(selector, window=all_times) for selector in selectors]
                made = []
                for number, interval, sort, parts, pseudonyms in records:
                    session = await log.session(grants[number], *interval)
                    draft = record(grants[number], session, sort, parts, pseudonyms)
                    made.append((await log.add(draft), Made(selectors[number], interval, draft, grants[number])))
                for again in (False, True):
                    if again:
                        await change(log.store, lambda tx: tx.served.rebuild())
                    for selector, window, wished in asked:
                        tokens = None
                        if isinstance(wished, dict):
                            tokens = {grants[number].id: some for number, some in wished.items()}
                            asking = question(
                                selector, window, value=wanted(**{one: (some, {}) for one, some in tokens.items()})
                            )
                        elif wished is not None:
                            tokens = {grants[wished[0]].id: {wished[1]}}
                            asking = question(selector, window, (grants[wished[0]], wished[1]))
                        else:
                            asking = question(selector, window)
                        expected: dict[int, How] = {}
                        for indices, one in made:
                            expected |= naive([one], indices[0], asking, tokens)
                        found = await log.seen(asking)
                        certain = {hit.index: hit.how for hit in found.hits if hit.why is not Why.MASKED_LABEL}
                        assert certain == expected
                        assert found.next is None

    with patch("loglease.store.served_search._AT_ONCE", at_once):
        asyncio.run(run())


@pytest.fixture
async def log(tmp_path: Path):  # type: ignore[no-untyped-def]
    async with served_log(tmp_path) as made:
        yield made


async def test_a_list_says_who_saw_a_stream_at_a_time(log: ServedLog) -> None:
    grant = await log.grant()
    session = await log.session(grant)
    (index,) = await log.add(batch(grant, session, [stream(10, 19, 4, app="pay"), stream(10, 99, 3, app="web")]))
    assert told(await log.seen(question('{app="pay"}', (19, 20)))) == {index: (How.SERVED, None)}
    assert told(await log.seen(question('{app="pay"}', (20, 99)))) == {}
    hit = (await log.seen(question('{app="pay"}'))).hits[0]
    assert (hit.lines, hit.first_ns, hit.last_ns, hit.session) == (4, 10, 19, session)
    assert (await log.seen(question(None, (0, 100)))).hits[0].lines == 7


async def test_a_pseudonym_is_one_of_its_grant(log: ServedLog) -> None:
    one, two = await log.grant(), await log.grant()
    (first,) = await log.add(batch(one, await log.session(one), [stream(1, 1, app="pay")], [EMAIL, OTHER]))
    await log.add(batch(two, await log.session(two), [stream(1, 1, app="pay")], [EMAIL]))
    found = await log.seen(question(pseudonym=(one, EMAIL)))
    assert told(found) == {first: (How.SERVED, None)}
    assert found.hits[0].pseudonyms == {EMAIL}


async def test_a_mark_that_two_pseudonyms_share_does_not_make_them_one(
    log: ServedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loglease.store.served_index.mark_of", lambda _: 7)
    monkeypatch.setattr("loglease.store.served_search.mark_of", lambda _: 7)
    grant = await log.grant()
    session = await log.session(grant)
    (index,) = await log.add(batch(grant, session, [stream(1, 1, app="pay")], [EMAIL]))
    await log.add(batch(grant, session, [stream(1, 1, app="pay")], [OTHER]))
    assert set(told(await log.seen(question(pseudonym=(grant, EMAIL))))) == {index}


async def test_what_a_crash_leaves_open_is_possible_where_the_query_was_about_it(log: ServedLog) -> None:
    grant = await log.grant('{app=~"pay|web"}', window=EventWindow(100, 200))
    session = await log.session(grant, 100, 200)
    (index,) = await log.add(crash(grant, session, 17))
    assert told(await log.seen(question('{app="pay"}', (0, 101)))) == {index: (How.POSSIBLE, Why.CRASH)}
    assert told(await log.seen(question('{app="db"}'))) == {}
    assert told(await log.seen(question('{app="pay"}', (200, 300)))) == {}
    hit = (await log.seen(question(pseudonym=(grant, EMAIL)))).hits[0]
    assert (hit.why, hit.lines, hit.first_ns, hit.last_ns) == (Why.CRASH, 17, 100, 200)


async def test_numbers_and_names_are_derived_from_what_the_query_was_about(log: ServedLog) -> None:
    grant = await log.grant('{app="pay"}')
    session = await log.session(grant, 50, 60)
    indices = await log.add(
        batch(grant, session, [stream(60, 60, level="info")], unit=Unit.SAMPLE),
        batch(grant, session, [stream(50, 50)], unit=Unit.NAME),
    )
    expected = dict(zip(indices, [(How.DERIVED, Why.SAMPLES), (How.DERIVED, Why.NAMES)], strict=True))
    # The labels of numbers are not those of streams, and their times are not those of lines.
    assert told(await log.seen(question('{level="info"}'))) == expected
    assert told(await log.seen(question('{app="pay"}', (55, 56)))) == expected
    assert told(await log.seen(question('{app="web"}'))) == {}
    assert told(await log.seen(question(pseudonym=(grant, EMAIL)))) == expected


async def test_a_query_about_no_time_at_all_shows_nothing(log: ServedLog) -> None:
    grant = await log.grant()
    session = await log.session(grant, 50, 50)
    await log.add(batch(grant, session, [stream(50, 50)], unit=Unit.NAME))
    assert told(await log.seen(question(None, (0, 100)))) == {}


async def test_a_list_that_is_too_long_may_have_held_every_pseudonym(log: ServedLog) -> None:
    grant = await log.grant()
    session = await log.session(grant)
    (index,) = await log.add(batch(grant, session, [stream(5, 6, app="pay")], overflow=True))
    assert told(await log.seen(question('{app="pay"}', pseudonym=(grant, EMAIL)))) == {
        index: (How.POSSIBLE, Why.OVERFLOW)
    }
    assert told(await log.seen(question('{app="web"}', pseudonym=(grant, EMAIL)))) == {}
    assert told(await log.seen(question('{app="pay"}'))) == {index: (How.SERVED, None)}


async def test_a_label_under_a_mask_may_be_any_value(log: ServedLog) -> None:
    grant = await log.grant()
    session = await log.session(grant)
    indices = await log.add(
        batch(grant, session, [stream(5, 6, app="pay", user="⟦email:cccccccccc⟧")]),
        batch(grant, session, [stream(5, 6, app="web", user="⟦email:cccccccccc⟧")]),
        batch(grant, session, [stream(5, 6, app="pay", **{"_⟦email⟧_": "x"})]),
    )
    found = told(await log.seen(question('{app="pay",user="jane@example.com"}')))
    assert found == {indices[0]: (How.POSSIBLE, Why.MASKED_LABEL), indices[2]: (How.POSSIBLE, Why.MASKED_LABEL)}


async def test_a_list_that_is_gone_makes_it_possible(log: ServedLog) -> None:
    grant = await log.grant('{app="pay"}')
    session = await log.session(grant, 0, 100)
    (index,) = await log.add(batch(grant, session, [stream(5, 6, 2, app="pay")], [EMAIL]))

    def lose(group: object) -> None:
        connection = group._connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("DELETE FROM served")
        group.transaction.served.rebuild()  # type: ignore[attr-defined]

    await log.store.group(lose)
    expected = {index: (How.POSSIBLE, Why.LIST_LOST)}
    assert told(await log.seen(question('{app="pay"}'))) == expected
    assert told(await log.seen(question(pseudonym=(grant, EMAIL)))) == expected
    assert told(await log.seen(question('{app="web"}'))) == {}


@pytest.mark.parametrize("many", [1, 1_000_000])
async def test_a_large_answer_comes_in_parts_that_make_the_whole(
    log: ServedLog, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there are so many streams that lists are read in their order, or few that are sorted."""
    monkeypatch.setattr("loglease.store.served_search._MANY", many)
    grant = await log.grant()
    session = await log.session(grant, 0, 1_000)
    made, samples = [], set[int]()
    for number in range(25):
        made += await log.add(
            crash(grant, session) if number % 5 == 0 else batch(grant, session, [stream(number, number, app="pay")])
        )
        await log.add(batch(grant, session, [stream(number, number, app="web")]))
        sample = await log.add(batch(grant, session, [stream(number, number, app="pay")], unit=Unit.SAMPLE))
        made += sample
        samples.update(sample)
    parts, first, derived = [], 0, set[int]()
    while True:
        found = await log.seen(question('{app="pay"}', first=first, most=4))
        parts.append([hit.index for hit in found.hits])
        derived |= {hit.index for hit in found.hits if hit.how is How.DERIVED}
        if found.next is None:
            break
        first = found.next
    assert [index for part in parts for index in part] == made
    assert max(map(len, parts)) == 4
    assert derived == samples


def wanted(**by_grant: tuple[set[str], dict[str, str]]) -> ValueWanted:
    def look(key: GrantKey) -> Looked:
        pseudonyms, hidden = by_grant.get(key.id, (set(), {}))
        return Looked(frozenset(pseudonyms), hidden)

    return ValueWanted(cls="email", classes=frozenset({"pii.email"}), look=look)


async def test_grants_in_which_a_value_cannot_be_found_are_named(log: ServedLog) -> None:
    clear, masked, found = await log.grant(profile="raw@1"), await log.grant(profile="strict@1"), await log.grant()
    indices = []
    for grant in (clear, masked, found):
        session = await log.session(grant)
        indices += await log.add(batch(grant, session, [stream(1, 1, app="pay")], [EMAIL] if grant is found else []))
    unread = await log.grant(profile="raw@1")
    value = wanted(
        **{
            clear.id: (set(), {"raw@1": "profile_raw"}),
            masked.id: (set(), {"strict@1": "class_masked"}),
            found.id: ({EMAIL, OTHER}, {}),
            unread.id: (set(), {"raw@1": "profile_raw"}),
        }
    )
    seen = await log.seen(Question(wanted=value))
    assert told(seen) == {indices[2]: (How.SERVED, None)}
    assert {(grant, one.why) for one in seen.unsearchable for grant in one.grants} == {
        (clear.id, "profile_raw"),
        (masked.id, "class_masked"),
    }


async def test_only_grants_that_can_have_shown_the_stream_at_that_time_are_named(log: ServedLog) -> None:
    pay = await log.grant('{app="pay"}', "raw@1", window=EventWindow(100, 200))
    web = await log.grant('{app="web"}', "raw@1", window=EventWindow(100, 200))
    for grant in (pay, web):
        await log.session(grant, 100, 200)
    value = wanted(**{one.id: (set(), {"raw@1": "profile_raw"}) for one in (pay, web)})
    for window, expected in (((0, 100), set()), ((0, 101), {pay.id}), ((199, None), {pay.id}), ((200, None), set())):
        found = await log.seen(Question(selector=parse_selector('{app="pay"}'), window=Interval(*window), wanted=value))
        assert {grant for one in found.unsearchable for grant in one.grants} == expected


async def test_a_key_is_read_once_whatever_was_asked_under_it(log: ServedLog) -> None:
    made = [await log.grant(window=EventWindow(100, 200), key_salt=bytes([number]) * 32) for number in range(2)]
    for grant in made:
        (scope,) = grant.terms.scopes
        for app, profile in itertools.product(("pay", "web"), ("strict@1", "pii-default@1")):
            narrow = replace(scope, selector=parse_selector(f'{{app="{app}"}}'), profile=profile)
            await log.session(replace(grant, terms=replace(grant.terms, scopes=(narrow,))))
    profiles = frozenset({"pii-default@1", "strict@1"})
    expected = [(one.id, KeyScope.GRANT, one.scheduled_at, one.key_salt, None, profiles) for one in made]

    async def keys(window: Interval | None, selector: str | None = None) -> list[tuple[object, ...]]:
        def work(tx: Transaction) -> list[tuple[object, ...]]:
            scopes = None if selector is None else tx.served.scopes_like(parse_selector(selector))
            found = tx.served.grant_keys(scopes=scopes, window=window)
            return [(one.id, one.reach, one.scheduled_at, one.salt, one.shared_salt, one.profiles) for one in found]

        return await log.store.read(work)

    assert (
        await keys(None) == await keys(Interval(199, None)) == await keys(Interval(0, 300), '{app="web"}') == expected
    )
    assert await keys(Interval(200, None)) == await keys(None, '{app="other"}') == []


async def test_a_question_about_everything_is_none() -> None:
    with pytest.raises(InvalidField):
        question()
    with pytest.raises(InvalidField):
        question("{}")


async def test_a_grant_that_is_not_there_is_not_found(log: ServedLog) -> None:
    from loglease.access.errors import NotFound

    asked = Question(wanted=PseudonymWanted(grant=GrantId("grt_01JD8R0000000000000000000A"), pseudonym=EMAIL))
    with pytest.raises(NotFound):
        await log.seen(asked)


@given(st.integers(0, 2**63 - 1))
def test_a_span_is_shorter_than_its_class_allows_and_no_class_smaller_would_do(span: int) -> None:
    reach = reach_of(span)
    assert span < longest_of(reach)
    assert reach == 0 or span >= longest_of(reach - 1)


@given(st.text())
def test_marks_fit_into_32_bits(text: str) -> None:
    assert -(2**31) <= mark_of(text) < 2**31


@pytest.mark.sqlite
async def test_a_pseudonym_is_asked_for_wherever_grants_share_its_key(log: ServedLog) -> None:
    """Where policy lets pseudonyms reach further, one grant's is another's too."""
    grants = [await log.grant() for _ in range(3)]
    salts = ("aa" * 32, "aa" * 32, "bb" * 32)

    def share(group: object) -> None:
        connection = group._connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("DROP TRIGGER grants_terms")
        for grant, salt in zip(grants, salts, strict=True):
            document = json.loads(
                connection.exec_driver_sql("SELECT document FROM grants WHERE id = ?", (grant.id,)).scalar()
            )
            document["shape"]["pseudonyms"], document["shared_salt"] = "deployment", salt
            connection.exec_driver_sql("UPDATE grants SET document = ? WHERE id = ?", (json.dumps(document), grant.id))

    await log.store.group(share)
    for grant in grants:
        await log.add(batch(grant, await log.session(grant), [stream(1, 1, app="pay")], [EMAIL]))
    found = await log.seen(question(pseudonym=(grants[0], EMAIL)))
    assert {hit.grant for hit in found.hits} == {grants[0].id, grants[1].id}


async def test_what_is_looked_for_can_be_less_than_all(log: ServedLog) -> None:
    grant = await log.grant('{app="pay"}')
    session = await log.session(grant, 0, 100)
    drafts = [
        batch(grant, session, [stream(5, 6, app="pay")], [EMAIL]),
        batch(grant, session, [stream(5, 6, app="pay")], overflow=True),
        batch(grant, session, [stream(100, 100)], unit=Unit.SAMPLE),
        crash(grant, session),
    ]
    indices = await log.add(*drafts)
    every = {How.SERVED: {indices[0]}, How.POSSIBLE: {indices[1], indices[3]}, How.DERIVED: {indices[2]}}
    for how, expected in every.items():
        asked = replace(question(pseudonym=(grant, EMAIL)), hows=frozenset({how}))
        assert set(told(await log.seen(asked))) == expected
    assert set(told(await log.seen(question(pseudonym=(grant, EMAIL))))) == set(indices)
    assert told(await log.seen(replace(question('{app="pay"}'), hows=frozenset({How.REVEALED})))) == {}


@pytest.mark.answers_lost("served_index.bring_up_served_index")
async def test_a_start_makes_the_tables_anew_where_they_are_of_another_form(log: ServedLog) -> None:
    grant = await log.grant()
    (index,) = await log.add(batch(grant, await log.session(grant), [stream(1, 1, app="pay")], [EMAIL]))
    assert await bring_up_served_index(log.log) == 2
    assert await bring_up_served_index(log.log) is None

    def lose(group: object) -> None:
        connection = group._connection  # type: ignore[attr-defined]
        for table in ("served_stream", "served_pseudonym", "served_labels", "served_label", "served_grant"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - our own tables
        group.transaction.values.put("served_index", "0")  # type: ignore[attr-defined]

    await log.store.group(lose)
    assert told(await log.seen(question('{app="pay"}'))) == {}
    assert await bring_up_served_index(log.log) == 2
    assert told(await log.seen(question('{app="pay"}', pseudonym=(grant, EMAIL)))) == {index: (How.SERVED, None)}


async def test_of_what_was_pruned_nothing_is_told(log: ServedLog) -> None:
    grant = await log.grant()
    session = await log.session(grant)
    indices = await log.add(*(batch(grant, session, [stream(n, n, app="pay")], [EMAIL]) for n in range(3)))
    await change(log.store, lambda tx: tx.prunings.raise_min_index(indices[1]))
    for asked in (question('{app="pay"}'), question(pseudonym=(grant, EMAIL)), question('{app="pay"}', first=1)):
        found = await log.seen(asked)
        assert (list(told(found)), found.min_index) == (indices[1:], indices[1])

"""A limit of data subjects: nobody beyond it is handed over, by whatever question, in whichever session."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.test_session import MS, Ledger, moment
from tests.gateway.test_session import item as plain_item
from tests.gateway.test_tail import ending, tailing
from tests.gateway.world import T0, Line, World, call, line, world
from tests.volume import volume

from loglease.gateway.served import Item
from loglease.gateway.session import Finish, Reserve, ServedSession, Slice
from loglease.gateway.subjects import Subjects
from loglease.model.grant import EndWhy, Grant, GrantState
from loglease.model.limits import Limits
from loglease.model.session import CloseWhy

TOKEN = re.compile("⟦email:[a-z2-7]{10}⟧")
PROFILE = "pii-default@1"


def visit(number: int, person: int, **labels: str) -> Line:
    return line(T0 + number, f"visit {number} of user{person}@example.com", **({"service": "a"} | labels))


def people(*order: int) -> list[Line]:
    return [visit(number, person) for number, person in enumerate(order)]


async def limited(w: World, subjects: int | None, **changes: Any) -> Grant:
    changes = {"profile": PROFILE, **changes}
    return await w.grant(limits=Limits(subjects=subjects, **changes.pop("more", {})), **changes)


def shown(texts: Sequence[str]) -> set[str]:
    return {found for text in texts for found in TOKEN.findall(text)}


async def test_the_lines_before_the_first_person_too_many_are_given_and_use_the_grant_up(tmp_path: Path) -> None:
    async with world(tmp_path, lines=people(1, 2, 1, 2, 3, 1)) as w:
        grant = await limited(w, 2)
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert [text.split()[1] for text in answer.lines] == ["0", "1", "2", "3"]
        assert (answer.end, len(shown(answer.lines))) == ("ended", 2)
        stored = await w.stored_grant(grant)
        assert (stored.state, stored.ended_why, stored.usage.subjects) == (GrantState.ENDED, EndWhy.USED, 2)
        assert (await w.entries("grant.ended"))[0]["data"] == {
            "why": "used",
            "total": {"lines": 4, "bytes": stored.usage.bytes},
        }
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 403


async def test_as_many_as_there_may_be_end_nothing_and_are_free_from_then_on(tmp_path: Path) -> None:
    async with world(tmp_path, lines=people(1, 2, 1, 2)) as w:
        grant = await limited(w, 2)
        for _ in range(3):
            answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
            assert (len(answer.lines), answer.end) == (4, "complete")
        stored = await w.stored_grant(grant)
        assert (stored.state, stored.usage.subjects) == (GrantState.ACTIVE, 2)
        w.reader.add(visit(9, 3))
        assert (await call(w, f"/g/{grant.id}/logs?start={T0 + 9}")).status == 429
        assert (await w.stored_grant(grant)).ended_why is EndWhy.USED


async def test_a_first_line_of_somebody_too_many_is_a_refusal_and_no_answer(tmp_path: Path) -> None:
    lines = [line(T0, "from a@example.com to b@example.com", service="a")]
    async with world(tmp_path, lines=lines) as w:
        grant = await limited(w, 1)
        answer = await call(w, f"/g/{grant.id}/logs?start=0")
        assert (answer.status, b"data subject" in answer.body) == (429, True)
        assert not shown([answer.body.decode()])
        stored = await w.stored_grant(grant)
        assert (stored.ended_why, stored.usage.subjects) == (EndWhy.USED, 0), "of a line all are taken, or none"


async def test_without_a_limit_nobody_is_counted(tmp_path: Path) -> None:
    async with world(tmp_path, lines=people(*range(30))) as w:
        grant = await limited(w, None)
        assert len((await call(w, f"/g/{grant.id}/logs?start=0")).lines) == 30
        assert (await w.stored_grant(grant)).usage.subjects == 0


async def test_addresses_of_machines_are_no_people(tmp_path: Path) -> None:
    lines = [line(T0 + n, f"from 198.51.100.{n} of bob@example.com", service="a") for n in range(1, 6)]
    async with world(tmp_path, lines=lines) as w:
        grant = await limited(w, 1)
        answer = await call(w, f"/g/{grant.id}/logs?start=0")
        assert (len(answer.lines), answer.end) == (5, "complete")
        assert len(set(re.findall("⟦ip:[a-z2-7]{10}⟧", answer.body.decode()))) == 5


async def test_who_stands_in_labels_and_metadata_counts_as_well(tmp_path: Path) -> None:
    lines = [
        line(T0, "one", service="a", user="x@example.com"),
        line(T0 + 1, "two", (("by", "y@example.com"),), service="a"),
        line(T0 + 2, "three of z@example.com", service="a"),
    ]
    async with world(tmp_path, lines=lines) as w:
        grant = await limited(w, 2, selector='{service="a"}')
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward")
        assert (len(answer.lines), answer.end) == (2, "ended")


async def test_somebody_whom_only_a_stage_decodes_counts_also_where_a_template_hides_the_token(tmp_path: Path) -> None:
    lines = [line(T0 + n, json.dumps({"who": f"user{n}@example.com"}), service="a") for n in range(4)]
    stages = '| json | line_format "{{ .who | trunc 3 }}" | drop who'
    async with world(tmp_path, lines=lines) as w:
        grant = await limited(w, 2)
        answer = await call(w, f"/g/{grant.id}/logs?start=0&direction=forward&query={quote('{} ' + stages)}")
        assert (len(answer.lines), answer.end) == (2, "ended")
        assert (await w.stored_grant(grant)).usage.subjects == 2


@pytest.mark.parametrize("count", [1, 3, 7])
async def test_many_sessions_at_once_show_no_more_people_than_one_may(tmp_path: Path, count: int) -> None:
    lines = [visit(n, n % 12, service="a", part=str(n % 4)) for n in range(400)]
    async with world(tmp_path, lines=lines) as w:
        grant = await limited(w, count)
        queries = [quote(f'{{part="{part}"}}') for part in (0, 1, 2, 3)] * 2
        answers = await asyncio.gather(
            *(call(w, f"/g/{grant.id}/logs?start=0&direction=forward&query={query}") for query in queries)
        )
        assert len(shown([one.body.decode() for one in answers])) <= count
        stored = await w.stored_grant(grant)
        assert (stored.ended_why, stored.usage.subjects) == (EndWhy.USED, count)


async def test_a_tail_ends_with_the_first_person_too_many(tmp_path: Path) -> None:
    async with world(tmp_path, lines=people(1, 2)) as w:
        grant = await limited(w, 2, selector='{service="a"}')
        async with tailing(w, grant, start=0) as client:
            now = w.clock.now() * 1_000
            for step, person in enumerate((1, 2, 3, 1)):
                w.reader.add(line(now + step, f"live user{person}@example.com", service="a"))
            _, _, lines = await ending(client)
        assert [text.split()[0] for text in lines] == ["visit", "visit", "live", "live"]
        assert len(shown(lines)) == 2
        assert (await w.stored_grant(grant)).ended_why is EndWhy.USED


async def test_under_several_grants_each_counts_its_own(tmp_path: Path) -> None:
    lines = [visit(n, n, service="a" if n % 2 else "b") for n in range(6)]
    async with world(tmp_path, lines=lines) as w:
        odd, even = await limited(w, 5), await limited(w, 2, selector='{service="b"}')
        answer = await call(w, "/logs?start=0&direction=forward")
        assert [text.split()[1] for text in answer.lines] == ["0", "1", "2", "3"]  # the third of b is too many
        assert [(await w.stored_grant(one)).usage.subjects for one in (odd, even)] == [3, 2]  # what was reserved ahead
        assert [(await w.stored_grant(one)).state for one in (odd, even)] == [GrantState.ACTIVE, GrantState.ENDED]


NUMBERS = [
    'sum by (who) (count_over_time({service="a"} | json [1h]))',
    'count_over_time({service="a"} | json [1h])',
]


@pytest.mark.parametrize("query", NUMBERS)
async def test_numbers_whose_labels_name_people_count_them(tmp_path: Path, query: str) -> None:
    now = 0
    async with world(tmp_path) as w:
        now = w.clock.now() * 1_000
        w.reader.lines = [line(now - 9 + n, json.dumps({"who": f"u{n}@example.com"}), service="a") for n in range(4)]
        enough, few = await limited(w, 4), await limited(w, 3)
        path = f"loki/api/v1/query?time={now + 10}&query={quote(query)}"
        assert len(shown([(await call(w, f"/g/{enough.id}/{path}")).body.decode()])) == 4
        over = await call(w, f"/g/{few.id}/{path}")
        assert len(shown([over.body.decode()])) <= 3
        assert b"this answer is not whole" in over.body
        assert [(await w.stored_grant(one)).usage.subjects for one in (enough, few)] == [4, 3]
        assert (await w.stored_grant(few)).ended_why is EndWhy.USED


async def test_a_number_of_people_names_none_of_them(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        now = w.clock.now() * 1_000
        w.reader.lines = [line(now - 9 + n, json.dumps({"who": f"u{n}@example.com"}), service="a") for n in range(4)]
        grant = await limited(w, 1)
        query = 'sum(count_over_time({service="a"} | json [1h]))'
        answer = await call(w, f"/g/{grant.id}/loki/api/v1/query?time={now + 10}&query={quote(query)}")
        assert answer.status == 200
        assert (await w.stored_grant(grant)).usage.subjects == 0


async def test_names_that_name_people_count_them(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        now = w.clock.now() * 1_000
        w.reader.lines = [line(now - 9 + n, "text", service="a", user=f"u{n}@example.com") for n in range(4)]
        enough, few = await limited(w, 4), await limited(w, 3)
        for grant, most in ((enough, 4), (few, 3)):
            answer = await call(w, f"/g/{grant.id}/loki/api/v1/label/user/values")
            assert len(shown([answer.body.decode()])) <= most
            assert (await w.stored_grant(grant)).usage.subjects == most
            assert (b"not whole" in answer.body) is (most == 3)


@pytest.mark.parametrize(
    "query",
    [
        'sum by (x) (count_over_time({service="a"} | regexp `:(?P<x>[a-z2-7]+)` [1h]))',
        'sum by (x) (count_over_time({service="a"} | pattern `<_>:<x>⟧` [1h]))',
        'sum by (x) (count_over_time({service="a"} | json | label_format x=`{{ .who | upper }}` [1h]))',
        'sum by (x) (count_over_time({service="a"} | line_format `{{ __line__ }}` | json [1h]))',
        'label_replace(sum by (who) (count_over_time({service="a"} | json [1h])), "x", "$1", "who", ".(.*).")',
        '1 + sum by (x) (rate({service="a"} | regexp `(?P<x>.+)` [1h]))',
    ],
)
async def test_numbers_of_texts_that_were_taken_apart_are_refused_where_people_are_counted(
    tmp_path: Path, query: str
) -> None:
    lines = [line(T0, json.dumps({"who": "u1@example.com", "at": "x:y"}), service="a")]
    async with world(tmp_path, lines=lines) as w:
        counted, uncounted = await limited(w, 9), await limited(w, None)
        path = f"loki/api/v1/query?time={T0 + 10}&query={quote(query)}"
        refused = await call(w, f"/g/{counted.id}/{path}")
        assert refused.status == 403
        assert b"limits data subjects" in refused.body
        assert (await call(w, f"/g/{uncounted.id}/{path}")).status == 200


@pytest.mark.parametrize(
    ("text", "parser"),
    [
        ('{{"user{0}@example.com": "x"}}', "json"),
        ('{{"seen": {{"by user{0}@example.com, once": 1}}}}', "json"),
        ("user{0}@example.com=x", "logfmt"),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "query?time={0}&query=" + quote('count_over_time({service="a"} | PARSER [1h])'),
        "detected_fields?start=0&end={0}&query=" + quote('{service="a"}'),
    ],
)
async def test_people_whom_a_key_of_a_field_names_count_where_it_becomes_the_name_of_a_label(
    tmp_path: Path, text: str, parser: str, path: str
) -> None:
    lines = [line(T0 + number, text.format(number), service="a") for number in range(3)]
    path = path.format(T0 + 10).replace("PARSER", parser)
    async with world(tmp_path, lines=lines) as w:
        enough, too_few = await limited(w, 3), await limited(w, 2)
        answer = await call(w, f"/g/{enough.id}/loki/api/v1/{path}")
        assert answer.status == 200
        assert len(set(re.findall(rb"_email_([a-z2-7]{10})_", answer.body))) == 3
        assert (await w.stored_grant(enough)).usage.subjects == 3
        refused = await call(w, f"/g/{too_few.id}/loki/api/v1/{path}")
        assert len(set(re.findall(rb"email[_:]([a-z2-7]{10})", refused.body))) <= 2
        assert (await w.stored_grant(too_few)).ended_why is EndWhy.USED


@pytest.mark.parametrize("profile", ["raw@1", "secrets@1"])
async def test_where_nobody_is_masked_nobody_could_be_counted_and_nothing_is_read(tmp_path: Path, profile: str) -> None:
    async with world(tmp_path, lines=people(1)) as w:
        grant = await limited(w, 9, profile=profile)
        answer = await call(w, f"/g/{grant.id}/logs?start=0")
        assert (answer.status, b"masks nobody" in answer.body) == (403, True)
        assert b"user1" not in answer.body
        strict = await limited(w, 1, profile="strict@1")
        assert len((await call(w, f"/g/{strict.id}/logs?start=0")).lines) == 1


# The machine alone.


class Room:
    """A budget of data subjects, as `access.reserve` keeps it, as a few sums."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: set[str] = set()

    def take(self, lines: Sequence[Sequence[str]]) -> int:
        for number, one in enumerate(lines):
            if len(self.known.union(one)) > self.most:
                return number
            self.known.update(one)
        return len(lines)


def person_item(number: int, names: Sequence[str], size: int = 40) -> Item:
    return plain_item(number, size)._replace(pseudonyms=tuple(f"⟦email:{name * 10}⟧" for name in names))


class Answering:
    """One session with all its lines, and what its budget of lines allows."""

    def __init__(self, lines: list[list[str]], budget: int, *, follow: bool) -> None:
        self.lines = lines
        self.budget = budget
        self.ledger = Ledger(budget, 10**9)
        self.machine = ServedSession(
            deadline_ns=10**18, epoch=1, limit=None, follow=follow, skip_after_ns=10**18, slow_after_ns=10**18,
            started_ns=0, subjects=[frozenset({"email"})],
        )  # fmt: skip
        self.machine.offer([person_item(number, names) for number, names in enumerate(lines)])
        self.machine.finished(CloseWhy.COMPLETE)
        self.asked: Reserve | None = None
        self.handed = 0
        self.why: CloseWhy | None = None

    def turn(self, room: Room, now: int) -> set[str]:
        """Answer what was asked for, do one step, and return who was handed over."""
        if self.asked is not None:
            asked, self.asked = self.asked, None
            fitting = room.take([[one.partition(":")[2] for one in group] for group in asked.subjects])
            found = self.ledger.reserve(asked)
            if not found.exhausted:
                found = replace(found, subjects=fitting, spent=fitting < len(asked.subjects))
            self.machine.reserved(found, now)
        step = self.machine.step(moment(now))
        if isinstance(step, Reserve):
            self.asked = step
        elif isinstance(step, Finish):
            self.why = self.why or step.why
        elif isinstance(step, Slice):
            first, self.handed = self.handed, self.machine.handed_lines
            return {name * 10 for names in self.lines[first : self.handed] for name in names}
        return set()

    def require_whole_or_too_much(self, room: Room) -> None:
        if self.why is CloseWhy.COMPLETE:
            assert self.handed == len(self.lines)
        else:
            beyond = room.known.union(name * 10 for name in self.lines[self.handed])
            assert self.why is CloseWhy.ENDED
            assert len(beyond) > room.most or self.handed >= self.budget, "nothing stood in the way of the next line"


LETTERS = st.lists(st.sampled_from("abcdefgh"), max_size=3)


@settings(max_examples=volume(75, 300), deadline=None)
@given(
    answers=st.lists(st.lists(LETTERS, max_size=25), min_size=1, max_size=3),
    most=st.integers(1, 6),
    order=st.lists(st.integers(0, 2), max_size=200),
    follow=st.booleans(),
    budget=st.integers(0, 30),
)
def test_of_sessions_that_share_a_budget_no_more_people_are_handed_over(
    answers: list[list[list[str]]], most: int, order: list[int], follow: bool, budget: int
) -> None:
    """Whatever takes turns with whatever: nobody before they are counted, and all lines that nothing speaks against."""
    room, given_out = Room(most), set[str]()
    sessions = [Answering(lines, budget, follow=follow) for lines in answers]
    for number, turn in enumerate([*order, *list(range(3)) * 400], 1):
        given_out |= sessions[turn % len(sessions)].turn(room, number * 10 * MS)
        assert given_out <= room.known
        assert len(given_out) <= most
    for session in sessions:
        session.require_whole_or_too_much(room)


def test_who_was_skipped_unseen_is_new_again() -> None:
    subjects = Subjects(frozenset({"email"}))
    subjects.queue([person_item(0, "a"), person_item(1, "b")])
    assert subjects.ask(1) == [("email:aaaaaaaaaa",)]
    subjects.clear()
    subjects.taken(1)
    assert (subjects.is_over, subjects.free_lines) == (False, None)
    subjects.queue([person_item(2, "ab"), person_item(3, "a")])
    assert (subjects.is_over, subjects.free_lines) == (False, 0)
    assert subjects.ask(2) == [("email:aaaaaaaaaa", "email:bbbbbbbbbb")]
    subjects.taken(0)
    assert (subjects.is_over, subjects.free_lines) == (True, 0)

"""What every store must do, whatever database it runs on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from tests.fakes.clock import FakeClock
from tests.fakes.database import put_new_database
from tests.fakes.postgres import clocked, database_at
from tests.store import values
from tests.store.values import NOW

from loglease.model.access_request import RequestState
from loglease.model.after_review import AfterState
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn, SuspendCause, Suspension
from loglease.model.ids import GrantId, LockId, NoticeId, PersonId, PrincipalId, ProposalId, RequestId, SessionId
from loglease.model.instant import Instant
from loglease.model.notice import Notice, NoticeState
from loglease.model.offer import Outcome
from loglease.model.principal import Kind
from loglease.model.review import Verdict
from loglease.model.session import Account, CloseWhy, SessionState
from loglease.server.databases import Database
from loglease.store import sqlite
from loglease.store.interface import HIGH_WATER, LocalAccount, LostRace, Transaction
from loglease.store.keeps_interface import NextLook
from loglease.store.sessions_interface import InUse
from loglease.store.sqlite import open_store
from loglease.store.sqlite_library import Mode, running_library

Change = Callable[[Callable[[Transaction], Any]], Awaitable[Any]]


@pytest.fixture(params=[*Mode, "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    path = tmp_path / "data" / "loglease.db"
    found: Database
    if request.param == "postgresql":
        found = clocked(database_at(path))
    else:
        library = replace(running_library(), mode=request.param)
        monkeypatch.setattr(sqlite, "running_library", lambda: library)
        put_new_database(path)
        found = open_store(path, clock=FakeClock())
    yield found
    found.close()


@pytest.fixture
def change(store: Database) -> Change:
    return lambda work: store.group(lambda group: work(group.transaction))


def with_grant(tx: Transaction) -> None:
    tx.requests.insert(values.request())
    tx.grants.insert(values.grant())


async def test_a_request_is_found_as_it_was_stored(store: Database, change: Change) -> None:
    await change(lambda tx: tx.requests.insert(values.request()))
    assert await store.read(lambda tx: tx.requests.find(values.request().id)) == values.request()
    assert await store.read(lambda tx: tx.requests.find(RequestId("req_none"))) is None


async def test_a_verdict_is_stored_once(store: Database, change: Change) -> None:
    await change(lambda tx: tx.requests.insert(values.request()))
    await change(lambda tx: tx.requests.update(values.decided()))
    with pytest.raises(LostRace):
        await change(lambda tx: tx.requests.update(values.decided(RequestState.DENIED)))
    found = await store.read(lambda tx: tx.requests.find(values.request().id))
    assert found == values.decided()


async def test_due_and_pending_requests(store: Database, change: Change) -> None:
    late = values.request(1, expires_at=Instant(NOW + 5))
    later = values.request(2, expires_at=Instant(NOW + 3))
    other = values.request(3, requester=PrincipalId("prn_eve"))

    def work(tx: Transaction) -> None:
        for one in (late, later, other):
            tx.requests.insert(one)

    await change(work)
    assert await store.read(lambda tx: tx.requests.due(Instant(NOW + 5), 9)) == [later, late]
    assert await store.read(lambda tx: tx.requests.due(Instant(NOW + 5), 1)) == [later]
    assert await store.read(lambda tx: tx.requests.pending_of(late.requester)) == [late, later]
    await change(lambda tx: tx.requests.update(values.decided(number=1)))
    assert await store.read(lambda tx: tx.requests.due(Instant(NOW + 5), 9)) == [later]
    assert await store.read(lambda tx: tx.requests.pending_of(late.requester)) == [later]


async def test_pages_of_requests(store: Database, change: Change) -> None:
    all_of_them = [values.request(number) for number in range(1, 6)]
    all_of_them[3] = replace(all_of_them[3], requester=PrincipalId("prn_eve"))

    def work(tx: Transaction) -> None:
        for one in all_of_them:
            tx.requests.insert(one)
        tx.requests.update(values.decided(number=2))

    await change(work)

    async def page(**wanted: Any) -> list[int]:
        found = await store.read(lambda tx: tx.requests.page(**wanted))
        return [int(one.id[4:]) for one in found]

    assert await page(limit=2) == [5, 4]
    assert await page(limit=2, before=all_of_them[3].id) == [3, 2]
    assert await page(requester="prn_eve") == [4]
    assert await page(state=RequestState.APPROVED) == [2]
    assert await page(source="files", state=RequestState.PENDING) == [5, 4, 3, 1]
    assert await page(source="elsewhere") == []


async def test_reviews_keep_their_order_and_are_given_once(store: Database, change: Change) -> None:
    first, second = values.review(9), values.review(1, person=PersonId("per_bo"))
    await change(lambda tx: tx.requests.insert(values.request()))
    await change(lambda tx: tx.reviews.insert(first))
    await change(lambda tx: tx.reviews.insert(second))
    with pytest.raises(LostRace):
        await change(lambda tx: tx.reviews.insert(values.review(3)))
    denial = values.review(4, verdict=Verdict.DENY, comment="no", narrowed=values.request().terms)
    await change(lambda tx: tx.reviews.insert(denial))
    assert await store.read(lambda tx: tx.reviews.of_request(values.request().id)) == [first, second, denial]


async def test_a_grant_is_found_as_it_was_stored(store: Database, change: Change) -> None:
    await change(with_grant)
    assert await store.read(lambda tx: tx.grants.find(values.grant().id)) == values.grant()
    assert await store.read(lambda tx: tx.grants.of_request(values.request().id)) == values.grant()
    await change(lambda tx: tx.grants.update(values.active()))
    assert await store.read(lambda tx: tx.grants.find(values.grant().id)) == values.active()
    with pytest.raises(LostRace):
        await change(lambda tx: tx.grants.update(values.active()))
    await change(lambda tx: tx.grants.update(values.ended()))
    assert await store.read(lambda tx: tx.grants.find(values.grant().id)) == values.ended()
    assert await store.read(lambda tx: tx.grants.live()) == []


async def test_budgets_are_taken_whole_or_not_at_all(store: Database, change: Change) -> None:
    await change(with_grant)  # 100 lines, 1,000 bytes, 5 queries

    async def spend(lines: int, size: int, queries: int = 0) -> bool:
        done: bool = await change(
            lambda tx: tx.grants.spend(values.grant().id, lines=lines, size=size, queries=queries)
        )
        return done

    assert await spend(60, 10, 5)
    assert not await spend(41, 10)
    assert not await spend(0, 0, 1)
    assert await spend(40, 990)
    assert not await spend(0, 1)
    assert await spend(-40, -990)
    assert not await spend(-61, 0), "more is never given back than was taken"
    found = await store.read(lambda tx: tx.grants.find(values.grant().id))
    assert found is not None
    assert (found.usage.lines, found.usage.bytes, found.usage.queries) == (60, 10, 5)
    await change(lambda tx: tx.grants.update(replace(values.active(), usage=values.USED)))
    found = await store.read(lambda tx: tx.grants.find(values.grant().id))
    assert found is not None
    assert found.usage.lines == 60, "a new version does not move budgets"


async def test_data_subjects_are_taken_once_and_no_more_than_there_may_be(store: Database, change: Change) -> None:
    await change(with_grant)  # 1,200 data subjects
    key = values.grant().id

    async def take(*pseudonyms: str) -> bool:
        done: bool = await change(lambda tx: tx.grants.take_subjects(key, pseudonyms))
        return done

    async def used() -> int:
        found = await store.read(lambda tx: tx.grants.find(key))
        assert found is not None
        return found.usage.subjects

    assert await take()
    assert await take("email:a", "email:b")
    assert await store.read(lambda tx: tx.grants.known_subjects(key, ["email:b", "email:c"])) == {"email:b"}
    with pytest.raises(IntegrityError):
        await take("email:c", "email:a")
    assert await used() == 2, "all of it or nothing"
    many = [f"phone:{number}" for number in range(1_198)]
    assert not await take(*many, "email:d")
    assert await used() == 2
    assert await take(*many)
    assert await store.read(lambda tx: tx.grants.known_subjects(key, [*many, "email:d"])) == set(many)
    assert not await take("email:d")
    assert await used() == 1_200


async def test_due_and_live_grants_and_their_pages(store: Database, change: Change) -> None:
    def work(tx: Transaction) -> None:
        for number in (1, 2, 3):
            tx.requests.insert(values.request(number))
            tx.grants.insert(values.grant(number, activate_by=Instant(NOW + 10 * number)))
        tx.grants.update(values.active(1))

    await change(work)

    async def numbers(query: Callable[[Transaction], Any]) -> list[int]:
        return [int(one.id[4:]) for one in await store.read(query)]

    assert await numbers(lambda tx: tx.grants.due(Instant(NOW + 25), 9)) == [2]
    assert await numbers(lambda tx: tx.grants.due(Instant(NOW + 9_000), 2)) == [2, 3]
    assert await numbers(lambda tx: tx.grants.live()) == [2, 3, 1]
    assert await numbers(lambda tx: tx.grants.page(live_at=Instant(NOW + 20))) == [3, 1]
    assert await numbers(lambda tx: tx.grants.page(limit=1)) == [3]
    assert await numbers(lambda tx: tx.grants.page(before=values.grant(3).id)) == [2, 1]
    assert await numbers(lambda tx: tx.grants.page(holder=PrincipalId("prn_eve"))) == []


async def test_a_grant_is_due_when_it_lies_idle_and_not_while_it_is_in_use(store: Database, change: Change) -> None:
    def work(tx: Transaction) -> None:
        for number in (1, 2):
            tx.requests.insert(values.request(number))
            tx.grants.insert(values.grant(number))
        tx.grants.update(values.active(1, idle_at=Instant(NOW + 60)))
        tx.grants.update(values.active(2, idle_at=Instant(NOW + 60)))
        tx.grants.update(values.active(2, idle_at=Instant(NOW + 60)).in_use())

    await change(work)
    found = await store.read(lambda tx: tx.grants.due(Instant(NOW + 60), 9))
    assert [(one.id, one.idle_at) for one in found] == [(values.grant(1).id, NOW + 60)]
    assert await store.read(lambda tx: tx.grants.due(Instant(NOW + 59), 9)) == []


async def test_keeps(store: Database, change: Change) -> None:
    def two(tx: Transaction) -> None:
        for number in (1, 2):
            tx.requests.insert(values.request(number))
            tx.grants.insert(values.grant(number))
            tx.keeps.begin(values.grant(number).id, Instant(10 * number))

    await change(two)
    first, second = (NextLook(grant=values.grant(number).id, due_at=Instant(10 * number)) for number in (1, 2))
    assert await store.read(lambda tx: tx.keeps.due(Instant(9), 5)) == []
    assert await store.read(lambda tx: tx.keeps.due(Instant(10), 5)) == [first]
    assert await store.read(lambda tx: tx.keeps.due(Instant(20), 5)) == [first, second]
    assert await store.read(lambda tx: tx.keeps.due(Instant(20), 1)) == [first]
    known = replace(first, due_at=Instant(30), good='[{"fact": "ctx.calm"}]')
    await change(lambda tx: tx.keeps.update(known))
    await change(lambda tx: tx.keeps.begin(first.grant, Instant(40)))
    assert await store.read(lambda tx: tx.keeps.find(first.grant)) == known, "what is begun again is never later"
    await change(lambda tx: tx.keeps.begin(first.grant, Instant(15)))
    assert await store.read(lambda tx: tx.keeps.find(first.grant)) == replace(known, due_at=Instant(15))
    await change(lambda tx: tx.keeps.end(first.grant))
    assert await store.read(lambda tx: tx.keeps.find(first.grant)) is None


async def test_key_salts(store: Database, change: Change) -> None:
    def some(tx: Transaction) -> None:
        for name, day, byte in (
            ("team-day/a", "2026-11-26", b"a"),
            ("team-day/a", "2026-11-27", b"b"),
            ("deployment", "", b"c"),
        ):
            tx.key_salts.insert(name, day, byte * 32)

    await change(some)
    assert await store.read(lambda tx: tx.key_salts.find("team-day/a", "2026-11-27")) == b"b" * 32
    assert await store.read(lambda tx: tx.key_salts.find("team-day/b", "2026-11-27")) is None
    assert await change(lambda tx: tx.key_salts.delete_before("2026-11-27")) == 1
    assert await store.read(lambda tx: tx.key_salts.find("team-day/a", "2026-11-26")) is None
    assert await store.read(lambda tx: tx.key_salts.find("deployment", "")) == b"c" * 32


async def test_after_reviews(store: Database, change: Change) -> None:
    def two(tx: Transaction) -> None:
        for number in (1, 2):
            tx.requests.insert(values.request(number))
            tx.grants.insert(values.grant(number))
            tx.after_reviews.insert(values.after_review(number))

    await change(two)
    first, second = values.after_review(1), values.after_review(2)
    assert await store.read(lambda tx: tx.after_reviews.find(first.request)) == first
    assert await store.read(lambda tx: tx.after_reviews.find(RequestId("req_none"))) is None
    assert await store.read(lambda tx: tx.after_reviews.page()) == [second, first]
    assert await store.read(lambda tx: tx.after_reviews.page(before=second.request)) == [first]
    await change(lambda tx: tx.after_reviews.update(values.looked_at(1)))
    with pytest.raises(LostRace):
        await change(lambda tx: tx.after_reviews.update(values.looked_at(1)))
    assert await store.read(lambda tx: tx.after_reviews.find(first.request)) == values.looked_at(1)
    assert await store.read(lambda tx: tx.after_reviews.page(undone=True)) == [second]
    dave = [PersonId("per_dave"), PersonId("per_other")]
    assert await store.read(lambda tx: tx.after_reviews.unjustified_of(dave)) == [values.looked_at(1), second]
    await change(lambda tx: tx.after_reviews.update(values.looked_at(2, AfterState.JUSTIFIED)))
    assert await store.read(lambda tx: tx.after_reviews.unjustified_of(dave)) == [values.looked_at(1)]
    assert await store.read(lambda tx: tx.after_reviews.unjustified_of([PersonId("per_other")])) == []


async def test_how_often_the_glass_was_broken_and_how_many_are_late(store: Database, change: Change) -> None:
    def some(tx: Transaction) -> None:
        for number, basis in ((1, Outcome.BREAK_GLASS), (2, Outcome.BREAK_GLASS), (3, Outcome.AUTO)):
            tx.requests.insert(values.request(number))
            tx.grants.insert(values.grant(number))
            opened = Instant(NOW + number)
            tx.after_reviews.insert(values.after_review(number, basis=basis, opened_at=opened, due_at=opened + 10))

    await change(some)

    def counted(tx: Transaction) -> list[int]:
        dave = [PersonId("per_dave")]
        return [
            tx.after_reviews.broken("emergency", Instant(NOW)),
            tx.after_reviews.broken("emergency", Instant(NOW + 1)),
            tx.after_reviews.broken("another", Instant(NOW)),
            tx.after_reviews.broken_by(dave, "emergency", Instant(NOW)),
            tx.after_reviews.broken_by([PersonId("per_other")], "emergency", Instant(NOW)),
            tx.after_reviews.late(Instant(NOW + 10)),
            tx.after_reviews.late(Instant(NOW + 11)),
            tx.after_reviews.late(Instant(NOW + 13)),
        ]

    assert await store.read(counted) == [2, 1, 0, 2, 0, 0, 1, 3]


async def test_locks(store: Database, change: Change) -> None:
    one = values.lock(1)
    two = values.lock(2, on=LockOn(LockKind.EVERYTHING), until=Instant(NOW + 10))

    def work(tx: Transaction) -> None:
        tx.holds.insert_lock(one)
        tx.holds.insert_lock(two)

    await change(work)
    assert await store.read(lambda tx: tx.holds.locks(now=NOW)) == [one, two]
    assert await store.read(lambda tx: tx.holds.locks(now=Instant(NOW + 10))) == [one]
    assert await store.read(lambda tx: tx.holds.locks(now=NOW, on=LockOn(LockKind.EVERYTHING))) == [two]
    lifted = replace(one, lifted_at=NOW, lifted_by=PrincipalId("prn_bo"))
    await change(lambda tx: tx.holds.update_lock(lifted))
    assert await store.read(lambda tx: tx.holds.find_lock(one.id)) == lifted
    assert await store.read(lambda tx: tx.holds.find_lock(LockId("lck_none"))) is None
    assert await store.read(lambda tx: tx.holds.locks(now=NOW)) == [two]
    with pytest.raises(LostRace):
        await change(lambda tx: tx.holds.update_lock(values.lock(7)))


def _suspend(suspension: Suspension, tx: Transaction) -> None:
    tx.holds.insert_suspension(suspension)


async def test_suspensions(store: Database, change: Change) -> None:
    one, two = values.suspension(), values.suspension(cause=SuspendCause.POLICY, by=PrincipalId("prn_ivo"))
    await change(with_grant)
    for found in (one, two, replace(one, reason="again")):
        await change(partial(_suspend, found))
    assert await store.read(lambda tx: tx.holds.suspensions()) == [one, two]
    await change(lambda tx: tx.holds.delete_suspension(one))
    assert await store.read(lambda tx: tx.holds.suspensions(values.grant().id)) == [two]


async def test_sessions(store: Database, change: Change) -> None:
    one, two = values.session(1), values.session(2, replica="two")

    def work(tx: Transaction) -> None:
        with_grant(tx)
        tx.sessions.insert(one)
        tx.sessions.insert(two)

    await change(work)
    assert await store.read(lambda tx: tx.sessions.unclosed(9)) == [one, two]
    assert await store.read(lambda tx: tx.sessions.unclosed(1)) == [one]
    assert await store.read(lambda tx: tx.sessions.has_unclosed(one.grant))
    account = Account(ceiling_lines=9, ceiling_bytes=9, settled_lines=5, settled_bytes=4, seq=3)
    done = replace(one, state=SessionState.CLOSED, closed_at=NOW, why=CloseWhy.CLIENT, account=account)
    await change(lambda tx: tx.sessions.update(done))
    assert await store.read(lambda tx: tx.sessions.find(one.id)) == done
    assert await store.read(lambda tx: tx.sessions.unclosed(9)) == [two]
    assert await store.read(lambda tx: tx.sessions.has_unclosed(one.grant))
    assert await store.read(lambda tx: tx.sessions.of_grant(one.grant)) == [two, done]
    assert await store.read(lambda tx: tx.sessions.of_grant(one.grant, 1)) == [two]
    await change(
        lambda tx: tx.sessions.update(replace(two, state=SessionState.CLOSED, closed_at=NOW, why=CloseWhy.CLIENT))
    )
    assert not await store.read(lambda tx: tx.sessions.has_unclosed(one.grant))
    with pytest.raises(LostRace):
        await change(lambda tx: tx.sessions.update(values.session(7)))


async def test_the_account_of_a_session_moves_alone(store: Database, change: Change) -> None:
    one, two = values.session(1), values.session(2)

    def work(tx: Transaction) -> None:
        with_grant(tx)
        tx.sessions.insert(one)
        tx.sessions.insert(two)

    await change(work)
    account = Account(ceiling_lines=9, ceiling_bytes=8, settled_lines=5, settled_bytes=4, seq=3)
    await change(lambda tx: tx.sessions.update_account(one.id, account))
    assert await store.read(lambda tx: tx.sessions.find(one.id)) == replace(one, account=account)
    assert await store.read(lambda tx: tx.sessions.find(two.id)) == two
    with pytest.raises(LostRace):
        await change(lambda tx: tx.sessions.update_account(values.session(7).id, account))


async def test_a_session_in_use_comes_with_what_decides_over_it(store: Database, change: Change) -> None:
    session = values.session(1)
    holder = replace(values.principal(1), id=values.grant().holder)

    def work(tx: Transaction) -> None:
        with_grant(tx)
        tx.sessions.insert(session)

    await change(work)
    assert await store.read(lambda tx: tx.sessions.in_use(values.session(2).id, NOW)) is None
    grant = await store.read(lambda tx: tx.grants.find(session.grant))
    assert grant is not None
    assert await store.read(lambda tx: tx.sessions.in_use(session.id, NOW)) == InUse(
        session, grant, None, 1, may_be_held=False
    )

    await change(lambda tx: tx.principals.insert(holder))
    used = await store.read(lambda tx: tx.sessions.in_use(session.id, NOW))
    assert used == InUse(session, grant, holder, await store.read(lambda tx: tx.epoch), may_be_held=False)
    await change(lambda tx: _spent(tx, grant.id))
    used = await store.read(lambda tx: tx.sessions.in_use(session.id, NOW))
    assert used is not None
    assert used.grant == await store.read(lambda tx: tx.grants.find(grant.id)) != grant


def _spent(tx: Transaction, grant_id: GrantId) -> None:
    assert tx.grants.spend(grant_id, lines=3, size=5, queries=1)


async def test_whatever_may_hold_a_grant_is_seen_with_its_session(store: Database, change: Change) -> None:
    first, going_on = values.grant(1), values.grant(2, extends=(values.grant(1).id,))
    session, another = values.session(1, grant=going_on.id), values.session(2, grant=first.id)

    def work(tx: Transaction) -> None:
        for number, grant in enumerate((first, going_on), 1):
            tx.requests.insert(values.request(number))
            tx.grants.insert(grant)
        tx.sessions.insert(session)
        tx.sessions.insert(another)

    await change(work)

    async def may_be_held(session_id: SessionId, at: Instant = NOW) -> bool:
        used = await store.read(lambda tx: tx.sessions.in_use(session_id, at))
        assert used is not None
        return used.may_be_held

    assert not await may_be_held(session.id)
    lock = values.lock(1, until=Instant(NOW + 5))
    await change(lambda tx: tx.holds.insert_lock(lock))
    assert await may_be_held(session.id)
    assert not await may_be_held(session.id, Instant(NOW + 5))
    await change(lambda tx: tx.holds.update_lock(replace(lock, lifted_at=NOW, lifted_by=PrincipalId("prn_ivo"))))
    assert not await may_be_held(session.id)

    for grant, held in ((going_on, {session.id}), (first, {session.id, another.id})):
        suspension = values.suspension(grant=grant.id)
        await change(partial(_suspend, suspension))
        assert {one for one in (session.id, another.id) if await may_be_held(one)} == held
        await change(partial(_resume, suspension))
        assert not await may_be_held(session.id)


def _resume(suspension: Suspension, tx: Transaction) -> None:
    tx.holds.delete_suspension(suspension)


async def test_the_newest_session_is_the_one_that_opened_last(store: Database, change: Change) -> None:
    waited = values.session(1, opened_at=Instant(NOW + 9))
    went_first = values.session(2)

    def work(tx: Transaction) -> None:
        with_grant(tx)
        tx.sessions.insert(went_first)
        tx.sessions.insert(waited)

    await change(work)
    assert await store.read(lambda tx: tx.sessions.of_grant(waited.grant)) == [waited, went_first]
    assert await store.read(lambda tx: tx.sessions.of_grant(waited.grant, 1)) == [waited]


async def test_principals_and_their_accounts(store: Database, change: Change) -> None:
    one = values.principal(1)
    bot = values.principal(2, kind=Kind.AGENT, person=one.person, subject=one.subject)

    def work(tx: Transaction) -> None:
        tx.principals.insert(one)
        tx.principals.insert(bot)

    await change(work)
    assert await store.read(lambda tx: tx.principals.by_account("local", "user2")) == bot
    assert await store.read(lambda tx: tx.principals.by_account("other", "user2")) is None
    assert await store.read(lambda tx: tx.principals.of_person(one.person)) == [one, bot]
    changed = replace(one, groups=frozenset({"leads"}), enabled=False)
    await change(lambda tx: tx.principals.update(changed))
    assert await store.read(lambda tx: tx.principals.find(one.id)) == changed
    directory = await store.read(lambda tx: tx.principals.directory())
    assert dict(directory.principals) == {one.id: changed, bot.id: bot}
    with pytest.raises(LostRace):
        await change(lambda tx: tx.principals.update(values.principal(7)))


async def test_local_accounts(store: Database, change: Change) -> None:
    account = LocalAccount(principal=values.principal().id, name="dave", password_hash="$argon2id$1", must_change=True)
    await change(lambda tx: tx.principals.insert(values.principal()))
    await change(lambda tx: tx.principals.insert_local(account))
    changed = replace(account, password_hash="$argon2id$2", must_change=False)
    assert await store.read(lambda tx: tx.principals.local("dave")) == account
    await change(lambda tx: tx.principals.update_local(changed))
    assert await store.read(lambda tx: tx.principals.local("dave")) == changed
    assert await store.read(lambda tx: tx.principals.local("eve")) is None
    with pytest.raises(LostRace):
        await change(lambda tx: tx.principals.update_local(replace(account, name="eve")))


async def test_a_one_time_token_is_spent_once(store: Database, change: Change) -> None:
    await change(lambda tx: tx.tokens.insert(values.token()))
    assert await change(lambda tx: tx.tokens.spend(values.token().id, NOW))
    assert not await change(lambda tx: tx.tokens.spend(values.token().id, NOW))
    found = await store.read(lambda tx: tx.tokens.by_lookup("public1"))
    assert found == values.token(spent_at=NOW)
    assert await store.read(lambda tx: tx.tokens.find(found.id)) == found


async def test_tokens_are_revoked_by_all_that_is_named(store: Database, change: Change) -> None:
    def work(tx: Transaction) -> None:
        tx.tokens.insert(values.token(1, chain="a"))
        tx.tokens.insert(values.token(2, chain="a", principal=PrincipalId("prn_eve")))
        tx.tokens.insert(values.token(3, chain="b"))

    await change(work)
    assert await change(lambda tx: tx.tokens.revoke(NOW)) == 0, "naming nothing revokes nothing"
    assert await change(lambda tx: tx.tokens.revoke(NOW, chain="a", principal=PrincipalId("prn_dave"))) == 1
    assert await change(lambda tx: tx.tokens.revoke(NOW, chain="a")) == 1
    assert await change(lambda tx: tx.tokens.revoke(NOW, token_id=values.token(1).id)) == 0
    assert await store.read(lambda tx: tx.tokens.of_principal(PrincipalId("prn_dave"))) == [values.token(3, chain="b")]
    assert await change(lambda tx: tx.tokens.delete_expired(Instant(NOW + 86_400 * 10**6 + 1_001))) == 3


async def test_answers_are_kept_for_a_day(store: Database, change: Change) -> None:
    day = 86_400 * 10**6
    key = (PrincipalId("prn_dave"), "POST /requests", "key")
    await change(lambda tx: tx.idempotency.insert(*key, b"digest", "req_1", NOW))
    assert await store.read(lambda tx: tx.idempotency.find(*key, Instant(NOW + day - 1))) == (b"digest", "req_1")
    assert await store.read(lambda tx: tx.idempotency.find(*key, Instant(NOW + day))) is None
    await change(lambda tx: tx.idempotency.insert(*key, b"other", "req_2", Instant(NOW + day)))
    assert await store.read(lambda tx: tx.idempotency.find(*key, Instant(NOW + day))) == (b"other", "req_2")


async def test_revocations_and_values(store: Database, change: Change) -> None:
    await change(lambda tx: tx.revocations.insert(values.REVOCATION))
    assert await store.read(lambda tx: tx.revocations.find(values.REVOCATION.id)) == values.REVOCATION
    await change(lambda tx: tx.values.put("origin", "here"))
    await change(lambda tx: tx.values.put("origin", "there"))
    assert await store.read(lambda tx: tx.values.find("origin")) == "there"
    assert await store.read(lambda tx: tx.values.find("other")) is None


async def test_a_failed_change_leaves_nothing(store: Database, change: Change) -> None:
    def work(tx: Transaction) -> None:
        with_grant(tx)
        raise LostRace("on purpose")

    with pytest.raises(LostRace):
        await change(work)
    assert await store.read(lambda tx: tx.requests.page()) == []
    await change(with_grant)


async def test_touch_is_the_time_and_its_high_water_mark(store: Database) -> None:
    clock = store._clock  # type: ignore[union-attr]
    assert isinstance(clock, FakeClock)
    first = await store.touch(None)
    clock.wall += 5
    assert await store.touch(None) == first + 5
    clock.wall -= 1_000
    assert await store.touch(None) == first - 995
    assert await store.read(lambda tx: tx.values.find(HIGH_WATER)) == str(first + 5)


async def test_a_new_store_has_an_empty_log_of_the_first_epoch(store: Database) -> None:
    assert await store.read(lambda tx: (tx.epoch, tx.entries.size(), list(tx.entries.page()))) == (1, 0, [])


async def test_a_grant_needs_its_request(store: Database, change: Change) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await change(lambda tx: tx.grants.insert(values.grant()))
    assert await store.read(lambda tx: tx.grants.live()) == []
    assert values.grant().state is GrantState.SCHEDULED


def a_notice(number: int, **changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "id": NoticeId(f"ntc_{number}"),
        "event": "request.submitted",
        "fact": f"ent_{number}",
        "about": "req_1",
        "recipient": "prn_bob",
        "channel": "email",
        "at": NOW,
        "next_at": NOW,
        "data": {"request": "req_1", "state": "pending"},
    }
    return Notice(**(fields | changes))


async def test_a_notice_is_found_as_it_was_stored_and_written_once(store: Database, change: Change) -> None:
    assert await change(lambda tx: tx.outbox.insert(a_notice(1)))
    assert not await change(lambda tx: tx.outbox.insert(a_notice(2, fact="ent_1")))
    assert await change(lambda tx: tx.outbox.insert(a_notice(3, fact="ent_1", recipient="prn_carol")))
    assert await store.read(lambda tx: tx.outbox.find(NoticeId("ntc_1"))) == a_notice(1)
    assert await store.read(lambda tx: tx.outbox.find(NoticeId("ntc_2"))) is None
    assert await store.read(lambda tx: tx.outbox.channels()) == ["email"]
    with pytest.raises(LostRace):
        await change(lambda tx: tx.outbox.update(a_notice(9)))


async def test_notices_of_one_request_to_one_recipient_are_due_in_order(store: Database, change: Change) -> None:
    later = Instant(NOW + 1)

    def write(tx: Transaction) -> None:
        for one in (
            a_notice(1, next_at=later),
            a_notice(2),
            a_notice(3, recipient="prn_carol"),
            a_notice(4, about="req_2"),
            a_notice(5, channel="hook", recipient="channel:hook"),
            a_notice(6, about="", recipient="prn_dora", next_at=later),
            a_notice(7, about="", recipient="prn_dora"),
        ):
            tx.outbox.insert(one)

    await change(write)

    async def due(now: Instant, limit: int = 10) -> list[str]:
        return [one.id for one in await store.read(lambda tx: tx.outbox.due("email", now, limit))]

    assert await due(NOW) == ["ntc_3", "ntc_4", "ntc_7"], "the first one waits for its time, the second one for it"
    assert await due(later) == ["ntc_1", "ntc_3", "ntc_4", "ntc_6", "ntc_7"]
    assert await due(later, 1) == ["ntc_1"]
    await change(lambda tx: tx.outbox.update(a_notice(1, state=NoticeState.DEAD, error="refused", attempts=3)))
    assert await due(NOW) == ["ntc_2", "ntc_3", "ntc_4", "ntc_7"]
    counts = await store.read(lambda tx: tx.outbox.counts())
    assert (counts[NoticeState.WAITING], counts[NoticeState.DEAD]) == (6, 1)


async def test_notices_are_listed_newest_first_and_forgotten_once_they_are_done(
    store: Database, change: Change
) -> None:
    def write(tx: Transaction) -> None:
        for number, state in enumerate(NoticeState):
            tx.outbox.insert(a_notice(number, state=state, about=f"req_{number % 2}"))

    await change(write)
    listed = await store.read(lambda tx: [one.id for one in tx.outbox.page(limit=3)])
    assert listed == ["ntc_3", "ntc_2", "ntc_1"]
    dead = await store.read(lambda tx: tx.outbox.page(state=NoticeState.DEAD, about="req_0"))
    assert [one.id for one in dead] == ["ntc_2"]
    assert await change(lambda tx: tx.outbox.delete_done(NOW)) == 0
    assert await change(lambda tx: tx.outbox.delete_done(Instant(NOW + 1))) == 2
    assert {one.state for one in await store.read(lambda tx: tx.outbox.page())} == {
        NoticeState.WAITING,
        NoticeState.DEAD,
    }


async def test_a_proposal_is_decided_once_and_its_revision_kept(store: Database, change: Change) -> None:
    def work(tx: Transaction) -> None:
        tx.proposals.insert(values.proposal())
        tx.proposals.insert(values.proposal(2))
        tx.proposals.insert_bundle(values.bundle())

    await change(work)
    assert await store.read(lambda tx: tx.proposals.find(values.proposal().id)) == values.proposal()
    assert await store.read(lambda tx: tx.proposals.find(ProposalId("prp_none"))) is None
    assert await store.read(lambda tx: tx.proposals.pending()) == [values.proposal(), values.proposal(2)]

    def accept(tx: Transaction) -> None:
        tx.proposals.update(values.accepted())
        tx.proposals.insert_bundle(values.bundle(2, proposal=values.accepted().id))

    await change(accept)
    with pytest.raises(LostRace):
        await change(lambda tx: tx.proposals.update(values.accepted()))
    assert await store.read(lambda tx: tx.proposals.page()) == [values.proposal(2), values.accepted()]
    assert await store.read(lambda tx: tx.proposals.page(before=ProposalId("prp_2"))) == [values.accepted()]
    newest = values.bundle(2, proposal=values.accepted().id)
    assert await store.read(lambda tx: tx.proposals.bundle()) == newest
    assert await store.read(lambda tx: tx.proposals.bundle(1)) == values.bundle()
    assert await store.read(lambda tx: tx.proposals.bundle(7)) is None
    assert await store.read(lambda tx: tx.proposals.bundles()) == [newest, values.bundle()]
    assert await store.read(lambda tx: tx.proposals.bundles(before=2, limit=1)) == [values.bundle()]


async def test_reviews_of_a_proposal_keep_their_order_and_are_given_once(store: Database, change: Change) -> None:
    await change(lambda tx: tx.proposals.insert(values.proposal()))
    other = values.proposal_review(2, person=PersonId("per_r"))
    await change(lambda tx: tx.proposals.insert_review(values.proposal_review()))
    await change(lambda tx: tx.proposals.insert_review(other))
    with pytest.raises(LostRace):
        await change(lambda tx: tx.proposals.insert_review(values.proposal_review(3)))
    assert await store.read(lambda tx: tx.proposals.reviews(values.proposal().id)) == [values.proposal_review(), other]

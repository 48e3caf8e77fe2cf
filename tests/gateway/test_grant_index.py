"""Which grants a principal may use: what is remembered is what the database would say, and never longer than that."""

from __future__ import annotations

import pytest
from tests.fakes.grants import Rows

from loglease.access.caller import Caller
from loglease.access.errors import GrantAmbiguous, NotPermitted
from loglease.access.watch import GrantCut, LeaseLost, SignInCut
from loglease.gateway import grant_index
from loglease.gateway.admission import active_grants
from loglease.gateway.covered_streams import MAX_STREAMS, CoveredStreams
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import GrantId, PrincipalId, TokenId
from loglease.model.instant import Instant, after
from loglease.model.labels import labels_of
from loglease.model.pace import SETTLED_S
from loglease.model.principal import Principal
from loglease.model.review import Channel
from loglease.model.selector_text import parse_selector
from loglease.model.session import CloseWhy


@pytest.fixture
async def rows() -> Rows:
    made = Rows()
    await made.watch.poll()
    return made


async def usable(rows: Rows, who: Principal) -> list[GrantId]:
    view = await rows.index.view(who.id)
    assert view is not None
    return [one.id for one in view.grants]


async def test_it_answers_from_memory_after_the_first_question_oldest_grant_first(rows: Rows) -> None:
    alice, bob = rows.person("alice"), rows.person("bob")
    first, second = rows.active(alice), rows.active(alice)
    rows.active(bob)
    rows.scheduled(alice)
    for _ in range(3):
        assert await usable(rows, alice) == [first.id, second.id]
    assert rows.reads == 1


async def test_a_grant_to_reveal_is_none_to_read_under(rows: Rows) -> None:
    alice = rows.person("alice")
    first = rows.active(alice)
    rows.active(alice, parent=first.id)
    assert await usable(rows, alice) == [first.id]


async def test_one_grant_ends_in_the_very_step_in_which_another_one_starts(rows: Rows) -> None:
    alice = rows.person("alice")
    first = rows.active(alice, duration_s=60)
    later = rows.scheduled(alice)
    assert await usable(rows, alice) == [first.id]
    rows.clock.advance(59.999999)
    await rows.watch.poll()
    assert await usable(rows, alice) == [first.id]
    rows.clock.advance(0.000001)
    assert await usable(rows, alice) == []
    second = rows.activated(later)
    assert await usable(rows, alice) == [second.id]


async def test_an_end_takes_no_question_to_the_database(rows: Rows) -> None:
    alice = rows.person("alice")
    rows.active(alice, duration_s=60)
    longer = rows.active(alice, duration_s=61)
    await usable(rows, alice)
    before = rows.reads
    rows.clock.advance(60)
    await rows.watch.poll()
    assert await usable(rows, alice) == [longer.id]
    assert rows.reads == before


@pytest.mark.parametrize("back_s", [1, 3_600])
async def test_a_clock_that_is_set_back_lengthens_nothing(rows: Rows, back_s: int) -> None:
    alice = rows.person("alice")
    first = rows.active(alice, duration_s=60)
    assert await usable(rows, alice) == [first.id]
    rows.clock.advance(59.5)
    rows.clock.wall -= back_s * 1_000_000
    await rows.watch.poll()
    rows.clock.advance(0.5)
    view = rows.index.kept(alice.id)
    assert view is not None
    assert view.grants == ()
    assert (await rows.index.reread(alice.id)) is not None  # the same, asked anew
    assert await usable(rows, alice) == []


async def test_a_clock_that_steps_ahead_ends_grants_early_once_that_is_believed(rows: Rows) -> None:
    alice = rows.person("alice")
    grant = rows.active(alice, duration_s=3_600)
    await rows.watch.poll()
    rows.clock.wall += 3_600_000_000
    await rows.watch.poll()
    assert await usable(rows, alice) == [grant.id]
    rows.clock.advance(SETTLED_S)
    await rows.watch.poll()
    assert await usable(rows, alice) == []


async def test_it_is_silent_where_the_news_is_a_second_old(rows: Rows) -> None:
    alice = rows.person("alice")
    first = rows.active(alice)
    await usable(rows, alice)
    rows.clock.advance(0.999)
    assert rows.index.kept(alice.id) is not None
    rows.clock.advance(0.001)
    assert rows.index.kept(alice.id) is None
    before = rows.reads
    assert await usable(rows, alice) == [first.id]
    assert rows.reads == before + 1


async def test_what_is_heard_while_the_database_is_read_is_not_overwritten(rows: Rows) -> None:
    alice = rows.person("alice")
    first = rows.active(alice)
    rows.meanwhile = lambda: rows.over(first)
    await usable(rows, alice)
    assert await usable(rows, alice) == []


async def test_a_cut_that_is_not_on_the_record_yet_is_heard_too(rows: Rows) -> None:
    alice = rows.person("alice")
    first = rows.active(alice)
    await usable(rows, alice)
    rows.watch.apply(GrantCut(grant=first.id, why=CloseWhy.REVOKED, text="grant revoked"))
    assert rows.index.kept(alice.id) is None


async def test_a_lost_lease_makes_it_forget_and_a_sign_out_does_not(rows: Rows) -> None:
    alice = rows.person("alice")
    rows.active(alice)
    await usable(rows, alice)
    rows.watch.apply(SignInCut(sign_in=TokenId("tok_a")))
    rows.heard("token.revoked", subject=alice.subject, token="tok_a", cause="user")
    assert rows.index.kept(alice.id) is not None
    rows.watch.apply(LeaseLost())
    assert rows.index.kept(alice.id) is None


@pytest.mark.parametrize("kind", [LockKind.EVERYTHING, LockKind.GROUP, LockKind.POLICY, LockKind.SOURCE])
async def test_a_lock_holds_until_it_is_lifted_or_lapses(rows: Rows, kind: LockKind) -> None:
    alice = rows.person("alice", frozenset({"oncall"}))
    names = {LockKind.GROUP: "oncall", LockKind.POLICY: "pay", LockKind.SOURCE: "src"}
    on = LockOn(kind, names.get(kind, ""))
    first = rows.active(alice)
    lock = rows.lock(on)
    assert await usable(rows, alice) == []
    rows.lift(lock)
    assert await usable(rows, alice) == [first.id]
    rows.lock(on, until=after(rows.clock.now(), 5))
    assert await usable(rows, alice) == []
    rows.clock.advance(5)
    await rows.watch.poll()
    assert await usable(rows, alice) == [first.id]


async def test_a_grant_that_lies_idle_ends_and_one_in_use_does_not(rows: Rows) -> None:
    alice = rows.person("alice")
    idle = rows.active(alice, idle_s=10)
    used = rows.active(alice, idle_s=10)
    rows.by_id[used.id] = used.in_use()
    assert await usable(rows, alice) == [idle.id, used.id]
    rows.clock.advance(10)
    await rows.watch.poll()
    assert await usable(rows, alice) == [used.id]
    rows.by_id[used.id] = rows.by_id[used.id].resting(rows.clock.now())
    rows.clock.advance(10)
    await rows.watch.poll()
    assert await usable(rows, alice) == []


async def test_another_history_generation_is_another_world(rows: Rows) -> None:
    alice = rows.person("alice")
    rows.active(alice)
    await usable(rows, alice)
    rows.epoch += 1
    await rows.watch.poll()
    assert rows.index.kept(alice.id) is None
    assert await usable(rows, alice) == []


async def test_who_has_too_many_grants_is_not_kept(rows: Rows) -> None:
    alice = rows.person("alice")
    for _ in range(grant_index.MAX_GRANTS + 1):
        rows.active(alice)
    assert await rows.index.view(alice.id) is None
    caller = Caller(principal=alice, channel=Channel.API)
    with pytest.raises(GrantAmbiguous):
        await active_grants(caller=caller, index=rows.index)
    assert await rows.index.view(PrincipalId("prn_nobody")) is None


async def test_many_grants_are_not_read_for_one_that_is_named(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_index, "_MAX_SHARED", 1)
    alice, bob = rows.person("alice"), rows.person("bob")
    for one in (alice, bob):
        for _ in range(grant_index.FEW + 1):
            rows.active(one)
    for _ in range(2):
        assert await rows.index.view_of_few(alice.id) is None
    assert rows.reads == 1
    assert await rows.index.view_of_few(bob.id) is None
    assert len(await usable(rows, alice)) == grant_index.FEW + 1
    view = await rows.index.view_of_few(alice.id)
    assert view is not None
    assert rows.reads == 3


async def test_what_is_kept_has_a_bound(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_index, "MAX_KEPT", 5)
    people = [rows.person(f"person-{number}") for number in range(4)]
    for one in people:
        rows.active(one)
        rows.active(one)
    for one in people:
        await usable(rows, one)
        assert len(rows.index._holders) <= 5
    monkeypatch.setattr(grant_index, "_MAX_SHARED", 1)
    assert len(await usable(rows, people[0])) == 2


async def test_nobody_is_sent_away_by_what_is_remembered(rows: Rows) -> None:
    alice = rows.person("alice")
    caller = Caller(principal=alice, channel=Channel.API)
    with pytest.raises(NotPermitted):
        await active_grants(caller=caller, index=rows.index)
    first = rows.active(alice)
    # Another process started one, and this one has not heard of it yet.
    rows.by_id[first.id] = first
    assert [one.id for one in await active_grants(caller=caller, index=rows.index)] == [first.id]
    narrow = Caller(principal=alice, channel=Channel.API, only_grant=rows.scheduled(alice).id)
    with pytest.raises(NotPermitted):
        await active_grants(caller=narrow, index=rows.index)


# The streams that were tested.


class Colliding(tuple[tuple[str, str], ...]):
    """Labels whose hash is that of all others of their kind."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7


def test_two_streams_of_one_hash_are_two_streams() -> None:
    ours, theirs = (Colliding(labels_of({"service": name})) for name in ("a", "b"))
    assert hash(ours) == hash(theirs)
    covers = CoveredStreams().of(parse_selector('{service="a"}'))
    assert [covers(one) for one in (ours, theirs, ours, theirs)] == [True, False, True, False]


def test_the_answers_of_one_selector_are_not_those_of_another() -> None:
    streams = CoveredStreams()
    labels = labels_of({"service": "a"})
    assert streams.of(parse_selector('{service="a"}'))(labels)
    assert not streams.of(parse_selector('{service="b"}'))(labels)
    assert streams.of(parse_selector('{service="a"}'))(labels)


def test_streams_that_others_name_do_not_fill_the_memory() -> None:
    streams = CoveredStreams()
    tests = [streams.of(parse_selector(f'{{service="{name}"}}')) for name in "ab"]
    for number in range(MAX_STREAMS):
        for name, covers in zip("ab", tests, strict=True):
            assert covers(labels_of({"service": name, "pod": str(number)}))
    assert streams.size <= MAX_STREAMS


async def test_streams_are_remembered_for_one_view_alone(rows: Rows) -> None:
    alice = rows.person("alice")
    rows.active(alice, duration_s=60)
    rows.active(alice)
    before = await rows.index.view(alice.id)
    rows.clock.advance(60)
    await rows.watch.poll()
    later = await rows.index.view(alice.id)
    assert before is not None
    assert later is not None
    assert before.covered is not later.covered
    assert Instant(rows.clock.wall) < later.until
    rows.over(later.grants[0], GrantState.ENDED)
    assert await usable(rows, alice) == []

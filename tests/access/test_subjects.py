"""The budget of data subjects in the database: exact whoever reserves, in whichever session, before and after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.access.journey import active_grant
from tests.access.test_open_session import opened
from tests.fakes.database import open_database
from tests.fakes.world import POLICY, Runner, World, principal, rules_of
from tests.volume import volume

from loglease.access.close_session import close_session
from loglease.access.open_session import Places
from loglease.access.recover_sessions import recover_sessions
from loglease.access.reserve import reserve
from loglease.access.serving import NOTHING, Reservation
from loglease.model.grant import EndWhy, Grant, GrantState
from loglease.model.ids import SessionId
from loglease.model.limits import Limits
from loglease.model.session import CloseWhy, SessionKind


def limited(most: int) -> bytes:
    return POLICY.replace(b"limits: {lines: 1000}", b"limits: {lines: 100000, subjects: %d}" % most)


async def grant_of(world: World, most: int) -> Grant:
    world.rules = rules_of(limited(most))
    return await active_grant(world)


async def session_of(world: World, grant: Grant) -> SessionId:
    return (await opened(world, grant, SessionKind.QUERY)).session.id


async def asked(
    world: World, session: SessionId, lines: Sequence[Sequence[str]], limits: Limits | None = None
) -> Reservation:
    return await reserve(
        session,
        settled=NOTHING,
        want_lines=1,
        want_bytes=10,
        subjects=lines,
        limits=limits or Limits(),
        replica="one",
        log=world.log,
        new_id=world.new_id,
        random=world.random,
    )


async def stored(world: World, grant: Grant) -> Grant:
    found = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert found is not None
    return found


async def close(world: World, session: SessionId, *, over: bool) -> None:
    ports = {name: port for name, port in world.ports.items() if name != "rules"}
    await close_session(session, why=CloseWhy.ENDED, settled=NOTHING, cut_ms=None, over=over, replica="one", **ports)


async def test_lines_are_taken_in_their_order_until_one_does_not_fit(world: World) -> None:
    grant = await grant_of(world, 3)
    session = await session_of(world, grant)
    found = await asked(world, session, [["a"], ["a", "b"], [], ["c", "d"], ["c"]])
    assert (found.subjects, found.spent) == (3, True)
    assert (await stored(world, grant)).usage.subjects == 2
    again = await asked(world, await session_of(world, grant), [["b"], ["a"], ["e", "b"], ["a", "e"]])
    assert (again.subjects, again.spent) == (4, False)
    assert (await stored(world, grant)).usage.subjects == 3
    assert (await asked(world, session, [["f"]])).subjects == 0


async def test_what_policy_allows_today_holds_and_does_not_use_the_grant_up(world: World) -> None:
    grant = await grant_of(world, 3)
    session = await session_of(world, grant)
    found = await asked(world, session, [["a"], ["b"], ["c"]], Limits(subjects=2))
    assert (found.subjects, found.spent) == (2, False)
    await close(world, session, over=found.spent)
    assert (await stored(world, grant)).state is GrantState.ACTIVE


async def test_a_grant_without_a_limit_counts_under_one_that_came_later(world: World) -> None:
    grant = await active_grant(world)
    session = await session_of(world, grant)
    assert (await asked(world, session, [["a"], ["b"]], Limits(subjects=1))).subjects == 1
    assert (await stored(world, grant)).usage.subjects == 1


async def test_who_is_too_many_uses_the_grant_up_while_other_sessions_are_open(world: World) -> None:
    grant = await grant_of(world, 1)
    one, _other = await session_of(world, grant), await session_of(world, grant)
    found = await asked(world, one, [["a"], ["b"]])
    await close(world, one, over=found.spent)
    ended = await stored(world, grant)
    assert (ended.state, ended.ended_why) == (GrantState.ENDED, EndWhy.USED)


async def test_all_that_there_may_be_is_not_too_many(world: World) -> None:
    grant = await grant_of(world, 1)
    session = await session_of(world, grant)
    found = await asked(world, session, [["a"]])
    await close(world, session, over=found.spent)
    assert (await stored(world, grant)).state is GrantState.ACTIVE
    assert (await asked(world, await session_of(world, grant), [["a"]])).subjects == 1


@pytest.mark.answers_lost("recover_sessions.recover_sessions", "reserve.reserve")
async def test_who_was_counted_before_a_crash_stays_counted(world: World) -> None:
    """The process dies between the record and the line: perhaps it was seen, so it counts, and costs nothing again."""
    grant = await grant_of(world, 2)
    await asked(world, await session_of(world, grant), [["a"], ["b"]])
    await world.stop()
    world.store = open_database(Path(world.directory) / "db" / "loglease.sqlite3", world.clock)
    world.log = type(world.log)(world.store, world.clock, world.vault)
    await recover_sessions(log=world.log, new_id=world.new_id)
    assert (await stored(world, grant)).usage.subjects == 2
    session = await session_of(world, grant)
    assert (await asked(world, session, [["b", "a"], ["c"]])).subjects == 1
    assert (await stored(world, grant)).usage.subjects == 2


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runner, World]]:
    run = Runner()

    async def made() -> World:
        world = await World(tmp_path_factory.mktemp("subjects")).start()
        await world.add(principal("alice"), principal("bob", groups=("engineering", "approvers")))
        return world

    world = run(made())
    yield run, world
    run(world.stop())
    run.close()


ASKS = st.lists(st.lists(st.frozensets(st.sampled_from("abcdefg"), max_size=3), min_size=1, max_size=4), max_size=10)


@settings(max_examples=volume(20, 60), deadline=None)
@given(most=st.integers(1, 5), asks=ASKS)
def test_of_many_that_ask_at_once_no_more_are_given_than_there_may_be(
    most: int, asks: list[list[frozenset[str]]], shared: tuple[Runner, World]
) -> None:
    run, world = shared

    async def play() -> None:
        grant = await grant_of(world, most)
        many = Places(sessions=10_000, tails=10_000)
        sessions = [(await opened(world, grant, SessionKind.QUERY, places=many)).session.id for _ in range(3)]
        lines = [[sorted(one) for one in ask] for ask in asks]
        found = await asyncio.gather(*(asked(world, sessions[number % 3], ask) for number, ask in enumerate(lines)))
        allowed = {
            one for ask, answer in zip(lines, found, strict=True) for line in ask[: answer.subjects] for one in line
        }
        assert len(allowed) == (await stored(world, grant)).usage.subjects <= most
        for ask, answer in zip(lines, found, strict=True):
            if answer.subjects < len(ask):
                assert len(allowed.union(ask[answer.subjects])) > most, "nobody is refused who had room"

    run(play())

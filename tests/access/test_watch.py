from __future__ import annotations

import pytest
from tests.access.journey import active_grant, revoke_grant
from tests.fakes.world import World, caller, principal

from loglease.access.add_lock import add_lock
from loglease.access.errors import ClockSuspect
from loglease.access.journal import Journal
from loglease.access.watch import (
    LEASE_S,
    Cut,
    GrantCut,
    LeaseLost,
    LockCut,
    SignInCut,
    SubjectCut,
    Watch,
    cut_of,
)
from loglease.audit.interface import AuditUnavailable
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import SubjectId, TokenId
from loglease.model.instant import Instant
from loglease.model.pace import ClockCheck, Doubt
from loglease.model.principal import Role
from loglease.model.session import CloseWhy
from loglease.store.interface import StoreUnavailable


def watching(world: World) -> tuple[Watch, list[Cut]]:
    watch = Watch(world.store, world.clock, world.random)
    heard: list[Cut] = []
    watch.subscribe(heard.append)
    return watch, heard


@pytest.mark.attack("RV-07")
async def test_a_revocation_is_heard_by_polling_alone(world: World) -> None:
    watch, heard = watching(world)
    await watch.poll()
    grant = await active_grant(world)
    await revoke_grant(world, grant.id)
    assert heard == []
    await watch.poll()
    assert heard == [GrantCut(grant=grant.id, why=CloseWhy.REVOKED, text="grant revoked")]
    await watch.poll()
    assert len(heard) == 1


async def test_a_commit_of_this_process_is_heard_at_once(world: World) -> None:
    watch, heard = watching(world)
    world.log.on_committed(watch.committed)
    grant = await active_grant(world)
    await revoke_grant(world, grant.id)
    assert [cut.grant for cut in heard if isinstance(cut, GrantCut)] == [grant.id]


async def test_locks_are_cuts(world: World) -> None:
    watch, heard = watching(world)
    await watch.poll()
    erin = caller(principal("erin", roles=(Role.ADMIN,)), world.clock.now())
    ports = {key: value for key, value in world.ports.items() if key != "rules"}
    journal = Journal.open(world.directory / "revocations.journal")
    ports |= {"store": world.store, "watch": watch, "journal": journal, "clock": world.clock}
    await add_lock(LockOn(LockKind.SOURCE, "files"), reason="leak", caller=erin, **ports)
    await add_lock(LockOn(LockKind.PERSON, "alice"), reason="left", caller=erin, **ports)
    journal.close()
    await watch.poll()
    assert heard == [LockCut(on=LockOn(LockKind.SOURCE, "files"), text="locked"), SubjectCut(subject="sub_alice")]


@pytest.mark.attack("RV-08")
async def test_the_lease_counts_from_the_start_of_the_poll(world: World) -> None:
    watch, _ = watching(world)
    started = world.clock.boot_ns()
    await watch.poll()
    assert watch.lease_until_ns == started + LEASE_S * 1_000_000_000
    assert watch.deadline_ns(Instant(world.clock.now() + 5_000_000)) == world.clock.boot_ns() + 5_000_000_000


async def test_a_database_that_is_gone_ends_everything_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, heard = watching(world)
    await watch.poll()

    async def gone(_run: object) -> Instant:
        raise StoreUnavailable("no")

    monkeypatch.setattr(watch, "_store", type("Gone", (), {"touch": staticmethod(gone)})())
    with pytest.raises(StoreUnavailable):
        await watch.poll()
    watch._note_loss()
    assert heard == []
    world.clock.advance(LEASE_S)
    watch._note_loss()
    watch._note_loss()
    assert heard == [LeaseLost()]


@pytest.mark.parametrize("seconds", [-3_600, -6, -2, 6, 3_600])
async def test_a_clock_that_steps_is_suspect_at_once_and_moves_no_deadline(world: World, seconds: int) -> None:
    watch = Watch(world.store, world.steady, world.random)
    await watch.poll()
    end = Instant(world.clock.now() + 60_000_000)
    before = watch.deadline_ns(end)
    world.clock.wall += seconds * 1_000_000
    await watch.poll()
    assert watch.clock_suspect
    assert watch.deadline_ns(end) == before
    with pytest.raises(ClockSuspect):
        watch.require_ready()


async def test_a_clock_is_looked_at_though_the_database_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(world.store, world.steady, world.random)
    await watch.poll()

    async def gone(_run: object) -> Instant:
        raise StoreUnavailable("no")

    monkeypatch.setattr(world.store, "touch", gone)
    world.clock.wall += 3_600_000_000
    with pytest.raises(StoreUnavailable):
        await watch.poll()
    assert watch.clock_suspect


async def test_a_clock_behind_the_last_record_is_suspect_from_the_start(world: World) -> None:
    await active_grant(world)  # recorded, and nobody has kept a mark yet
    world.clock.wall -= 1_500_000
    watch = Watch(world.store, world.steady, world.random)
    await watch.poll()
    assert watch.clock_doubt == Doubt(ClockCheck.MARK, -1_500_000)


async def test_what_was_heard_at_once_is_not_heard_again_by_polling(world: World) -> None:
    watch, heard = watching(world)
    world.log.on_committed(watch.committed)
    await watch.poll()
    grant = await active_grant(world)
    await revoke_grant(world, grant.id)
    await watch.poll()
    await watch.poll()
    assert [cut.grant for cut in heard if isinstance(cut, GrantCut)] == [grant.id]


def test_a_reset_password_ends_what_the_whole_login_has_open() -> None:
    data = {"subject": "sub_1", "change": "password", "names": []}
    cut = cut_of("principal.changed", None, data)
    assert cut == SubjectCut(subject=SubjectId("sub_1"), text="token revoked", why=CloseWhy.REVOKED)
    assert cut_of("principal.changed", None, {**data, "change": "groups"}) is None


def test_the_end_of_a_sign_in_ends_what_it_opened() -> None:
    cut = cut_of("signin.ended", {"token": "tok_1"}, {"why": "logout"})
    assert cut == SignInCut(sign_in=TokenId("tok_1"))
    assert cut is not None
    assert (cut.why, cut.text) == (CloseWhy.REVOKED, "signed out")


def test_a_log_that_was_changed_ends_everything_and_lets_nothing_begin(world: World) -> None:
    watch, heard = watching(world)
    watch.require_ready()
    watch.end_all()
    assert heard == [LeaseLost(why=CloseWhy.AUDIT, text="audit")]
    with pytest.raises(AuditUnavailable):
        watch.require_ready()

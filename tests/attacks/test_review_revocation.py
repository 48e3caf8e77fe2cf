"""What was acknowledged as taken away stays so: through an outage, for every kind of thing, told to nobody else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.access.journey import active_grant, reviewed, submitted
from tests.fakes.world import World, caller, principal

from loglease.access.add_lock import add_lock
from loglease.access.errors import NotFound, NotPermitted
from loglease.access.journal import Journal, JournalDamaged, JournalRefused
from loglease.access.lift_lock import lift_lock
from loglease.access.reassert import reassert
from loglease.access.revoke import revoke
from loglease.access.watch import Cut, LockCut, SubjectCut, Watch, cut_of
from loglease.audit.interface import AuditUnavailable, Recorded
from loglease.model.errors import RequestNotPending
from loglease.model.grant import GrantState
from loglease.model.hold import LockKind, LockOn
from loglease.model.ids import PrincipalId, TokenId
from loglease.model.principal import Role
from loglease.model.rights import Right
from loglease.model.session import CloseWhy
from loglease.store.interface import StoredToken

TOKEN = TokenId("tok_1")


class BrokenLog:
    async def commit(self, work: Any, *, urgent: bool = False, limit_s: float | None = None) -> Any:
        raise AuditUnavailable("The record cannot be made.")


class Desk:
    """Somebody who takes things away, with or without a log that can record it."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.path = directory / "revocations.journal"
        self.journal = Journal.open(self.path)
        self.watch = Watch(world.store, world.clock, world.random)
        self.heard: list[Cut] = []
        self.watch.subscribe(self.heard.append)

    def _ports(self, by: str, roles: tuple[Role, ...], log: Any) -> dict[str, Any]:
        world = self.world
        return {
            "reason": "leak",
            "caller": caller(principal(by, roles=roles), world.clock.now()),
            "log": log or world.log,
            "store": world.store,
            "watch": self.watch,
            "journal": self.journal,
            "clock": world.clock,
            "new_id": world.new_id,
            "random": world.random,
        }

    async def revoke(
        self, kind: LockKind, name: str, *, by: str = "erin", roles: tuple[Role, ...] = (Role.ADMIN,), log: Any = None
    ) -> Any:
        return await revoke(LockOn(kind, name), **self._ports(by, roles, log))

    async def lock(self, kind: LockKind, name: str, *, log: Any = None, **more: Any) -> Any:
        return await add_lock(LockOn(kind, name), **self._ports("erin", (Role.ADMIN,), log), **more)

    async def recover(self) -> int:
        world = self.world
        return await reassert(self.journal, log=world.log, watch=self.watch, new_id=world.new_id, random=world.random)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await World(tmp_path).start()
    await made.add(
        principal("alice"),
        principal("bob", groups=("engineering", "approvers")),
        principal("carol", groups=("engineering", "approvers")),
        principal("erin", roles=(Role.ADMIN,)),
        principal("mallory"),
    )
    yield made
    await made.stop()


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Desk:
    return Desk(world, tmp_path)


async def grant_state(world: World, grant: Any) -> GrantState:
    found = await world.store.read(lambda tx: tx.grants.find(grant.id))
    assert found is not None
    return found.state


async def give_token(world: World) -> None:
    token = StoredToken(
        id=TOKEN,
        kind="llp",
        principal=PrincipalId("prn_alice"),
        lookup="ab",
        secret_sha256=b"x" * 32,
        rights=frozenset({Right.LOGS_READ}),
        created_at=world.clock.now(),
        expires_at=world.clock.now() + 10**12,  # type: ignore[arg-type]
        epoch=0,
    )
    await world.log.commit(lambda tx, _now: Recorded(tx.tokens.insert(token)))


@pytest.mark.attack("RV-10")
@pytest.mark.parametrize("kind", ["request", "person"])
async def test_a_request_taken_away_in_an_outage_cannot_be_approved_afterwards(
    world: World, desk: Desk, kind: str
) -> None:
    request = await submitted(world)
    name = request.id if kind == "request" else "per_alice"
    done = await desk.revoke(LockKind(kind), name, log=BrokenLog())
    assert not done.durable
    world.clock.advance(3)
    assert await desk.recover() == 1
    with pytest.raises(RequestNotPending):
        await reviewed(world, request)


async def test_a_grant_that_slips_in_before_the_recovery_is_revoked_with_the_rest(world: World, desk: Desk) -> None:
    request = await submitted(world)
    await desk.revoke(LockKind.PERSON, "per_alice", log=BrokenLog())
    world.clock.advance(1)
    slipped = (await reviewed(world, request)).grant
    assert slipped is not None
    assert await desk.recover() == 1
    assert await grant_state(world, slipped) is GrantState.REVOKED


async def test_what_is_asked_for_after_a_revocation_is_left_alone_by_its_late_record(world: World, desk: Desk) -> None:
    await desk.revoke(LockKind.PERSON, "per_alice", log=BrokenLog())
    world.clock.advance(1)
    later = await submitted(world)
    await desk.recover()
    assert (await world.store.read(lambda tx: tx.requests.find(later.id))).state == "pending"


async def test_a_lock_that_also_revokes_does_so_through_an_outage(world: World, desk: Desk) -> None:
    grant = await active_grant(world)
    locked = await desk.lock(LockKind.SOURCE, "files", log=BrokenLog(), revoke=True)
    assert not locked.durable
    await desk.recover()
    assert await grant_state(world, grant) is GrantState.REVOKED
    assert await desk.recover() == 0


@pytest.mark.attack("RV-09")
@pytest.mark.parametrize("outage", [False, True])
async def test_a_revoked_token_is_dead_and_its_sessions_are_cut(world: World, desk: Desk, outage: bool) -> None:
    await give_token(world)
    world.log.on_committed(desk.watch.committed)
    await desk.revoke(LockKind.TOKEN, TOKEN, log=BrokenLog() if outage else None)
    assert desk.heard[0] == LockCut(on=LockOn(LockKind.TOKEN, TOKEN), text="token revoked", why=CloseWhy.REVOKED)
    if outage:
        assert await desk.recover() == 1
    stored = await world.store.read(lambda tx: tx.tokens.find(TOKEN))
    assert stored is not None
    assert stored.revoked_at is not None
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset({"token.revoked"})))
    assert [orjson.loads(row.content)["data"]["token"] for row in rows] == [TOKEN]


async def test_an_unknown_token_is_not_revoked(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.revoke(LockKind.TOKEN, "tok_2")


@pytest.mark.attack("RV-09")
def test_the_end_of_all_tokens_of_a_login_ends_its_sessions() -> None:
    for cause in ("password", "refresh_reused"):
        data = {"token": "tok_1", "subject": "sub_alice", "cause": cause}
        assert cut_of("token.revoked", {}, data) == SubjectCut(
            subject="sub_alice", text="token revoked", why=CloseWhy.REVOKED
        )


@pytest.mark.parametrize("kind", ["person", "principal", "token", "source", "request"])
async def test_a_stranger_cannot_find_out_what_exists_by_taking_it_away(world: World, desk: Desk, kind: str) -> None:
    await give_token(world)
    request = await submitted(world)
    names = {"person": "alice", "principal": "prn_alice", "token": TOKEN, "source": "files", "request": request.id}
    answers = []
    for name in (names[kind], "nobody"):
        with pytest.raises((NotFound, NotPermitted)) as refused:
            await desk.revoke(LockKind(kind), name, by="mallory", roles=())
        answers.append((type(refused.value), refused.value.message.replace(name, "…")))
    assert answers[0] == answers[1]


async def test_equal_revocations_are_one_act_in_the_journal_too(world: World, desk: Desk) -> None:
    grant = await active_grant(world)
    for _ in range(3):
        await desk.revoke(LockKind.GRANT, grant.id)
        await desk.lock(LockKind.SOURCE, "files")
    assert [record.kind for record in desk.journal.records()] == ["revoke", "lock"]
    assert await desk.recover() == 0


@pytest.mark.parametrize("kind", ["grant", "request", "token"])
async def test_nobody_lifts_a_lock_on_what_is_theirs(world: World, desk: Desk, kind: str) -> None:
    await give_token(world)
    grant = await active_grant(world)
    name = {"grant": grant.id, "request": grant.request, "token": TOKEN}[kind]
    locked = await desk.lock(LockKind(kind), name)
    alice = caller(principal("alice", roles=(Role.ADMIN,)), world.clock.now())
    ports = {key: value for key, value in world.ports.items() if key != "rules"}
    with pytest.raises(NotPermitted):
        await lift_lock(locked.lock.id, caller=alice, **ports)


# The journal itself.


@pytest.mark.attack("FT-02")
async def test_a_full_disk_leaves_no_torn_record_before_the_next_one(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = await active_grant(world)
    await desk.revoke(LockKind.GRANT, grant.id)
    whole = os.write

    def full(descriptor: int, content: Any) -> int:
        if len(content) < 40:
            raise OSError(28, "No space left on device")
        return whole(descriptor, bytes(content[: len(content) - 30]))

    with monkeypatch.context() as patched:
        patched.setattr("loglease.access.journal.os.write", full)
        with pytest.raises(JournalRefused, match="No space") as refused:
            await desk.journal.append(desk.journal.records()[0])
    assert (refused.value.code, refused.value.next_step is None) == ("store_unavailable", False)
    await desk.lock(LockKind.SOURCE, "files")
    again = Journal.open(desk.path)
    assert [record.kind for record in again.records()] == ["revoke", "lock"]


async def test_zeros_behind_the_last_record_are_a_torn_record(desk: Desk) -> None:
    await desk.lock(LockKind.SOURCE, "files")
    with desk.path.open("ab") as file:
        file.write(bytes(4_096))
    assert [record.on for record in Journal.open(desk.path).records()] == ["source:files"]


async def test_a_length_that_reaches_beyond_the_file_hides_no_records(desk: Desk) -> None:
    for name in ("a", "b", "c"):
        await desk.lock(LockKind.SOURCE, name)
    content = bytearray(desk.path.read_bytes())
    content[2] = 0xFF
    desk.path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="damaged at byte 0"):
        Journal.open(desk.path)


async def test_the_journal_is_closed_to_others_whatever_its_file_was(tmp_path: Path) -> None:
    path = tmp_path / "open.journal"
    path.write_bytes(b"")
    path.chmod(0o644)
    Journal.open(path)
    assert path.stat().st_mode & 0o777 == 0o600

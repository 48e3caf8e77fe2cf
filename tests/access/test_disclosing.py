"""One private text for one auditor, on the record before it is shown."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from tests.access.erasure import ERIN, fresh, ports
from tests.access.journey import submitted
from tests.fakes.world import World, caller, principal

from loglease.access.disclosing import Disclosed, disclose
from loglease.access.errors import NotFound, NotPermitted, ReasonRequired, StepUpRequired
from loglease.access.private_texts import texts_of
from loglease.audit.interface import AuditUnavailable
from loglease.model.principal import Role

OSCAR = principal("oscar", roles=(Role.AUDITOR,))
REASON = "canary-reason of alice"


@pytest.fixture
async def entry(world: World) -> str:
    await world.add(OSCAR)
    await submitted(world, reason=REASON)
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset({"request.submitted"})))
    return str(orjson.loads(rows[0].content)["id"])


async def opened(world: World, entry: str, path: str = "reason_c", **changes: Any) -> Disclosed:
    given = {"to": OSCAR.id, "purpose": "case 7", "caller": fresh(world, ERIN), "vault": world.vault}
    return await disclose(entry, path, **(ports(world) | given | changes))


@pytest.mark.answers_lost("disclosing.disclose")
async def test_salt_and_text_are_what_the_entry_commits_to(world: World, entry: str) -> None:
    found = await opened(world, entry)
    assert found.text.clear.decode() == REASON
    content = orjson.loads(found.entry.content)
    assert content["id"] == entry
    assert hashlib.sha256(found.text.salt + found.text.clear).hexdigest() == content["data"]["reason_c"]
    (record,) = await world.store.read(lambda tx: tx.entries.newest(1))
    written = orjson.loads(record.content)
    assert written["type"] == "log.disclosed"
    assert written["actor"] == ERIN.subject
    assert {name: written["data"][name] for name in ("field", "to")} == {"field": "reason_c", "to": OSCAR.subject}
    assert b"case 7" not in record.content
    assert await world.store.read(lambda tx: dict(texts_of(tx, found.record, world.vault))) == {"purpose_c": "case 7"}


async def test_nothing_is_shown_that_is_not_on_the_record(world: World, entry: str) -> None:
    class Full:
        """A log that takes nothing."""

        async def commit(self, work: Any, **_: Any) -> Any:
            await world.store.read(lambda tx: work(tx, world.clock.now()))
            raise AuditUnavailable("the disk is full")

    size = await world.store.read(lambda tx: tx.entries.size())
    with pytest.raises(AuditUnavailable):
        await opened(world, entry, log=Full())
    assert await world.store.read(lambda tx: tx.entries.size()) == size


async def test_who_discloses_what_to_whom(world: World, entry: str) -> None:
    with pytest.raises(NotPermitted):
        await opened(world, entry, caller=fresh(world, OSCAR))
    with pytest.raises(NotPermitted, match="no auditor"):
        await opened(world, entry, to=principal("bob").id)
    with pytest.raises(NotFound):
        await opened(world, entry, to="prn_nobody")
    with pytest.raises(NotFound):
        await opened(world, entry, "comment_c")
    with pytest.raises(NotFound):
        await opened(world, "ent_nothing")
    with pytest.raises(ReasonRequired):
        await opened(world, entry, purpose=" ")
    stale = caller(ERIN, world.clock.now())
    world.clock.advance(16 * 60)
    with pytest.raises(StepUpRequired):
        await opened(world, entry, caller=stale)
    rows = await world.store.read(lambda tx: tx.entries.since(0, types=frozenset({"log.disclosed"})))
    assert rows == []

"""The acts around erasing in a few calls: two administrators, one who proposes and one who approves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.fakes.world import World, caller, principal

from loglease.access.caller import Caller
from loglease.access.erasing import propose_erasure
from loglease.access.pruning import Retention
from loglease.access.review_act import review_act
from loglease.model.act import Act
from loglease.model.principal import Principal, Role
from loglease.model.review import Verdict

ERIN = principal("erin", roles=(Role.ADMIN,))
FRANK = principal("frank", roles=(Role.ADMIN,))
FOREVER = Retention(None)


def fresh(world: World, who: Principal) -> Caller:
    return caller(who, world.clock.now())


def ports(world: World) -> dict[str, Any]:
    return {"log": world.log, "new_id": world.new_id, "random": world.random}


async def proposed(world: World, *, by: Principal = ERIN, comment: str = "she asked for it", **what: Any) -> Act:
    return await propose_erasure(**what, comment=comment, caller=fresh(world, by), vault=world.vault, **ports(world))


async def decided(
    world: World,
    act: Act,
    *,
    by: Principal = FRANK,
    verdict: Verdict = Verdict.APPROVE,
    retention: Retention = FOREVER,
    **changes: Any,
) -> Act:
    given = {"digest": act.digest, "comment": "seen", "caller": fresh(world, by), "verdict": verdict}
    return await review_act(act.id, **(given | changes), retention=retention, vault=world.vault, **ports(world))


async def disabled(world: World, account: str, **changes: Any) -> Principal:
    """Return somebody whose account works no more."""
    gone = replace(principal(account, **changes), enabled=False)
    await world.change(gone)
    return gone


def bytes_of(world: World) -> bytes:
    """Return everything in the files of the data directory but the key."""
    return b"\n".join(path.read_bytes() for path in sorted(Path(world.directory).rglob("*")) if path.is_file())

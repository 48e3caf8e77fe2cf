"""A log of which the oldest part is gone: published, deleted from rows and files, and whole after a restart."""

from __future__ import annotations

from pathlib import Path

from tests.api.world import ShiftedClock, settings_in

from loglease.access.pruning import BUNDLE, DELETED_AFTER_S, delete_pruned
from loglease.audit.interface import SYSTEM, Draft, Recorded
from loglease.audit.tiles import ENTRIES, Tile
from loglease.model.ids import ENTRY, EntryId
from loglease.model.instant import Instant
from loglease.server.services import Services
from loglease.server.wiring import build, close
from loglease.store.interface import Transaction

PRUNED = 2 * BUNDLE


async def filled(services: Services, count: int) -> None:
    """Record so many entries in one transaction."""

    def entry(kind: str, data: dict[str, object]) -> Draft:
        return Draft(id=EntryId(services.new_id(ENTRY)), type=kind, actor=SYSTEM, data=data)  # type: ignore[arg-type]

    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        return Recorded(None, tuple(entry("target.frozen", {"target": f"t{number}"}) for number in range(count)))

    await services.log.commit(work, limit_s=60)


async def pruned(services: Services) -> None:
    """Prune two bundles, as an approved act does."""

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        tx.prunings.raise_min_index(PRUNED)
        data = {"min_index": PRUNED, "before_at": "2026-01-01T00:00:00.000000Z", "approved_by": "sub_somebody"}
        entry = Draft(id=EntryId(services.new_id(ENTRY)), type="log.pruned", actor=SYSTEM, data=data)
        return Recorded(None, (entry,))

    await services.log.commit(work)


async def test_a_pruned_log_is_whole_after_a_restart(tmp_path: Path) -> None:
    settings, clock = settings_in(tmp_path), ShiftedClock()
    tile = settings.data_dir / "log"
    services = await build(settings, clock=clock)
    await filled(services, 1_000)
    await close(services)  # which signs and publishes
    lowest = [Tile(level, number, BUNDLE).path for level in (ENTRIES, 0) for number in range(3)]
    assert all((tile / path).is_file() for path in lowest)

    services = await build(settings, clock=clock)
    await pruned(services)
    assert await services.publishing.forget(await delete_pruned(log=services.log)) == 0, "a month later"
    await close(services)

    clock.later_s += DELETED_AFTER_S + 60
    services = await build(settings, clock=clock)
    assert await delete_pruned(log=services.log) == PRUNED
    assert await services.publishing.forget(PRUNED) == 4
    assert [path for path in lowest if not (tile / path).is_file()] == [
        Tile(level, number, BUNDLE).path for level in (ENTRIES, 0) for number in range(2)
    ]
    await filled(services, 400)
    await services.publishing.check_all()
    await close(services)

    services = await build(settings, clock=clock)
    await services.publishing.check_all()
    assert await services.store.read(lambda tx: tx.entries.since(0, limit=1)[0].index) == PRUNED
    assert all((tile / Tile(1, 0, width).path).is_file() for width in (5,)), "upper tiles stay"
    await close(services)

"""Taking new rules into force while the server runs: packs and profiles, and the policies that name them.

Everything is read and proved beside what is in force, recorded, and put in its place in one step; whatever goes wrong
before that leaves the last good set. Running sessions keep theirs, unless a guardrail or a policy ends them.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from loglease.access.recheck_grants import recheck_grants
from loglease.access.rules import Rules
from loglease.audit.interface import SYSTEM, AuditUnavailable, Draft, Recorded
from loglease.model.errors import LogLeaseError
from loglease.model.ids import ENTRY, EntryId
from loglease.model.instant import Instant
from loglease.redaction import KEY_BYTES, Keys, Library
from loglease.server.engines import prove
from loglease.server.lifecycle import policy_entry, revision_of, rules_entry
from loglease.server.policies import policy_directory, policy_files, rules_of
from loglease.server.redaction_rules import library_of, require_same_versions
from loglease.server.services import Services
from loglease.store.interface import StoreUnavailable, Transaction

_log: Final = structlog.get_logger("loglease.reload")
_MAX_TOLD: Final = 300
_RECHECK_AGAIN_S: Final = 0.5


async def reload_rules(services: Services) -> bool:
    """Read packs, profiles and policies again; return whether they are in force now.

    A set that is refused is logged, recorded as `policy.refused` and shown by the health check until a good one comes.
    """
    try:
        library, rules = await _read(services)
    except LogLeaseError as error:
        await _refused(services, error)
        return False
    await _taken(services, library, rules)
    return True


async def _read(services: Services) -> tuple[Library, Rules]:
    settings = services.settings
    library = await asyncio.to_thread(library_of, settings)
    await services.store.read(lambda tx: require_same_versions(tx, library))
    keys = Keys.derived(services.pseudonym_key, salt=services.random(KEY_BYTES), grant_id="self-test")
    await asyncio.to_thread(prove, services.engines, library, keys)
    files = await asyncio.to_thread(policy_files, policy_directory(settings), services.sources)
    rules = await asyncio.to_thread(rules_of, files, services.sources, library=library, revision=0, settings=settings)
    revision = await revision_of(services.store, rules.bundle_sha256)
    return library, replace(rules, bundle=replace(rules.bundle, revision=revision))


async def _taken(services: Services, library: Library, rules: Rules) -> None:
    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        entries = (
            *rules_entry(tx, library, services.new_id),
            *policy_entry(tx, rules, services.new_id),
        )
        return Recorded(None, entries)

    await services.log.commit(work, urgent=True)
    before = services.rules.current
    # In one step of the event loop: profiles first, since policies name them.
    services.library.current = library
    services.rules.current = rules
    services.standing.reload_fault = None
    _log.info("rules_loaded", packs=len(library.packs), profiles=len(library.profiles), revision=rules.revision)
    # What was opened under the rules before waits in the same queue, in front of this.
    while True:
        try:
            await recheck_grants(before, rules, log=services.log, new_id=services.new_id, random=services.random)
        except (AuditUnavailable, StoreUnavailable) as error:
            _log.warning("grants_not_rechecked", code=error.code)
            await asyncio.sleep(_RECHECK_AGAIN_S)
        else:
            return


async def _refused(services: Services, error: LogLeaseError) -> None:
    first = error.faults[0] if error.faults else None
    told = f"{error.message} {first.pointer}: {first.detail}" if first is not None else error.message
    services.standing.reload_fault = told[:_MAX_TOLD]
    _log.warning("rules_refused", code=error.code, detail=told[:_MAX_TOLD])
    data = {"error": error.code}
    entry = Draft(id=EntryId(services.new_id(ENTRY)), type="policy.refused", actor=SYSTEM, data=data)
    await services.log.commit(lambda _tx, _now: Recorded(None, (entry,)), urgent=True)

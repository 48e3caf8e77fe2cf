"""Taking new rules into force while the server runs: packs and profiles, and the policies that name them.

Everything is read and proved beside what is in force, recorded, and put in its place in one step; whatever goes wrong
before that leaves the last good set. Running sessions keep theirs, unless a guardrail or a policy ends them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

from loglease.access.recheck_grants import recheck_grants
from loglease.access.records import Data
from loglease.access.rules import Rules
from loglease.audit.interface import SYSTEM, AuditUnavailable, Draft, Recorded
from loglease.model.errors import LogLeaseError
from loglease.model.ids import ENTRY, EntryId
from loglease.model.instant import Instant
from loglease.redaction import KEY_BYTES, Keys, Library
from loglease.server.bundles import BundleRefused, Proved, accepted, proved
from loglease.server.engines import prove
from loglease.server.facts.providers import closed
from loglease.server.lifecycle import rules_entry
from loglease.server.policies import PolicyInvalid
from loglease.server.redaction_rules import library_of, require_same_versions
from loglease.server.services import Services
from loglease.server.settings import Settings
from loglease.store.interface import StoreUnavailable, Transaction

_log: Final = structlog.get_logger("loglease.reload")
_MAX_TOLD: Final = 300
_MAX_PROBLEMS: Final = 20
_NEVER: Final = 1 << 30
_RECHECK_AGAIN_S: Final = 0.5


async def reload_rules(services: Services) -> bool:
    """Read packs, profiles, policies and providers of facts again; return whether they are in force now.

    One call waits for the other, so what was read first is not taken last. A set that is refused is logged, recorded as
    `policy.refused` and shown by the health check until a good one comes.
    """
    async with services.standing.reloading:
        try:
            settings = services.settings.with_facts_of(await asyncio.to_thread(services.settings.reread))
            library, policy = await _read(services, settings)
            providers = await services.facts.prepared(settings)
            await _recorded(services, library, policy)
        except LogLeaseError as error:
            await _refused(services, error)
            return False
        before = services.fact_providers
        # In the same step of the event loop as the rules that read what they say.
        services.facts.put(providers)
        found = policy.candidate
        await take_into_force(services, library, policy.rules, documents=found.documents, signers=found.people)
        await closed(before)
        return True


@contextmanager
def no_full_collection() -> Iterator[None]:
    """Keep the collector from walking through everything while documents are read: no thread runs meanwhile.

    Reading them leaves no cycles, and a bundle has none, so counting references is enough for both: a test of `load`
    sees to that. What is there afterwards is never walked through again, like what the start made.
    """
    first, second, third = gc.get_threshold()
    gc.set_threshold(first, second, _NEVER)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(first, second, third)


def let_go(parts: list[object]) -> None:
    """Free the documents of a bundle one after the other, so that other threads run in between."""
    while parts:
        parts.pop()


async def _read(services: Services, settings: Settings) -> tuple[Library, Proved]:
    library = await asyncio.to_thread(library_of, settings)
    await services.store.read(lambda tx: require_same_versions(tx, library))
    keys = Keys.derived(services.pseudonym_key, salt=services.random(KEY_BYTES), grant_id="self-test")
    await asyncio.to_thread(prove, services.engines, library, keys)
    with no_full_collection():
        return library, await proved(settings, services.store, services.sources, library, services.clock)


async def _recorded(services: Services, library: Library, policy: Proved) -> None:
    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        entries = (
            *rules_entry(tx, library, services.new_id),
            *accepted(tx, policy, now, services.new_id),
        )
        return Recorded(None, entries)

    await services.log.commit(work, urgent=True)


async def take_into_force(
    services: Services,
    library: Library,
    rules: Rules,
    *,
    documents: Mapping[str, bytes],
    signers: tuple[str, ...] = (),
) -> None:
    """Put rules in the place of those in force, and look again at the grants in use.

    To be called by whoever holds `Standing.reloading`.

    Args:
        documents: what the rules were made of, by path.
        signers: who signed that.
    """
    before = services.rules.current
    # In one step of the event loop: profiles first, since policies name them.
    services.library.current = library
    services.rules.current = rules
    standing = services.standing
    standing.reload_fault = standing.policy_fault = None
    standing.policy_problems, standing.documents, standing.signers = (), documents, signers
    _log.info("rules_loaded", packs=len(library.packs), profiles=len(library.profiles), revision=rules.revision)
    # What was opened under the rules before waits in the same queue, in front of this.
    while True:
        try:
            await recheck_grants(before, rules, log=services.log, new_id=services.new_id, random=services.random)
        except (AuditUnavailable, StoreUnavailable) as error:
            _log.warning("grants_not_rechecked", code=error.code)
            await asyncio.sleep(_RECHECK_AGAIN_S)
        else:
            break
    parts: list[object] = [*before.bundle.policies, *before.bundle.guardrails, *before.bundle.tests]
    del before
    await asyncio.to_thread(let_go, parts)


async def _refused(services: Services, error: LogLeaseError) -> None:
    first = error.faults[0] if error.faults else None
    told = f"{error.message} {first.pointer}: {first.detail}" if first is not None else error.message
    told = told[:_MAX_TOLD]
    data: Data = {"error": error.code}
    if isinstance(error, PolicyInvalid):
        services.standing.policy_fault = told
        services.standing.policy_problems = error.rendered[:_MAX_PROBLEMS]
    else:
        services.standing.reload_fault = told
    if isinstance(error, BundleRefused):
        data = {"error": error.faults[0].code}
        if error.revision is not None:
            data["revision"] = error.revision
    _log.warning("rules_refused", code=data["error"], detail=told)
    entry = Draft(id=EntryId(services.new_id(ENTRY)), type="policy.refused", actor=SYSTEM, data=data)
    await services.log.commit(lambda _tx, _now: Recorded(None, (entry,)), urgent=True)

"""Policy that lives in the database: read at the start, changed by proposals, taken into force when one is accepted.

The database says what is in force. A process looks there when it has accepted a proposal itself, and each second, so
that an answer that got lost on the way leaves nobody with an old policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from loglease.access.caller import Caller
from loglease.access.once import Once
from loglease.access.policy_changes import MANAGED, require_may_look, require_may_propose, visible_proposal
from loglease.access.propose_policy import propose_policy
from loglease.access.review_policy import PolicyReviewed, review_policy
from loglease.access.rules import Rules
from loglease.model.errors import LogLeaseError
from loglease.model.ids import ProposalId
from loglease.model.proposal import Proposal
from loglease.model.review import Verdict
from loglease.policy.difference import Difference, differences
from loglease.server.bundles import encoded, require_passing
from loglease.server.policies import PolicyInvalid, rules_of
from loglease.server.reload import no_full_collection, take_into_force
from loglease.server.services import Services
from loglease.server.settings import Settings

FOLLOW_EVERY_S: Final = 1.0


class PolicyNotManaged(LogLeaseError):
    """This server takes its policy from elsewhere than its database."""

    code = "policy_not_managed"

    def __init__(self) -> None:
        super().__init__(
            "This server does not take its policy from proposals.",
            next_step='Set trust = "managed" under [policy], or change the documents where they are.',
        )


def is_managed(settings: Settings) -> bool:
    """Say whether policy lives in the database."""
    return settings.policy.trust == MANAGED


def require_managed(settings: Settings) -> None:
    """Refuse what works only where policy lives in the database.

    Raises:
        PolicyNotManaged: it does not.
    """
    if not is_managed(settings):
        raise PolicyNotManaged


async def loaded(services: Services, files: Mapping[str, str], *, named: str | None = None) -> Rules:
    """Load documents against what this server has, as the next revision.

    Args:
        named: the field of a call that has them, where there are several.

    Raises:
        PolicyInvalid: they have errors, with one fault for each.
    """
    library, revision = services.library.current, services.rules.current.revision + 1

    def work() -> Rules:
        return rules_of(
            encoded(files), services.sources, library=library, revision=revision, settings=services.settings
        )

    try:
        async with services.standing.trying:
            return await asyncio.to_thread(work)
    except PolicyInvalid as error:
        if named is not None:
            error.message = f"In {named}: {error.message}"
        raise


async def passing(services: Services, files: Mapping[str, str]) -> Rules:
    """Load documents and run their own tests.

    Raises:
        PolicyInvalid: as `loaded`.
        BundleRefused: a test fails, or they take too long.
    """
    rules = await loaded(services, files)
    async with services.standing.trying:
        await asyncio.to_thread(require_passing, rules, None)
    return rules


async def compared(services: Services, before: Rules, after: Rules) -> tuple[Difference, ...]:
    """Return what is different between the documents of two sets of rules."""
    async with services.standing.trying:
        return await asyncio.to_thread(differences, before.bundle, after.bundle)


async def propose(
    services: Services, files: Mapping[str, str], *, comment: str, caller: Caller, once: Once | None = None
) -> Proposal:
    """Load, test and propose documents.

    Raises:
        PolicyNotManaged: policy is not changed this way here.
        PolicyInvalid: see `passing`.
        LogLeaseError: see `propose_policy`.
    """
    # Loading and testing takes a while, so it is done for those alone who may propose.
    await services.store.read(lambda tx: require_may_propose(tx, caller))
    require_managed(services.settings)
    return await propose_policy(
        files,
        comment=comment,
        candidate=await passing(services, files),
        caller=caller,
        log=services.log,
        rules=services.rules.current,
        new_id=services.new_id,
        random=services.random,
        once=once,
    )


async def review(
    services: Services,
    proposal_id: ProposalId,
    *,
    verdict: Verdict,
    digest: str | None,
    comment: str,
    caller: Caller,
) -> PolicyReviewed:
    """Give a review; with the last approval the new policy is in force here when this returns.

    Raises:
        PolicyNotManaged: policy is not changed this way here.
        PolicyInvalid: the documents do not load any more, or their tests fail now.
        LogLeaseError: see `review_policy`.
    """
    require_may_look(caller)
    require_managed(services.settings)
    loads_as = None
    if verdict is Verdict.APPROVE:
        proposal = await services.store.read(lambda tx: visible_proposal(tx, caller, proposal_id))
        loads_as = (await passing(services, proposal.files)).bundle_sha256
    done = await review_policy(
        proposal_id,
        verdict=verdict,
        digest=digest,
        comment=comment,
        loads_as=loads_as,
        caller=caller,
        log=services.log,
        new_id=services.new_id,
        random=services.random,
    )
    await follow(services)
    return done


async def follow(services: Services) -> None:
    """Take into force what the database says, if that is newer than what is in force here.

    Raises:
        PolicyInvalid: the stored documents do not load here.
    """
    if not is_managed(services.settings):
        return
    async with services.standing.reloading:
        stored = await services.store.read(lambda tx: tx.proposals.bundle())
        if stored is None or stored.revision <= services.rules.current.revision:
            return
        library = services.library.current

        documents = encoded(stored.files)

        def work() -> Rules:
            return rules_of(
                documents,
                services.sources,
                library=library,
                revision=stored.revision,
                settings=services.settings,
            )

        with no_full_collection():
            rules = await asyncio.to_thread(work)
        await take_into_force(services, library, rules, documents=documents)

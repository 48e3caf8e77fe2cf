"""What is to be sent now, with all that a message needs, and what became of it. Sending itself is done elsewhere.

What a message says is read when it is sent: a request that is decided by then asks nobody to decide it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from loglease.access.acts import who_may_approve
from loglease.access.errors import NotFound
from loglease.access.notices import CHANNEL, open_stages
from loglease.access.policy_changes import awaited
from loglease.access.rules import Rules
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.grant import Grant
from loglease.model.ids import GrantId, NoticeId, PrincipalId, ProposalId, RequestId
from loglease.model.instant import Instant, after
from loglease.model.notice import Notice, NoticeState, tried_anew
from loglease.model.principal import Principal
from loglease.model.proposal import Proposal
from loglease.model.review import Review
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store

TO_DECIDE: Final = frozenset(
    {"request.submitted", "request.stage_opened", "request.reminder", "request.escalated"},
)
"""Events that ask people to decide; such a message is dropped once its reader cannot bring the request forward."""
TO_REVIEW: Final = frozenset({"policy.proposed"})
"""Events that ask people to review a proposal of policy; dropped once their reader cannot, or has."""
KEPT_S: Final = 30 * 86_400
CLAIMED_S: Final = 120
"""For how long no other process sends what one has taken to send; then that one is taken for dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notice with what it is about, as of now.

    Attributes:
        person: the recipient, if it is one.
        entries: how many entries the audit log has, and the leaf hash of the last one in hex.
    """

    notice: Notice
    now: Instant
    person: Principal | None = None
    request: AccessRequest | None = None
    requester: Principal | None = None
    reviews: Sequence[Review] = ()
    grant: Grant | None = None
    proposal: Proposal | None = None
    author: Principal | None = None
    entries: tuple[int, str] = (0, "")


def due(tx: Transaction, channel: str, rules: Rules, now: Instant, limit: int) -> list[Delivery | Notice]:
    """Return what is to be sent on a channel, oldest first; bare notices are no longer true and are to be dropped."""
    found = tx.outbox.due(channel, now, limit)
    return [_delivery(tx, notice, now) if _is_true(tx, notice, rules, now) else notice for notice in found]


def notice_of(one: Delivery | Notice) -> Notice:
    """Return the notice itself of what is due."""
    return one if isinstance(one, Notice) else one.notice


async def claim(
    channel: str, *, store: Store, log: EntryLog[Transaction], rules: Rules, now: Instant, limit: int
) -> list[Delivery | Notice]:
    """Take what is due, so that no other process sends it; unless it is settled, it is due again after a while.

    Raises:
        AuditUnavailable, StoreUnavailable: the database failed.
    """
    if not await store.read(lambda tx: tx.outbox.due(channel, now, 1)):
        return []

    def work(tx: Transaction, now: Instant) -> Recorded[list[Delivery | Notice]]:
        found = due(tx, channel, rules, now, limit)
        for one in found:
            tx.outbox.update(replace(notice_of(one), next_at=after(now, CLAIMED_S)))
        return Recorded(found)

    return await log.commit(work)


def _is_true(tx: Transaction, notice: Notice, rules: Rules, now: Instant) -> bool:
    if notice.recipient.startswith(CHANNEL):
        return True
    person = tx.principals.find(PrincipalId(notice.recipient))
    if person is None or not person.enabled:
        return False
    if notice.event in TO_REVIEW:
        proposal = _proposal(tx, notice)
        return proposal is not None and person.id in awaited(tx, proposal)
    if notice.event == "act.proposed":
        act = tx.acts.find(ProposalId(notice.data["proposal"]))
        return act is not None and person.id in who_may_approve(tx, act, now)
    if notice.event not in TO_DECIDE:
        return True
    request = tx.requests.find(RequestId(notice.about))
    if request is None or request.state_at(now) is not RequestState.PENDING:
        return False
    if "every_s" in notice.data and now >= after(notice.at, int(notice.data["every_s"])):
        return False  # the next reminder is due already
    return any(person.id in one.people for one in open_stages(tx, request, rules, now).values())


def _delivery(tx: Transaction, notice: Notice, now: Instant) -> Delivery:
    request = tx.requests.find(RequestId(notice.about)) if notice.about else None
    named = tx.grants.find(GrantId(notice.data["grant"])) if "grant" in notice.data else None
    proposal = _proposal(tx, notice)
    newest = tx.entries.newest(1)
    return Delivery(
        notice=notice,
        now=now,
        person=None if notice.recipient.startswith(CHANNEL) else tx.principals.find(PrincipalId(notice.recipient)),
        request=request,
        requester=None if request is None else tx.principals.find(request.requester),
        reviews=() if request is None else tx.reviews.of_request(request.id),
        grant=named,
        proposal=proposal,
        author=None if proposal is None else tx.principals.find(proposal.author),
        entries=(newest[-1].index + 1, newest[-1].leaf.hex()) if newest else (0, ""),
    )


def _proposal(tx: Transaction, notice: Notice) -> Proposal | None:
    return tx.proposals.find(ProposalId(notice.data["proposal"])) if "proposal" in notice.data else None


async def settle(notices: Sequence[Notice], *, log: EntryLog[Transaction]) -> None:
    """Store what became of notices."""

    def work(tx: Transaction, _now: Instant) -> Recorded[None]:
        for one in notices:
            tx.outbox.update(one)
        return Recorded(None)

    await log.commit(work)


async def retry_notices(notice_id: NoticeId | None, *, log: EntryLog[Transaction]) -> int:
    """Try what was given up again, one notice or all of them; return how many.

    Raises:
        NotFound: there is no such notice that was given up.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        if notice_id is None:
            dead = tx.outbox.page(state=NoticeState.DEAD, limit=1_000)
        else:
            one = tx.outbox.find(notice_id)
            if one is None or one.state is not NoticeState.DEAD:
                raise NotFound(f"No notice {notice_id} was given up.", next_step="loglease admin notify list --dead")
            dead = [one]
        for one in dead:
            tx.outbox.update(tried_anew(one, now))
        return Recorded(len(dead))

    return await log.commit(work)


async def forget_notices(*, log: EntryLog[Transaction]) -> int:
    """Forget notices that were sent or dropped and are a month old; return how many."""
    return await log.commit(lambda tx, now: Recorded(tx.outbox.delete_done(after(now, -KEPT_S))))

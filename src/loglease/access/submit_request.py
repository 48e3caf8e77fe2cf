"""Submit an access request: decide by policy, fix the terms, bind them to a digest, record."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import orjson

from loglease.access.activate_grant import activated
from loglease.access.approval import approved, bounded
from loglease.access.binding import require_known_network, require_network
from loglease.access.caller import Caller
from loglease.access.commitments import Random, first_commitments
from loglease.access.errors import OfferChanged, TooManyPending
from loglease.access.extension_draft import ExtensionDraft
from loglease.access.extensions import expired_before
from loglease.access.knowing import commit_knowing
from loglease.access.once import Once
from loglease.access.permissions import require_unlocked
from loglease.access.records import offer_data, refs, terms_bytes, wish_data
from loglease.access.reveal_draft import RevealDraft
from loglease.access.rules import Allowed, Rules, refused
from loglease.access.standing import closed_to
from loglease.audit.interface import AuditUnavailable, Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest, RequestState, Wish
from loglease.model.digest import sha256_hex
from loglease.model.errors import InvalidField, LogLeaseError, ScopeInvalid
from loglease.model.ids import ENTRY, REQUEST, EntryId, NewId, RequestId
from loglease.model.instant import Instant, after
from loglease.model.offer import Offer, Outcome, Plan
from loglease.model.principal import Kind
from loglease.model.rights import Right
from loglease.model.wish import WishDraft
from loglease.policy.committed_records import committed_record
from loglease.policy.decision_records import decision_data
from loglease.policy.entry_shapes import profiles_of
from loglease.policy.fact_records import facts_data
from loglease.policy.trace import Decision
from loglease.store.interface import StoreUnavailable, Transaction

MAX_PENDING = {Kind.HUMAN: 10, Kind.AGENT: 2, Kind.SERVICE: 2}
MAX_TERMS_BYTES = 12_288
AnyDraft = WishDraft | RevealDraft | ExtensionDraft
"""What people ask for: to read lines, to see one value of a line, or more time."""


async def submit_request(
    wish: AnyDraft,
    *,
    caller: Caller,
    offer: int | None,
    log: EntryLog[Transaction],
    rules: Rules,
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> AccessRequest:
    """Submit a wish under one of its offers, the best where `offer` is None; an automatic route grants at once.

    Raises:
        PolicyDenied, GuardrailDenied, NoEligibleApprover, ReasonRequired: what policy says, with what would help.
        NotFound, GrantEnded, GrantNotActive, InvalidField: see `RevealDraft.at`. Emergencies have `break_glass`.
        ExtensionNotAllowed, ExtensionExists, NarrowingNotSubset: see `ExtensionDraft.at`.
        OfferChanged: the numbered offer is not among those that are made now.
        TooManyPending: undecided requests have to be decided or cancelled first.
        Locked: a lock applies to the caller or the source.
    """
    caller.require(Right.REQUESTS_WRITE)
    if isinstance(wish, WishDraft) and wish.break_glass:
        raise InvalidField("An emergency is no ordinary request.", next_step="Ask without it, or break the glass.")
    submission = Submission(wish=wish, caller=caller, offer=offer, rules=rules, new_id=new_id, random=random, once=once)
    return await submission.commit(log)


class Denied(Exception):
    """Raised out of a transaction with a decision that denies; nothing of it was written."""

    def __init__(self, error: LogLeaseError, document: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.document = document


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One wish on its way in; `work` runs inside one transaction of the log."""

    wish: AnyDraft
    caller: Caller
    offer: int | None
    rules: Rules
    new_id: NewId
    random: Random
    once: Once | None

    async def commit(self, log: EntryLog[Transaction]) -> AccessRequest:
        """Commit it, with the facts that policy needs.

        Raises:
            LogLeaseError: as `work`.
        """
        try:
            return await commit_knowing(
                lambda tx, now, rules: replace(self, rules=rules).work(tx, now),
                caller=self.caller,
                log=log,
                rules=self.rules,
            )
        except Denied as denied:
            await _keep_denial(denied, log)
            raise denied.error from None

    def work(self, tx: Transaction, now: Instant) -> Recorded[AccessRequest]:
        """Decide, fix the terms, store and record; what needs no approval is granted here.

        Raises:
            LogLeaseError: as `submit_request` and `break_glass`.
        """
        caller, once = self.caller, self.once
        if once is not None and (created := once.created(tx, now)) is not None:
            found = tx.requests.find(RequestId(created))
            if found is not None:
                return Recorded(found)
        asked = wished(self.wish, tx, caller, now, self.rules)
        require_unlocked(tx, caller, now, source=asked.scopes[0].source)
        if not asked.break_glass:
            _require_room(tx, caller, now)
        if asked.reveal is not None and (parent := tx.grants.find(asked.reveal.grant)) is not None:
            require_network(parent, self.rules)
        directory = tx.principals.directory()
        closed = closed_to(tx, caller.principal, directory, self.rules, now)
        decision = self.rules.decide(asked, caller.principal, directory, now, closed=closed)
        if decision.refusal is not None:
            if asked.reveal is not None:
                raise refused(decision.refusal)
            raise Denied(refused(decision.refusal), self._document(decision, closed))
        taken = _taken(decision.offers, self.offer)
        require_known_network(taken, self.rules)
        if taken.outcome is Outcome.BREAK_GLASS:
            self.rules.require_step_up(taken, caller, now)
        request, entries = self._request(tx, now, asked, taken, decision, closed)
        if asked.reveal is None:
            tx.decisions.insert(now, self._document(decision, closed, request.id, taken))
        if once is not None:
            once.remember(tx, request.id, now)
        return Recorded(request, entries)

    def _document(
        self, decision: Decision, closed: str | None, request: RequestId | None = None, taken: Offer | None = None
    ) -> str:
        data = decision_data(decision, request=request, taken=taken, closed=closed, zones=self.rules.zones)
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()

    def _request(
        self, tx: Transaction, now: Instant, wish: Wish, offer: Offer, decision: Decision, closed: str | None
    ) -> tuple[AccessRequest, tuple[Draft, ...]]:
        principal, new_id, rules = self.caller.principal, self.new_id, self.rules
        request_id = RequestId(new_id(REQUEST))
        commitments = first_commitments(self.random)
        expires_at = bounded(tx, wish.reveal, after(now, offer.shape.review_within_s))
        wish_part = wish_data(wish, offer, commitments, expires_at, rules.network)
        wish_private = commitments.taken()
        offer_part = offer_data(
            offer,
            wish.reveal,
            commitments,
            profiles_of(rules.profiles, rules.profile_digests),
            committed_record(
                decision,
                request=request_id,
                taken=offer,
                closed=closed,
                zones=rules.zones,
                profiles=rules.profiles,
                digests=rules.profile_digests,
            ),
        )
        offer_private = commitments.taken()
        bound = terms_bytes(offer=offer_part, request=request_id, subject=principal.subject, wish=wish_part)
        if len(bound) > MAX_TERMS_BYTES:
            raise ScopeInvalid("The request names too many label values to be recorded.", next_step="Use a prefix.")
        request = AccessRequest(
            id=request_id,
            requester=principal.id,
            subject=principal.subject,
            persons=principal.persons,
            wish=wish,
            offer=offer,
            eligible=rules.eligible(
                _all_plans(offer), requester=principal, directory=tx.principals.directory(), now=now
            ),
            terms_bytes=bound,
            digest=sha256_hex(bound),
            private=commitments.of_terms,
            submitted_at=now,
            expires_at=expires_at,
            facts=orjson.dumps(facts_data(decision.facts)).decode(),
            network=rules.network,
        )
        ref = refs(request=request_id)
        submitted = Draft(
            id=EntryId(new_id(ENTRY)),
            type="request.submitted",
            actor=principal.subject,
            ref=ref,
            data={**wish_part, "digest_sha256": request.digest, "channel": str(self.caller.channel)},
            private=wish_private,
        )
        made = Draft(
            id=EntryId(new_id(ENTRY)),
            type="offer.made",
            actor=principal.subject,
            ref=ref,
            data=offer_part,
            private=offer_private,
        )
        earlier = () if wish.extends is None else expired_before(tx, wish.extends, now, new_id=new_id)
        tx.requests.insert(request)
        if offer.outcome is Outcome.REVIEW:
            return request, (*earlier, submitted, made)
        allowed = Allowed(
            terms=offer.terms,
            network_bound=offer.shape.network_bound,
            pseudonyms=offer.shape.pseudonyms,
            ack=offer.shape.ack,
        )
        request, grant, entries = approved(
            tx, request, (), by=None, now=now, allowed=allowed, rules=rules, new_id=new_id, random=self.random
        )
        if offer.outcome is Outcome.BREAK_GLASS:
            _, started = activated(tx, grant, self.caller.principal, now, rules=rules, new_id=new_id)
            entries = (*entries, *started)
        return request, (*earlier, submitted, made, *entries)


async def _keep_denial(denied: Denied, log: EntryLog[Transaction]) -> None:
    """Keep a decision that said no, if that can be; the no stands without."""

    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        tx.decisions.insert(now, denied.document)
        return Recorded(None)

    with suppress(AuditUnavailable, StoreUnavailable):
        await log.commit(work)


def wished(wish: AnyDraft, tx: Transaction, caller: Caller, now: Instant, rules: Rules) -> Wish:
    """Return a wish as of `now`.

    Raises:
        LogLeaseError: see `WishDraft.at`, `RevealDraft.at` and `ExtensionDraft.at`.
    """
    if isinstance(wish, ExtensionDraft):
        return wish.at(tx, caller, now, rules)
    return wish.at(tx, caller, now) if isinstance(wish, RevealDraft) else wish.at(now)


def _require_room(tx: Transaction, caller: Caller, now: Instant) -> None:
    pending = [one for one in tx.requests.pending_of(caller.principal.id) if one.state_at(now) is RequestState.PENDING]
    most = MAX_PENDING[caller.principal.kind]
    if len(pending) >= most:
        raise TooManyPending(
            f"{len(pending)} of your requests wait for a decision; {most} may.",
            next_step=f"loglease cancel {pending[0].id}",
        )


def _taken(offers: tuple[Offer, ...], number: int | None) -> Offer:
    """Return the wanted offer, the best one where none is named."""
    if number is None:
        return offers[0]
    for one in offers:
        if one.number == number:
            return one
    raise OfferChanged(
        f"There is no offer {number} any more; {len(offers)} are made now.", next_step="Look at the offers again."
    )


def _all_plans(offer: Offer) -> tuple[Plan, ...]:
    """Return the plans of an offer with those of its after-review: whoever does that may see the request."""
    return offer.plans if offer.after is None else (*offer.plans, *offer.after.demanded(late=True))

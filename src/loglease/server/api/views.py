"""From the model's values to resources. Everything here runs inside one reading transaction."""

from __future__ import annotations

from collections.abc import Sequence

from loglease.access.lock_locally import OPERATOR
from loglease.access.queries import GrantView, RequestView
from loglease.model.hold import Lock
from loglease.model.ids import PrincipalId
from loglease.model.instant import EventWindow, Instant, instant_text
from loglease.model.limits import Limits
from loglease.model.offer import Offer, Plan, Terms, need_of
from loglease.model.principal import Kind, Principal
from loglease.model.reveal import Reveal
from loglease.model.review import Review, Verdict
from loglease.model.scope import Scope
from loglease.model.selector_text import selector_text
from loglease.model.session import Session, SessionState
from loglease.model.words import reveal_in_words, scope_in_words
from loglease.server.api import resources as r
from loglease.server.api.after_reviews import after_review_shown
from loglease.server.api.extensions import extension_shown
from loglease.server.api.fields import TokenKind
from loglease.server.api.plans import plan_shown
from loglease.server.api.reveals import reveal_shown
from loglease.server.identity import secrets
from loglease.store.interface import StoredToken, Transaction

_TOKEN_KINDS = {
    secrets.PERSONAL: TokenKind.PERSONAL,
    secrets.SERVICE: TokenKind.SERVICE,
    secrets.GRANT: TokenKind.GRANT,
}
KINDS_OF_TOKENS = {kind: text for text, kind in _TOKEN_KINDS.items()}


def at(instant: Instant | None) -> str | None:
    """Return an instant as text, or None."""
    return None if instant is None else instant_text(instant)


def who(tx: Transaction, principal_id: PrincipalId) -> r.Who:
    """Return a principal as others see them; one that was erased is a name without meaning."""
    if principal_id == OPERATOR:
        return r.Who(id=principal_id, account="system", name="whoever runs the server", kind=Kind.SERVICE)
    found = tx.principals.find(principal_id)
    if found is None:
        return r.Who(id=principal_id, account="unknown", name="unknown", kind=Kind.HUMAN)
    return who_is(found)


def who_is(principal: Principal) -> r.Who:
    """Return a principal as others see them."""
    return r.Who(id=principal.id, account=principal.account, name=principal.name, kind=principal.kind)


def maybe_who(tx: Transaction, principal_id: PrincipalId | None) -> r.Who | None:
    """Return a principal as others see them, None for nobody."""
    return None if principal_id is None else who(tx, principal_id)


def window_shown(window: EventWindow) -> r.Window:
    """Return an event window."""
    return r.Window(
        from_ns=str(window.start_ns), to_ns=None if window.end_ns is None else str(window.end_ns), live=window.live
    )


def scope_shown(scope: Scope) -> r.ScopeShown:
    """Return a scope with its sentence."""
    return r.ScopeShown(
        source=scope.source,
        selector=selector_text(scope.selector),
        all_streams=scope.all_streams,
        window=window_shown(scope.window),
        level_from=scope.level_from,
        contains=list(scope.contains),
        profile=scope.profile,
        words=scope_in_words(scope),
    )


def limits_shown(limits: Limits) -> r.LimitsShown:
    """Return budgets."""
    return r.LimitsShown(**limits.named())


def terms_words(terms: Terms, reveal: Reveal | None = None) -> str:
    """Return terms as sentences, one for each scope; of a reveal, the value that it shows."""
    if reveal is not None:
        return reveal_in_words(reveal)
    return "; ".join(scope_in_words(scope, terms.limits, terms.duration_s) for scope in terms.scopes)


def offer_shown(offer: Offer, reveal: Reveal | None, network: str | None) -> r.OfferShown:
    """Return an offer that is made to somebody in a network."""
    return r.OfferShown(
        number=offer.number,
        policy=offer.policy,
        rule=offer.rule,
        outcome=offer.outcome,
        plans=[plan_shown(plan) for plan in offer.plans],
        need=offer.need,
        scopes=[scope_shown(scope) for scope in offer.terms.scopes],
        duration_s=offer.terms.duration_s,
        limits=limits_shown(offer.terms.limits),
        activate_within_s=offer.shape.activate_within_s,
        review_within_s=offer.shape.review_within_s,
        single_use=offer.shape.single_use,
        idle_timeout_s=offer.shape.idle_timeout_s,
        network_bound=offer.shape.network_bound,
        network=network if offer.shape.network_bound else None,
        pseudonyms=offer.shape.pseudonyms,
        audit=offer.shape.ack,
        words=terms_words(offer.terms, reveal),
    )


def review_shown(tx: Transaction, review: Review) -> r.ReviewShown:
    """Return a review."""
    narrowed = review.narrowed
    return r.ReviewShown(
        id=review.id,
        request=review.request,
        reviewer=who(tx, review.reviewer),
        stands_for=None if review.stands_for is None else who(tx, review.stands_for),
        verdict=review.verdict,
        digest=review.digest,
        comment=review.comment,
        given_at=instant_text(review.given_at),
        channel=review.channel,
        narrowed=None if narrowed is None else [scope_shown(scope) for scope in narrowed.scopes],
        narrowed_duration_s=None if narrowed is None else narrowed.duration_s,
        words=None if narrowed is None else terms_words(narrowed),
    )


def request_shown(tx: Transaction, view: RequestView, plans: Sequence[Plan], now: Instant) -> r.RequestShown:
    """Return a request with the plans that it is under by now."""
    request = view.request
    return r.RequestShown(
        id=request.id,
        state=view.state,
        requester=who(tx, request.requester),
        scopes=[scope_shown(scope) for scope in request.wish.scopes],
        reason=request.wish.reason,
        ticket=request.wish.ticket,
        duration_s=request.wish.duration_s or request.terms.duration_s,
        limits=limits_shown(request.wish.limits),
        offer=offer_shown(request.offer, request.wish.reveal, request.network),
        reveal=reveal_shown(request.wish.reveal),
        extends=None if request.wish.extends is None else request.wish.extends.grant,
        digest=request.digest,
        eligible=[who(tx, one) for one in sorted(view.reviewers)],
        reviews=[review_shown(tx, review) for review in view.reviews],
        approvals=sum(review.verdict is Verdict.APPROVE for review in view.reviews),
        need=need_of(plans),
        plans=[plan_shown(plan) for plan in plans],
        may_review=view.may_review,
        submitted_at=instant_text(request.submitted_at),
        expires_at=instant_text(request.expires_at),
        decided_at=at(request.decided_at),
        decided_by=maybe_who(tx, request.decided_by),
        cause=request.cause,
        grant=None if view.grant is None else view.grant.id,
        after_review=after_review_shown(tx, view, now),
        words=terms_words(request.terms, request.wish.reveal),
        version=request.version,
    )


def session_shown(tx: Transaction, session: Session) -> r.SessionShown:
    """Return a session."""
    account = session.account
    return r.SessionShown(
        id=session.id,
        grant=session.grant,
        principal=who(tx, session.principal),
        kind=session.kind,
        front=session.front,
        state=session.state,
        opened_at=instant_text(session.opened_at),
        closed_at=at(session.closed_at),
        why=session.why,
        account=r.AccountShown(
            lines=account.settled_lines,
            bytes=account.settled_bytes,
            uncertain_lines=max(0, account.uncertain_lines),
            uncertain_bytes=max(0, account.uncertain_bytes),
        ),
    )


def spent_of(view: GrantView) -> r.Spent:
    """Return the budgets of a grant."""
    usage = view.grant.usage
    lines_left, bytes_left = usage.left(view.grant.terms.limits)
    return r.Spent(
        lines=usage.lines,
        bytes=usage.bytes,
        queries=usage.queries,
        subjects=usage.subjects,
        lines_left=lines_left,
        bytes_left=bytes_left,
        subjects_left=usage.subjects_left(view.grant.terms.limits),
    )


def _holds(tx: Transaction, view: GrantView) -> list[r.HoldShown]:
    locks = [
        r.HoldShown(
            kind=r.HoldKind.LOCK,
            cause=str(lock.on.kind),
            reason=lock.reason,
            since=instant_text(lock.added_at),
            until=at(lock.until),
        )
        for lock in view.locks
    ]
    suspensions = [
        r.HoldShown(
            kind=r.HoldKind.SUSPENSION,
            cause=str(one.cause),
            reason=one.reason,
            by=maybe_who(tx, one.by),
            since=instant_text(one.since),
        )
        for one in view.suspensions
    ]
    return locks + suspensions


def grant_shown(tx: Transaction, view: GrantView, now: Instant) -> r.GrantShown:
    """Return a grant."""
    grant = view.grant
    return r.GrantShown(
        id=grant.id,
        state=view.state,
        request=grant.request,
        holder=who(tx, grant.holder),
        policy=grant.policy,
        basis=grant.basis,
        scopes=[scope_shown(scope) for scope in grant.terms.scopes],
        duration_s=grant.terms.duration_s,
        limits=limits_shown(grant.terms.limits),
        spent=spent_of(view),
        single_use=grant.shape.single_use,
        idle_timeout_s=grant.shape.idle_timeout_s,
        network_bound=grant.shape.network_bound,
        network=grant.network if grant.shape.network_bound else None,
        pseudonyms=grant.shape.pseudonyms,
        audit=grant.shape.ack,
        digest=grant.digest,
        reviews=list(grant.reviews),
        holds=_holds(tx, view),
        open_sessions=sum(one.state is not SessionState.CLOSED for one in view.sessions),
        submitted_at=instant_text(view.request.submitted_at),
        scheduled_at=instant_text(grant.scheduled_at),
        activate_by=instant_text(grant.activate_by),
        valid_from=at(grant.valid_from),
        valid_until=at(grant.valid_until),
        ended_at=at(grant.ended_at),
        ended_why=grant.ended_why,
        ended_by=maybe_who(tx, grant.ended_by),
        reason=grant.reason,
        logs=f"/g/{grant.id}/logs",
        reveal=reveal_shown(view.request.wish.reveal),
        extends=grant.before,
        starts_at=at(grant.starts_at),
        extension=extension_shown(tx, view, now),
        words=terms_words(grant.terms, view.request.wish.reveal),
        version=grant.version,
    )


def lock_shown(tx: Transaction, lock: Lock, now: Instant, ended: Sequence[str], ending: Sequence[str]) -> r.LockShown:
    """Return a lock, with the sessions that it has ended and those that are still ending."""
    return r.LockShown(
        id=lock.id,
        on=str(lock.on),
        reason=lock.reason,
        added_by=who(tx, lock.added_by),
        added_at=instant_text(lock.added_at),
        until=at(lock.until),
        lifted_at=at(lock.lifted_at),
        lifted_by=maybe_who(tx, lock.lifted_by),
        in_force=lock.in_force(now),
        sessions_ended=list(ended),
        sessions_ending=list(ending),
    )


def principal_shown(principal: Principal) -> r.PrincipalShown:
    """Return a login."""
    return r.PrincipalShown(
        id=principal.id,
        issuer=principal.issuer,
        account=principal.account,
        kind=principal.kind,
        person=principal.person,
        subject=principal.subject,
        name=principal.name,
        email=principal.email,
        groups=sorted(principal.groups),
        roles=sorted(principal.roles),
        enabled=principal.enabled,
    )


def token_shown(token: StoredToken) -> r.TokenShown:
    """Return a token without its secret."""
    return r.TokenShown(
        id=token.id,
        kind=_TOKEN_KINDS[token.kind],
        label=token.label,
        rights=sorted(token.rights),
        grant=token.grant,
        created_at=instant_text(token.created_at),
        expires_at=instant_text(token.expires_at),
        last_used_at=at(token.last_used_at),
    )

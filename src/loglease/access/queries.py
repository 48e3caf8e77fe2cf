"""What people look at: pages of requests and grants, the inbox, a request's history. Nothing here writes.

All of them go through the one visibility predicate of `permissions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import orjson

from loglease.access.caller import Caller
from loglease.access.errors import NotFound
from loglease.access.exposure import Exposure, exposure
from loglease.access.permissions import (
    concerned,
    is_held,
    is_reviewer,
    locks_on_grant,
    may_see_request,
    readable_grant,
    suspensions_on,
    visible_request,
)
from loglease.audit.privacy import Vault
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.after_review import AfterReview, AfterState
from loglease.model.grant import Grant, GrantState
from loglease.model.hold import Lock, Suspension
from loglease.model.ids import GrantId, PrincipalId, RequestId
from loglease.model.instant import Instant
from loglease.model.principal import Principal
from loglease.model.review import Review
from loglease.model.rights import Right
from loglease.model.session import Session
from loglease.store.interface import Transaction

MAX_PAGE: Final = 200
_DECIDING: Final = frozenset(
    {
        *(f"request.{what}" for what in ("submitted", "approved", "denied", "cancelled", "expired")),
        *(f"grant.{what}" for what in ("scheduled", "activated", "suspended", "resumed", "ended", "revoked")),
        "offer.made",
        "review.given",
        "breakglass.reviewed",
    }
)
_READING: Final = frozenset({"session.opened", "query.recorded", "reveal.served", "session.closed", "access.refused"})
_CHUNK: Final = 200
_MAX_LOOKED_AT: Final = 10_000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """A request as of one moment, with those it concerns; reviewers are those since its submission and those called."""

    request: AccessRequest
    state: RequestState
    requester: Principal | None
    reviews: Sequence[Review]
    grant: Grant | None
    reviewers: frozenset[PrincipalId]
    may_review: bool
    after_review: AfterReview | None
    may_review_afterwards: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantView:
    """A grant as of one moment, with what holds it, its request and its newest sessions."""

    grant: Grant
    state: GrantState
    request: AccessRequest
    holder: Principal | None
    locks: Sequence[Lock]
    suspensions: Sequence[Suspension]
    sessions: Sequence[Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """What waits for a person, and what is theirs."""

    to_review: Sequence[RequestView]
    to_review_afterwards: Sequence[RequestView]
    my_requests: Sequence[RequestView]
    my_grants: Sequence[GrantView]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """One recorded fact about a request or its grant: when, what, by whom, and the public facts of the entry."""

    index: int
    at: str
    type: str
    actor: str
    data: dict[str, object]


def request_view(tx: Transaction, caller: Caller, request_id: RequestId, now: Instant) -> RequestView:
    """Return one request.

    Raises:
        NotFound: there is none that the caller may see.
    """
    return _request_view(tx, caller, visible_request(tx, caller, request_id), now)


def _request_view(tx: Transaction, caller: Caller, request: AccessRequest, now: Instant) -> RequestView:
    reviews = tx.reviews.of_request(request.id)
    state = request.state_at(now)
    me = caller.principal
    reviewed = any(review.person in me.persons for review in reviews)
    after_review = tx.after_reviews.find(request.id)
    return RequestView(
        request=request,
        state=state,
        requester=tx.principals.find(request.requester),
        reviews=reviews,
        grant=tx.grants.of_request(request.id),
        reviewers=request.eligible | tx.requests.called(request.id),
        may_review=state is RequestState.PENDING
        and is_reviewer(tx, me, request)
        and not me.persons & request.persons
        and not reviewed,
        after_review=after_review,
        may_review_afterwards=after_review is not None
        and after_review.state is not AfterState.JUSTIFIED
        and after_review.may_be_done_by(me, now),
    )


def grant_view(tx: Transaction, caller: Caller, grant_id: GrantId, now: Instant) -> GrantView:
    """Return one grant.

    Raises:
        NotFound: there is none that the caller may see.
        NotPermitted: the token lacks the right to read it.
    """
    grant, request = readable_grant(tx, caller, grant_id)
    return _grant_view(tx, grant, request, now)


def _grant_view(tx: Transaction, grant: Grant, request: AccessRequest, now: Instant) -> GrantView:
    return GrantView(
        grant=grant,
        state=grant.state_at(now, held=is_held(tx, grant, now)),
        request=request,
        holder=tx.principals.find(grant.holder),
        locks=locks_on_grant(tx, grant, now),
        suspensions=suspensions_on(tx, grant),
        sessions=tx.sessions.of_grant(grant.id),
    )


def requests_page(
    tx: Transaction,
    caller: Caller,
    now: Instant,
    *,
    state: RequestState | None = None,
    source: str | None = None,
    mine: bool = False,
    needs_my_review: bool = False,
    before: RequestId | None = None,
    limit: int = 50,
) -> list[RequestView]:
    """Return the requests that the caller may see, newest first; states are those that the clock gives."""
    caller.require(Right.REQUESTS_READ)
    requester = caller.principal.id if mine else None
    concerning = concerned(caller)
    stored = {None: None, RequestState.EXPIRED: None}.get(state, state)

    def page(last: RequestId | None) -> Sequence[AccessRequest]:
        return tx.requests.page(
            state=stored, requester=requester, source=source, concerning=concerning, before=last, limit=_CHUNK
        )

    found: list[RequestView] = []
    for request in _all(page, before, lambda one: one.id):
        if not may_see_request(tx, caller, request) or state not in (None, request.state_at(now)):
            continue
        view = _request_view(tx, caller, request, now)
        if needs_my_review and not view.may_review:
            continue
        found.append(view)
        if len(found) >= min(limit, MAX_PAGE):
            break
    return found


def after_reviews_page(
    tx: Transaction,
    caller: Caller,
    now: Instant,
    *,
    undone: bool = False,
    needs_me: bool = False,
    before: RequestId | None = None,
    limit: int = 50,
) -> list[RequestView]:
    """Return the requests with an after-review that the caller may see, newest first.

    Args:
        tx: what to read from.
        caller: who asks.
        now: as of when.
        undone: leave out those that were done.
        needs_me: leave out those that the caller may not do.
        before: only requests older than this one.
        limit: at most so many.
    """
    caller.require(Right.REQUESTS_READ)

    def page(last: RequestId | None) -> Sequence[AfterReview]:
        return tx.after_reviews.page(undone=undone, before=last, limit=_CHUNK)

    found: list[RequestView] = []
    for one in _all(page, before, lambda review: review.request):
        request = tx.requests.find(one.request)
        if request is None or not may_see_request(tx, caller, request):
            continue
        view = _request_view(tx, caller, request, now)
        if needs_me and not view.may_review_afterwards:
            continue
        found.append(view)
        if len(found) >= min(limit, MAX_PAGE):
            break
    return found


def exposure_of(tx: Transaction, caller: Caller, request_id: RequestId, vault: Vault) -> Exposure:
    """Return exactly what was read under a grant that has an after-review.

    Raises:
        NotFound: there is no such request that the caller may see, or it has no after-review.
    """
    request = visible_request(tx, caller, request_id)
    grant = tx.grants.of_request(request.id)
    if grant is None or tx.after_reviews.find(request.id) is None:
        raise NotFound(f"{request.id} has no after-review.", next_step=f"loglease requests {request.id}")
    return exposure(tx, grant, vault)


def grants_page(
    tx: Transaction,
    caller: Caller,
    now: Instant,
    *,
    mine: bool = False,
    live: bool = False,
    state: GrantState | None = None,
    before: GrantId | None = None,
    limit: int = 50,
) -> list[GrantView]:
    """Return the grants that the caller may see, newest first."""
    caller.require(Right.REQUESTS_READ)
    holder = caller.principal.id if mine else None
    concerning = concerned(caller)

    def page(last: GrantId | None) -> Sequence[Grant]:
        return tx.grants.page(
            holder=holder, live_at=now if live else None, concerning=concerning, before=last, limit=_CHUNK
        )

    found: list[GrantView] = []
    for grant in _all(page, before, lambda one: one.id):
        request = tx.requests.find(grant.request)
        if request is None or not (grant.holder == caller.principal.id or may_see_request(tx, caller, request)):
            continue
        view = _grant_view(tx, grant, request, now)
        if state not in (None, view.state):
            continue
        found.append(view)
        if len(found) >= min(limit, MAX_PAGE):
            break
    return found


Key = TypeVar("Key")


def _all(
    page: Callable[[Key | None], Sequence[Item]], before: Key | None, key: Callable[[Item], Key]
) -> Iterator[Item]:
    """Yield items page by page, so that a filter of ours does not shorten an answer; bounded."""
    looked_at = 0
    while looked_at < _MAX_LOOKED_AT:
        items = page(before)
        yield from items
        looked_at += len(items)
        if len(items) < _CHUNK:
            return
        before = key(items[-1])


def inbox(tx: Transaction, caller: Caller, now: Instant) -> Inbox:
    """Return what waits for the caller, most urgent first, and what is theirs, newest first."""
    waiting = requests_page(tx, caller, now, state=RequestState.PENDING, needs_my_review=True, limit=MAX_PAGE)
    late = after_reviews_page(tx, caller, now, undone=True, needs_me=True, limit=MAX_PAGE)
    return Inbox(
        to_review=sorted(waiting, key=lambda view: view.request.expires_at),
        to_review_afterwards=sorted(late, key=_due),
        my_requests=requests_page(tx, caller, now, mine=True, limit=20),
        my_grants=grants_page(tx, caller, now, mine=True, limit=20),
    )


def _due(view: RequestView) -> Instant:
    return Instant(0) if view.after_review is None else view.after_review.due_at


def timeline(tx: Transaction, caller: Caller, request_id: RequestId) -> list[HistoryItem]:
    """Return what the audit log says about a request, its grant and sessions, oldest first, at most 200 facts.

    What was decided comes before what was read: a grant that is used a lot still shows who approved it. Single batches
    are left out; the close of their session has the sum.

    Raises:
        NotFound: there is no such request that the caller may see.
    """
    request = visible_request(tx, caller, request_id)
    decided = tx.entries.page(request=request.id, types=_DECIDING, limit=MAX_PAGE)
    read = tx.entries.page(request=request.id, types=_READING, limit=MAX_PAGE - len(decided))
    rows = sorted((*decided, *read), key=lambda row: row.index)
    return [history_item(row.index, row.content) for row in rows]


def history_item(index: int, content: bytes) -> HistoryItem:
    """Return an entry of the log in the shape that people look at."""
    entry = orjson.loads(content)
    return HistoryItem(
        index=index, at=entry["at"], type=entry["type"], actor=entry["actor"], data=entry.get("data", {})
    )

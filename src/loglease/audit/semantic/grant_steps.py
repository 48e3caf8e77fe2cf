"""What entries about grants do: the way of a grant (S3), and the rules that are asked on it."""

from __future__ import annotations

from typing import Final

from loglease.audit.semantic import grant_rules, log_rules, request_rules, session_rules
from loglease.audit.semantic.facts import Fact, instant_of
from loglease.audit.semantic.objects import Cut, Grant
from loglease.audit.semantic.request_steps import opened_after_review
from loglease.audit.semantic.state import State

_RESTORE: Final = "restore"


def scheduled(state: State, entry: Fact) -> None:
    """A grant is there; the request is over with it."""
    one, data = entry.ref["grant"], entry.data
    state.introduce("grant", one)
    request = state.request(entry)
    if request is None:
        state.lost.add(one)
        return
    if request.approved is None:
        state.breach("S3", f"{one} is there, and {request.id} was not approved", request.index)
    request_rules.digest_is_named(state, request, data["digest_sha256"], one)
    request_rules.same_reviews(state, request, data["reviews"], one)
    request_rules.basis_is_offered(state, request, data["basis"], one)
    counted = [request.reviews[review] for review in data["reviews"] if review in request.reviews]
    request_rules.grant_is_inside(state, request, data, counted, one)
    before = request.extends
    grant = Grant(
        id=one,
        index=state.index,
        request=request,
        data=data,
        holder=data["holder"],
        not_before=instant_of(data["not_before_at"]),
        until=instant_of(data["activate_by_at"]),
        chain=() if before is None else (*before.chain, before.id),
    )
    grant_rules.window_is_offered(state, grant)
    state.grants[one] = grant
    opened_after_review(state, grant)
    del state.requests[request.id]


def activated(state: State, entry: Fact) -> None:
    """A grant's clock starts."""
    grant, data = state.grant(entry), entry.data
    if grant is None:
        return
    if grant.activated is not None or grant.suspended:
        word = "suspended" if grant.suspended else "active already"
        state.breach("S3", f"{grant.id} is activated while it is {word}", grant.activated, *grant.suspended.values())
        return
    log_rules.clock_is_trusted(state, f"{grant.id} is activated")
    grant_rules.is_activated_in_time(state, grant, data)
    grant_rules.still_has_approvals(state, grant, data)
    grant.activated, grant.until = state.index, instant_of(data["until_at"])


def suspended(state: State, entry: Fact) -> None:
    """A grant is held; its sessions end."""
    grant = state.grant(entry)
    if grant is not None:
        grant.suspended[entry.data["cause"]] = state.index
        state.cut(grant, "was suspended", state.index)


def resumed(state: State, entry: Fact) -> None:
    """One cause that held a grant is lifted."""
    grant, cause = state.grant(entry), entry.data["cause"]
    if grant is None:
        if cause == _RESTORE:
            state.machine.affirmed.add(entry.ref["grant"])
        return
    if cause not in grant.suspended:
        state.breach("S3", f"{grant.id} is resumed, and nothing of that cause holds it", grant.index)
    grant_rules.is_lifted_by_another(state, grant, entry)
    grant.suspended.pop(cause, None)
    if cause == _RESTORE:
        grant.restored = None


def ended(state: State, entry: Fact) -> None:
    """A grant ends by itself, or by its holder."""
    grant, data = state.grant(entry), entry.data
    if grant is None:
        return
    grant_rules.ends_in_time(state, grant, data["why"])
    session_rules.grant_total_is_the_sum(state, grant, data["total"])
    _over(state, grant, "ended")


def revoked(state: State, entry: Fact) -> None:
    """Somebody takes a grant away."""
    grant = state.grant(entry)
    if grant is None:
        return
    grant_rules.is_somebodys_act(state, grant, entry)
    grant_rules.late_is_before_use(state, grant, entry.data)
    _over(state, grant, "revoked")


def _over(state: State, grant: Grant, word: str) -> None:
    state.cut(grant, f"was {word}" if word == "revoked" else word, state.index)
    grant.over = Cut(state.at, state.index, word)
    state.forget(grant)


STEPS: Final = {
    "grant.scheduled": scheduled,
    "grant.activated": activated,
    "grant.suspended": suspended,
    "grant.resumed": resumed,
    "grant.ended": ended,
    "grant.revoked": revoked,
}

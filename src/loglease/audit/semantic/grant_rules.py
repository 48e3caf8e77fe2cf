"""Rules about grants: S11, S12, S13, S20, and of S26 and S27 what concerns one grant."""

from __future__ import annotations

from typing import Final

from loglease.audit.semantic.facts import Data, Fact, instant_of
from loglease.audit.semantic.objects import Grant
from loglease.audit.semantic.request_rules import reviews_count
from loglease.audit.semantic.review_rules import plans_are_met, reviewers_may
from loglease.audit.semantic.state import State
from loglease.model.instant import MICROSECONDS, Instant

CUT_WITHIN_S: Final = 3
"""The bound of the cut: what was on its way when something took effect has come to its end by then."""


def window_is_offered(state: State, grant: Grant) -> None:
    """S11, when a grant is scheduled: its window is the one that the offer gives."""
    before, offer = grant.before, grant.request.offer
    if before is not None and grant.not_before > state.at:
        if grant.not_before != before.until:
            state.breach("S11", f"{grant.id} does not begin where {before.id} ends", grant.request.index, before.index)
        latest = grant.not_before + grant.data["duration_s"] * MICROSECONDS
    else:
        latest = max(state.at, grant.not_before) + offer.get("activate_within_s", 0) * MICROSECONDS
    if grant.until > latest:
        state.breach("S11", f"{grant.id} can be activated longer than the offer says", grant.request.index)


def is_activated_in_time(state: State, grant: Grant, data: Data) -> None:
    """S11: inside its window, for its duration at most, with reviews that still count."""
    begins, ends = instant_of(data["from_at"]), instant_of(data["until_at"])
    if not grant.not_before <= state.at < grant.until:
        state.breach("S11", f"{grant.id} is activated outside of its window", grant.index)
    elif not grant.not_before <= begins <= state.at:
        state.breach("S11", f"{grant.id} begins at another time than it is activated", grant.index)
    elif ends - begins > grant.data["duration_s"] * MICROSECONDS:
        state.breach("S11", f"{grant.id} is active longer than it may be", grant.index)
    before = grant.before
    if before is not None and (state.at < before.until or (before.over and before.over.at < before.until)):
        state.breach("S11", f"{grant.id} begins before {before.id} has run out", grant.index, before.index)
    parent = grant.parent
    if parent is not None and ends > parent.until:
        state.breach("S11", f"{grant.id} outlasts {parent.id}, whose line it is about", grant.index, parent.index)


def still_has_approvals(state: State, grant: Grant, data: Data) -> None:
    """S11: the reviews that were checked again satisfy S6, S7 and S8 now."""
    request = grant.request
    unchanged = request.looked_at == state.people.version and request.counted == tuple(data["reviews"])
    if unchanged and not any(review.stands_for for review in request.reviews.values()):
        return  # as at the approval, where nothing can have changed since; only stand-ins lapse without an entry
    what = f"the activation of {grant.id}"
    breaches = len(state.breaches)
    counted = reviews_count(state, grant.request, data["reviews"], what, rule="S11")
    reviewers_may(state, grant.request, counted, what, rule="S11")
    if len(state.breaches) == breaches:
        plans_are_met(state, grant.request, counted, what, rule="S11")


def ends_in_time(state: State, grant: Grant, why: str) -> None:
    """S12: nothing expires before its time."""
    if why == "expired" and state.at < grant.until:
        state.breach("S12", f"{grant.id} expired before its time", grant.index, grant.activated)


def is_somebodys_act(state: State, grant: Grant, entry: Fact) -> None:
    """S12: a revocation has an actor and does not take effect later than it is recorded."""
    data = entry.data
    if instant_of(data["effective_at"]) > state.at:
        state.breach("S12", f"the revocation of {grant.id} takes effect after it was recorded", grant.index)
    of_itself = data["late"] or (data["cause"] == "grant" and data.get("object") in (grant.id, *grant.chain))
    if entry.actor == "system" and not of_itself:
        state.breach("S12", f"nobody revoked {grant.id}", grant.index)
    if (data["cause"] == "everything") is ("object" in data):
        state.breach("S12", f"the revocation of {grant.id} does not say of what", grant.index)


def may_be_used(state: State, grant: Grant, what: str) -> None:
    """S13: not after its end, not while it is held; and S27, not before it was resumed after a restore."""
    hold = state.hold(grant)
    if hold is not None:
        state.breach("S13", f"{what} under {grant.id}, which {hold[0]}", hold[1], grant.index)
    elif grant.activated is not None and state.at >= grant.until:
        state.breach("S13", f"{what} under {grant.id}, whose time is over", grant.activated)
    elif grant.restored is not None:
        state.breach("S27", f"{what} under {grant.id}, which nobody resumed after the restore", grant.restored)


def late_is_before_use(state: State, grant: Grant, data: Data) -> None:
    """S26: between the effect of a late revocation and its record nothing of the grant is reserved."""
    if not data["late"] or grant.reserved is None:
        return
    index, at = grant.reserved
    if at > instant_of(data["effective_at"]) + CUT_WITHIN_S * MICROSECONDS:
        state.breach("S26", f"{grant.id} was used after the revocation that is recorded late", index)


def reveals_what_was_approved(state: State, grant: Grant, data: Data) -> None:
    """S20: the value is the approved one, and shown once."""
    approved = grant.data.get("reveal")
    if approved is None:
        state.breach("S20", f"{grant.id} reveals no value", grant.index)
        return
    for name in ("class", "line_c", "pseudonym"):
        if data.get(name) != approved.get(name):
            state.breach("S20", f"what is revealed under {grant.id} has another {name} than approved", grant.index)
            return
    if grant.revealed is not None:
        state.breach("S20", f"{grant.id} reveals a value a second time", grant.revealed, grant.index)


def is_lifted_by_another(state: State, grant: Grant, entry: Fact) -> None:
    """S3, when a grant is resumed: its holder does not resume it, nor what they own, nor who owns them."""
    people = state.people
    if people.own([entry.actor]) & people.own([grant.holder]):
        state.breach("S3", f"{grant.id} is resumed by its own holder", grant.index)


def until_of(data: Data, name: str) -> Instant:
    """Return a time of an entry's data."""
    return instant_of(data[name])

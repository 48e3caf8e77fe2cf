"""What is written into audit entries, in which shape: scopes, plans, terms, and the digest that reviews are bound to.

Every function here is pure. The shapes are those of the entry types in `audit.types`.
"""

from __future__ import annotations

import orjson

from loglease.access.commitments import RECORD, Commitments
from loglease.audit.interface import SYSTEM
from loglease.model.access_request import Wish
from loglease.model.digest import Canonical, canonical_bytes
from loglease.model.grant import Grant
from loglease.model.instant import Instant, instant_text
from loglease.model.offer import Offer
from loglease.model.principal import Principal
from loglease.model.reveal import Reveal
from loglease.policy.entry_shapes import (
    ProfilesOf,
    key_scope_data,
    offer_shape,
    scope_data,
    terms_data,
    unknown_profile,
)

Data = dict[str, Canonical]


def actor_of(principal: Principal | None) -> str:
    """Return the subject that an entry names, or the system for what nobody did."""
    return SYSTEM if principal is None else principal.subject


def offer_data(
    offer: Offer, reveal: Reveal | None, commitments: Commitments, profiles: ProfilesOf, record: str
) -> Data:
    """Return the data of `offer.made`; `record` is the decision record, of which only a commitment is written."""
    return {
        **offer_shape(offer, commitments, profiles),
        **_revealing(reveal, commitments),
        RECORD: commitments.to(RECORD, record),
    }


def wish_data(
    wish: Wish, offer: Offer, commitments: Commitments, expires_at: Instant, network: str | None = None
) -> Data:
    """Return the data of `request.submitted`, less digest and channel.

    Args:
        network: from where it is asked; stated only where that binds.
    """
    data: Data = {
        "offer": offer.number,
        "scopes": [scope_data(scope, commitments, unknown_profile) for scope in wish.scopes],
        "reason_c": commitments.to("reason_c", wish.reason),
        "duration_s": wish.duration_s or offer.terms.duration_s,
        "limits": dict(wish.limits.named()),
        "expires_at": instant_text(expires_at),
        **_revealing(wish.reveal, commitments),
    }
    if offer.shape.network_bound and network is not None:
        data["network_c"] = commitments.to("network_c", network)
    if wish.ticket is not None:
        data["ticket_c"] = commitments.to("ticket_c", wish.ticket)
    if wish.extends is not None:
        data["extends"] = wish.extends.grant
    if wish.inputs:
        data["inputs_c"] = commitments.to("inputs_c", orjson.dumps(wish.inputs, option=orjson.OPT_SORT_KEYS).decode())
    return data


def reveal_data(reveal: Reveal, commitments: Commitments) -> Data:
    """Return a reveal as entries carry it; which line it is only as a commitment."""
    data: Data = {
        "grant": reveal.grant,
        "class": reveal.cls,
        "line_c": commitments.to("line_c", reveal.reference),
    }
    return data if reveal.pseudonym is None else {**data, "pseudonym": reveal.pseudonym}


def served_data(reveal: Reveal, rule: str, commitments: Commitments) -> Data:
    """Return the data of `reveal.served`; its grant stands in the entry's references."""
    data = reveal_data(reveal, commitments)
    return {name: value for name, value in data.items() if name != "grant"} | {"rule": rule}


def _revealing(reveal: Reveal | None, commitments: Commitments) -> Data:
    return {} if reveal is None else {"reveal": reveal_data(reveal, commitments)}


def terms_bytes(*, offer: Data, request: str, subject: str, wish: Data) -> bytes:
    """Return the canonical bytes whose SHA-256 is the request's digest: exactly what reviewers decide on."""
    return canonical_bytes({"offer": offer, "request": request, "subject": subject, "wish": wish})


def scheduled_data(
    grant: Grant,
    reveal: Reveal | None,
    holder: Principal,
    commitments: Commitments,
    profiles: ProfilesOf,
    review_by: Instant | None = None,
) -> Data:
    """Return the data of `grant.scheduled`; `review_by` is when its after-review is due."""
    data: Data = {
        "holder": holder.subject,
        "basis": "reviews" if grant.basis == "review" else str(grant.basis),
        "reviews": list(grant.reviews),
        "digest_sha256": grant.digest,
        **terms_data(grant.terms, commitments, profiles),
        **_revealing(reveal, commitments),
        "not_before_at": instant_text(grant.starts_at or grant.scheduled_at),
        "activate_by_at": instant_text(grant.activate_by),
        **bound_data(grant, commitments),
        **key_scope_data(grant.shape),
    }
    return data if review_by is None else data | {"review_by_at": instant_text(review_by)}


def bound_data(grant: Grant, commitments: Commitments) -> Data:
    """Return to which network a grant is bound, as entries carry it: a commitment, equal wherever that is said."""
    if grant.network is None or not grant.shape.network_bound:
        return {}
    return {"network_c": commitments.to("network_c", grant.network)}


def refs(**ids: str | None) -> dict[str, str]:
    """Return the references of an entry, those that are set."""
    return {name: value for name, value in ids.items() if value is not None}

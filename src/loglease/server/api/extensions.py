"""How a grant goes on: what its policy gave, and what the holder made of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from loglease.access.queries import GrantView
from loglease.model.access_request import RequestState
from loglease.model.grant import GrantState
from loglease.model.instant import Instant
from loglease.server.api.fields import Count, GrantIdText, RequestIdText, Resource, Seconds
from loglease.store.interface import Transaction


class ExtensionShown(Resource):
    """How a grant may go on where it ends."""

    left: Annotated[
        Count, Field(description="How often it may be extended, as its policy said when it was given; policy is asked.")
    ]
    by_s: Annotated[Seconds, Field(description="At most so long each time.")]
    request: Annotated[RequestIdText | None, Field(description="The undecided request to extend it.")] = None
    grant: Annotated[GrantIdText | None, Field(description="The grant that goes on from it.")] = None


def extension_shown(tx: Transaction, view: GrantView, now: Instant) -> ExtensionShown | None:
    """Return how a grant may go on; None where its policy gives no extensions, or where it is over and nothing did."""
    grant, rule = view.grant, view.grant.shape.extend
    follows = tx.grants.extension_of(grant.id) if grant.valid_until is not None else None
    if rule is None or (follows is None and view.state not in (GrantState.ACTIVE, GrantState.SUSPENDED)):
        return None
    pending = tx.requests.extending(grant.id)
    return ExtensionShown(
        left=max(0, rule.times - len(grant.extends)),
        by_s=rule.by_s,
        request=pending.id if pending is not None and pending.state_at(now) is RequestState.PENDING else None,
        grant=follows.id if follows is not None and follows.is_live(now) else None,
    )

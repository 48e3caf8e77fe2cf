"""What a notice says: pure functions from what is known when it is sent to one message.

Never a line of a log. What people wrote passes the rules for secrets first and is shown without invisible characters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from loglease.access.deliver_notices import TO_DECIDE, TO_REVIEW, Delivery
from loglease.model.access_request import AccessRequest
from loglease.model.instant import duration_text, instant_text
from loglease.model.principal import Principal
from loglease.model.proposal import Proposal
from loglease.model.review import Verdict
from loglease.model.words import plain, reveal_in_words, scope_in_words
from loglease.server.notifications.channel import Message
from loglease.server.pages.risks import risk_statements

Scrub = Callable[[str], str]

MAX_REASON: Final = 300
_MAX_COMMENT: Final = 300
_SUBJECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "request.submitted": "Access request {request} waits for your decision",
        "request.stage_opened": "Access request {request} waits for your decision now",
        "request.reminder": "Reminder: access request {request} waits for your decision",
        "request.escalated": "Access request {request} has waited long and waits for your decision, too",
        "review.given": "Access request {request} was approved by somebody and waits for more",
        "request.approved": "Access request {request} is approved",
        "request.denied": "Access request {request} is denied",
        "request.expired": "Nobody decided access request {request} in time",
        "request.cancelled": "Access request {request} is cancelled",
        "grant.scheduled": "Grant {grant} was given",
        "grant.activated": "Grant {grant} is active",
        "grant.suspended": "Grant {grant} is suspended",
        "grant.resumed": "Grant {grant} can be used again",
        "grant.ended": "Grant {grant} has ended",
        "grant.revoked": "Grant {grant} was revoked",
        "breakglass.used": "Emergency access {grant} is in use",
        "breakglass.ended": "Emergency access {grant} is over",
        "breakglass.review_due": "What is read under {request} has to be looked at afterwards",
        "breakglass.review_overdue": "The after-review of {request} is late",
        "breakglass.reviewed": "What was read under {request} was looked at",
        "act.proposed": "The act {proposal} waits for a second administrator: loglease proposals show {proposal}",
        "act.reviewed": "Another administrator has decided on the act {proposal}",
        "policy.proposed": "The change of the policy {proposal} waits for your review",
        "policy.reviewed": "Somebody has reviewed the change of the policy {proposal}",
        "policy.withdrawn": "The change of the policy {proposal} is not decided any more",
        "policy.loaded": "New policy documents are in force",
        "policy.refused": "New policy documents were refused; the last good ones stay in force",
        "principal.changed": "An account was changed",
        "principal.locked": "An account was locked",
        "principal.unlocked": "The lock of an account was lifted",
        "lock.added": "A lock was added",
        "lock.lifted": "A lock was lifted",
        "tamper.found": "The audit log does not agree with itself",
        "clock.suspect": "The clock of a server cannot be trusted, so nothing new begins",
        "notifications.test": "This is a test of notifications",
    }
)
_IN_GRANTS: Final = "grant."


def message_of(delivery: Delivery, *, origin: str, scrub: Scrub, head: str | None = None) -> Message:
    """Return what is sent for a notice.

    Args:
        origin: of the pages, such as ``https://logs.example.com``.
        scrub: masks secrets in a text that somebody wrote.
        head: the last signed head of the audit log.
    """
    notice = delivery.notice
    names = {"request": notice.about, "grant": "", "proposal": "", **notice.data}
    facts: list[tuple[str, str]] = []
    if delivery.request is not None:
        facts = _of_request(delivery, delivery.request, scrub)
    elif delivery.proposal is not None:
        facts = _of_proposal(delivery, delivery.proposal, scrub)
    facts += [(_title(name), value) for name, value in sorted(notice.data.items()) if not _is_shown(name, delivery)]
    if delivery.entries[0]:
        facts.append(("Audit log", f"{delivery.entries[0]} entries, the last one {delivery.entries[1]}"))
    return Message(
        id=notice.id,
        event=notice.event,
        at=notice.at,
        subject=_SUBJECTS.get(notice.event, notice.event).format_map(names),
        facts=tuple(facts),
        link=f"{origin}{_page(delivery)}",
        to=None if delivery.person is None else delivery.person.email,
        data=notice.data,
        head=head,
    )


def _page(delivery: Delivery) -> str:
    if delivery.grant is not None and delivery.notice.event.startswith(_IN_GRANTS):
        return f"/grants/{delivery.grant.id}"
    if delivery.proposal is not None:
        return f"/proposals/{delivery.proposal.id}"
    return f"/requests/{delivery.request.id}" if delivery.request is not None else "/"


def _of_proposal(delivery: Delivery, proposal: Proposal, scrub: Scrub) -> list[tuple[str, str]]:
    """Say who wants to change the policy, why and how much; what exactly changes is for the page to show."""
    count = len(proposal.changes)
    facts = [
        ("Who", _who(delivery.author)),
        ("Why", shortened(plain(scrub(proposal.comment)), MAX_REASON)),
        ("What", f"{proposal.verdict}: {count} change{'' if count == 1 else 's'} of revision {proposal.base_revision}"),
        ("Approvals", f"{proposal.needed} of people beside the author"),
    ]
    if delivery.notice.event in TO_REVIEW:
        facts.append(("How", f"Open the page below, or: loglease proposals show {proposal.id}"))
    return [*facts, ("Digest", proposal.digest)]


def _of_request(delivery: Delivery, request: AccessRequest, scrub: Scrub) -> list[tuple[str, str]]:
    asked = delivery.notice.event in TO_DECIDE
    terms = request.terms if delivery.grant is None else delivery.grant.terms
    scopes = "; ".join(scope_in_words(scope, terms.limits, terms.duration_s) for scope in terms.scopes)
    reveal = request.wish.reveal
    facts = [
        ("Who", _who(delivery.requester)),
        ("What", scrub(scopes if reveal is None else reveal_in_words(reveal))),
        ("Reason", shortened(plain(scrub(request.wish.reason)), MAX_REASON)),
        ("Ticket", "" if request.wish.ticket is None else plain(scrub(request.wish.ticket))),
        ("How long", _how_long(request, terms.duration_s)),
        ("Policy", f"{plain(request.offer.policy)}, bundle revision {request.offer.revision}"),
    ]
    if asked:
        facts += [("Risk", statement) for statement in risk_statements(request, delivery.requester)]
        facts += [
            ("Decide by", f"{instant_text(request.expires_at)[:19]}Z; then it expires"),
            ("How", f"Open the page below, or: loglease approve {request.id}"),
        ]
    facts += [("Comment", _comment(delivery, scrub)), ("Digest", request.digest)]
    return [(name, text) for name, text in facts if text]


def _how_long(request: AccessRequest, duration_s: int) -> str:
    if request.wish.extends is not None:
        return f"{duration_text(duration_s)} more, from the end of {request.wish.extends.grant} on"
    within = duration_text(request.offer.shape.activate_within_s)
    return f"{duration_text(duration_s)} from its first use, which has to be within {within} of the approval"


def _comment(delivery: Delivery, scrub: Scrub) -> str:
    """Return the comment of the denial that is told of."""
    if delivery.notice.event != "request.denied":
        return ""
    denial = next((one for one in delivery.reviews if one.verdict is Verdict.DENY), None)
    return "" if denial is None else shortened(plain(scrub(denial.comment)), _MAX_COMMENT)


def _is_shown(name: str, delivery: Delivery) -> bool:
    return delivery.request is not None and name in ("request", "review", "state", "digest_sha256", "policy")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _who(requester: Principal | None) -> str:
    if requester is None:
        return "somebody who is not known any more"
    return f"{plain(requester.name)} ({plain(requester.account)}, {requester.kind})"


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters; what is cut off is said."""
    return text if len(text) <= most else f"{text[: most - 1]}…"

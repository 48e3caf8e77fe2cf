"""What makes a request risky, as sentences. There is no score: a person reads and decides."""

from __future__ import annotations

from typing import Final

from loglease.model.access_request import AccessRequest
from loglease.model.instant import NANOSECONDS, duration_text
from loglease.model.key_scope import linkable_in_words
from loglease.model.offer import Outcome
from loglease.model.principal import Kind, Principal

_DAY_S: Final = 86_400


def risk_statements(request: AccessRequest, requester: Principal | None) -> list[str]:
    """Return the statements that are true of a request, most serious first; empty if none is."""
    scopes = request.terms.scopes
    found = []
    if request.wish.reveal is not None:
        found.append("One masked value is shown as it was logged, once.")
    if any((scope.profile or "").partition("@")[0] == "raw" for scope in scopes):
        found.append("Lines are not masked: secrets and personal data are shown as they were logged.")
    if any(scope.all_streams for scope in scopes):
        found.append("It covers all streams of the source: no label limits it.")
    if (linkable := linkable_in_words(request.offer.shape.pseudonyms, request.offer.policy)) is not None:
        found.append(f"Pseudonyms reach beyond this grant: {linkable}.")
    if request.offer.outcome is Outcome.BREAK_GLASS:
        found.append("Break-glass: access starts at once and is reviewed afterwards.")
    for scope in scopes:
        if scope.window.live:
            found.append("Live tail: lines that are written while the grant runs are covered too.")
        span_s = _span_s(request)
        if span_s > _DAY_S:
            found.append(f"The event window reaches over {duration_text(span_s)}, more than 24 hours.")
            break
    if requester is not None and requester.kind is not Kind.HUMAN:
        found.append(f"An {requester.kind} asks." if requester.kind is Kind.AGENT else "A service asks, not a person.")
    return list(dict.fromkeys(found))


def _span_s(request: AccessRequest) -> int:
    """Return the longest event window in whole minutes; a live one counts up to its submission."""
    submitted_ns = request.submitted_at * 1_000
    spans = [
        (submitted_ns if scope.window.end_ns is None else scope.window.end_ns) - scope.window.start_ns
        for scope in request.terms.scopes
    ]
    return max(spans) // NANOSECONDS // 60 * 60

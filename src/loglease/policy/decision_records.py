"""Decisions as they are kept: all that one was made of, so that it can be made again by other documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from loglease.model.access_request import Wish
from loglease.model.digest import Canonical
from loglease.model.errors import LogLeaseError, Malformed
from loglease.model.extension import Extends
from loglease.model.ids import GrantId, PersonId, PrincipalId, SubjectId
from loglease.model.instant import EventWindow, Instant, instant_text, parse_instant
from loglease.model.key_scope import KeyScope
from loglease.model.limits import Limits
from loglease.model.offer import Offer, need_of
from loglease.model.principal import Kind, Principal
from loglease.model.reveal import Reveal
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector, selector_text
from loglease.policy.fact_records import facts_data, facts_of
from loglease.policy.observed import Facts
from loglease.policy.trace import Decision

FORMAT: Final = 1
ENGINE: Final = 1
"""Rises when the same documents and facts decide otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a decision, as far as two of them are compared.

    Attributes:
        policy: whose offer was taken, or is first; None for a denial.
        need: how many approvals it takes.
        profile: name of the redaction profile.
        pseudonyms: where equal values have equal pseudonyms.
        code: of the refusal, where that was looked at: it takes far longer than the denial itself.
    """

    policy: str | None
    outcome: str
    need: int = 0
    duration_s: int = 0
    profile: str = ""
    pseudonyms: KeyScope = KeyScope.GRANT
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """One decision, read again.

    Attributes:
        number: its line in the file, from 1.
        request: the request that came of it; None where it was refused.
        closed: why breaking the glass and automatic routes were closed to the principal.
    """

    number: int
    request: str | None
    at: Instant
    bundle_sha256: str
    principal: Principal
    wish: Wish
    facts: Facts
    closed: str | None
    answer: Answer


def decision_data(
    decision: Decision, *, request: str | None, taken: Offer | None, closed: str | None, zones: str
) -> dict[str, Canonical]:
    """Return a decision for the record: everything that it rests on but the people who could approve.

    The text of the reason is not among it, only how long it is.

    Args:
        request: the id of what came of it; None where it was refused.
        taken: the offer that was taken.
        closed: see `decide`.
        zones: version of the time-zone data.
    """
    asks = decision.principal
    data: dict[str, Canonical] = {
        "format": FORMAT,
        "engine": ENGINE,
        "zones": zones,
        "at": instant_text(decision.decided_at),
        "bundle": {"revision": decision.revision, "hash": f"sha256:{decision.bundle_sha256}"},
        "principal": {
            "id": asks.id,
            "issuer": asks.issuer,
            "account": asks.account,
            "kind": str(asks.kind),
            "groups": sorted(asks.groups),
        },
        "asked": _wish_data(decision.wish),
        "facts": facts_data(decision.facts),
        "guardrails": [one.guardrail.id for one in decision.guardrails if one.applies],
        "offers": [one.policy for one in decision.offers],
        "answer": answer_data(answer_of(decision, taken)),
    }
    data |= {"closed": closed} if closed is not None else {}
    data |= {"request": request} if request is not None else {}
    return data | ({"refusal": decision.code} if decision.code is not None else {})


def answer_of(decision: Decision, taken: Offer | None = None) -> Answer:
    """Return what came of a decision: by the offer that was taken, else by the first one."""
    offer = taken or (decision.offers[0] if decision.offers else None)
    if offer is None:
        return Answer(policy=None, outcome="deny")
    return Answer(
        policy=offer.policy,
        outcome=str(offer.outcome),
        need=need_of(offer.plans),
        duration_s=offer.terms.duration_s,
        profile=(offer.terms.scopes[0].profile or "").partition("@")[0],
        pseudonyms=offer.shape.pseudonyms,
    )


def answer_data(answer: Answer) -> dict[str, Canonical]:
    """Return an answer as plain values; absent instead of null."""
    if answer.policy is None:
        return {"outcome": answer.outcome}
    data: dict[str, Canonical] = {
        "policy": answer.policy,
        "outcome": answer.outcome,
        "approvals": answer.need,
        "duration_s": answer.duration_s,
        "redaction": answer.profile,
    }
    return data | ({} if answer.pseudonyms is KeyScope.GRANT else {"pseudonyms": str(answer.pseudonyms)})


def _wish_data(wish: Wish) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {
        "scopes": [_scope_data(scope) for scope in wish.scopes],
        "reason_length": len(wish.reason.strip()),
        "limits": dict(wish.limits.named()),
        "break_glass": wish.break_glass,
        "inputs": dict(wish.inputs),
    }
    data |= {"ticket": wish.ticket} if wish.ticket is not None else {}
    data |= {"reveal": _reveal_data(wish.reveal)} if wish.reveal is not None else {}
    if wish.extends is not None:
        data["extends"] = {"chain": list(wish.extends.chain), "policy": wish.extends.policy}
    return data | ({"duration_s": wish.duration_s} if wish.duration_s is not None else {})


def _reveal_data(reveal: Reveal) -> dict[str, Canonical]:
    return {
        "grant": reveal.grant,
        "policy": reveal.policy,
        "asked_at": instant_text(reveal.asked_at),
        "class": reveal.cls,
        "token": reveal.token,
        "source": reveal.source,
        "labels": [list(pair) for pair in reveal.labels],
        "event_ns": str(reveal.event_ns),
        "line_sha256": reveal.line_sha256,
        "span": reveal.span,
    }


def _scope_data(scope: Scope) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {
        "source": scope.source,
        "selector": selector_text(scope.selector),
        "from_ns": str(scope.window.start_ns),
        "contains": list(scope.contains),
    }
    data |= {"to_ns": str(scope.window.end_ns)} if scope.window.end_ns is not None else {}
    data |= {"level_from": str(scope.level_from)} if scope.level_from is not None else {}
    return data | ({"profile": scope.profile} if scope.profile is not None else {})


def read_decision(line: bytes, number: int) -> RecordedDecision:
    """Read one line of a file of decisions.

    Raises:
        Malformed: it is none, or of a format that this version does not know; the error says which line.
    """
    try:
        data = orjson.loads(line)
        if data["format"] != FORMAT:
            raise Malformed(f"Line {number} has format {data['format']!r}.", next_step="Export the decisions anew.")
        return decision_of(data, number)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, LogLeaseError) as error:
        if isinstance(error, Malformed) and "format" in error.message:
            raise
        raise Malformed(
            f"Line {number} is no recorded decision.", next_step="Export them with: loglease policy decisions"
        ) from error


def decision_of(data: Mapping[str, Any], number: int = 1) -> RecordedDecision:
    """Return a decision from what `decision_data` made of it.

    Raises:
        KeyError, TypeError, ValueError, LogLeaseError: it was not written so.
    """
    asks, answer = data["principal"], data["answer"]
    principal = Principal(
        id=PrincipalId(asks["id"]),
        issuer=asks["issuer"],
        account=asks["account"],
        kind=Kind(asks["kind"]),
        person=PersonId(asks["id"]),
        subject=SubjectId(asks["id"]),
        name=asks["account"],
        groups=frozenset(asks["groups"]),
    )
    return RecordedDecision(
        number=number,
        request=data.get("request"),
        at=parse_instant(data["at"]),
        bundle_sha256=data["bundle"]["hash"].removeprefix("sha256:"),
        principal=principal,
        wish=_wish(data["asked"]),
        facts=facts_of(data["facts"]),
        closed=data.get("closed"),
        answer=Answer(
            policy=answer.get("policy"),
            outcome=answer["outcome"],
            need=answer.get("approvals", 0),
            duration_s=answer.get("duration_s", 0),
            profile=answer.get("redaction", ""),
            pseudonyms=KeyScope(answer.get("pseudonyms", KeyScope.GRANT)),
            code=data.get("refusal"),
        ),
    )


def _wish(data: dict[str, Any]) -> Wish:
    return Wish(
        scopes=tuple(map(_scope, data["scopes"])),
        reason="x" * int(data["reason_length"]),
        ticket=data.get("ticket"),
        duration_s=data.get("duration_s"),
        limits=Limits(**data["limits"]),
        break_glass=bool(data["break_glass"]),
        inputs=dict(data["inputs"]),
        extends=_extends(data.get("extends")),
        reveal=_reveal(data.get("reveal")),
    )


def _reveal(data: dict[str, Any] | None) -> Reveal | None:
    if data is None:
        return None
    return Reveal(
        grant=GrantId(data["grant"]),
        policy=data["policy"],
        asked_at=parse_instant(data["asked_at"]),
        token=data["token"],
        cls=data["class"],
        source=data["source"],
        labels=tuple((str(name), str(value)) for name, value in data["labels"]),
        event_ns=int(data["event_ns"]),
        line_sha256=data["line_sha256"],
        span=int(data["span"]),
    )


def _extends(data: dict[str, Any] | None) -> Extends | None:
    if data is None:
        return None
    return Extends(chain=tuple(GrantId(one) for one in data["chain"]), policy=data["policy"])


def _scope(data: dict[str, Any]) -> Scope:
    end = data.get("to_ns")
    level = data.get("level_from")
    return Scope(
        source=data["source"],
        selector=parse_selector(data["selector"]),
        window=EventWindow(int(data["from_ns"]), None if end is None else int(end)),
        level_from=None if level is None else Level(level),
        contains=tuple(data["contains"]),
        profile=data.get("profile"),
    )

"""What a decision may tell its reader, as plain values; `explanation_text` renders the same as text.

A requester learns about policies that are for them or are discoverable, and about guardrails that applied; nothing else
of the bundle changes a byte of what they see. Auditors see all, and owners all of what is theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.ack import Ack
from loglease.model.digest import Canonical
from loglease.model.instant import MICROSECONDS, iso_duration
from loglease.model.key_scope import KeyScope
from loglease.model.offer import Offer, Plan
from loglease.model.selector_text import selector_text
from loglease.model.words import plain, scope_in_words
from loglease.policy.decision_records import ENGINE
from loglease.policy.documents import NETWORK, Guardrail
from loglease.policy.explanation_text import text_of
from loglease.policy.plan import stage_words, stages_words
from loglease.policy.remedies import is_split, touching
from loglease.policy.trace import Decision, Fix, GuardrailTrace, PolicyTrace, Seen, Step, StepName

MAX_SHOWN: Final = 20
_HIDDEN_STEPS: Final = frozenset({StepName.BUNDLE, StepName.GUARDRAIL})


class Viewer(StrEnum):
    """Who reads an explanation."""

    REQUESTER = "requester"
    APPROVER = "approver"
    OWNER = "owner"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explanation in both forms, which say the same."""

    data: dict[str, Canonical]

    @property
    def text(self) -> str:
        """What people read of it."""
        return text_of(self.data)


def explain(
    decision: Decision, viewer: Viewer, *, owned: Collection[str] = frozenset(), policy: str | None = None
) -> Explanation:
    """Explain a decision to a reader, real or hypothetical.

    Args:
        decision: by which rules, of which wish.
        viewer: what the reader may know.
        owned: the policies that the reader owns; to an OWNER nothing else is shown.
        policy: the one under which the request was made; to an APPROVER nothing else is shown.
    """
    own = frozenset(owned)
    among = {Viewer.OWNER: own, Viewer.APPROVER: frozenset(() if policy is None else (policy,))}.get(viewer)
    policies = _policies(decision, viewer, own, among)
    rails = [one for one in decision.guardrails if one.applies or viewer is Viewer.AUDITOR]
    if viewer is not Viewer.AUDITOR:
        rails = [one for one in rails if one.guardrail.enforced]
    offers = [one for one in decision.offers if among is None or one.policy in among]
    data: dict[str, Canonical] = {
        "outcome": "offer" if offers else "deny",
        "bundle": {"revision": decision.revision, "hash": f"sha256:{decision.bundle_sha256}"},
        "engine": ENGINE,
        "asked": {"by": plain(decision.principal.name), **wish_data(decision.wish)},
        "offers": [_offer(one) for one in offers],
        "guardrails": [_rail(one, viewer) for one in rails],
        "policies": [_policy(one, viewer) for one in policies],
    }
    return Explanation(data if among is not None else data | _advice(decision))


def _policies(
    decision: Decision, viewer: Viewer, owned: frozenset[str], among: frozenset[str] | None
) -> list[PolicyTrace]:
    """Choose whom to show, nearest first."""
    if among is not None:
        visible = decision.answers([one for one in decision.asked if one.id in among])
    elif viewer is Viewer.AUDITOR:
        visible = decision.policies
    else:
        visible = decision.own_and(lambda one: one.discoverable or one.id in owned)
    return sorted(visible, key=lambda one: (len(one.failed()), one.policy.id))[:MAX_SHOWN]


def _advice(decision: Decision) -> dict[str, Canonical]:
    """Return what would help whoever asked: the same for all who may see it."""
    data: dict[str, Canonical] = {"narrow_to": [wish_data(one) for one in decision.narrowed]}
    fixes = next_steps(decision)
    if Fix.SHORTEN in fixes and decision.shorter_s is not None:
        data["shorten_to"] = iso_duration(decision.shorter_s)
    refusal = decision.refusal
    if refusal is not None:
        data["refusal"] = {"code": refusal.code, "message": refusal.message}
    return data | {"next": [str(one) for one in fixes]}


def next_steps(decision: Decision) -> list[Fix]:
    """Return what whoever asked can do, in the order of the questions, of the nearest policies first.

    What a policy lacks is named only if nothing but such things stands between it and an offer.
    """
    if decision.offers:
        return [Fix.CHOOSE_OFFER] if len(decision.offers) > 1 else []
    near = sorted(decision.own, key=lambda one: (len(one.failed()), one.policy.id))
    found = dict.fromkeys(fix for one in near for fix in _fixes(one, decision))
    if decision.narrowed:
        found[Fix.NARROW] = None
    # What may be better after a sign-in, or with an answer, is worth that first; then there is more to say.
    if not found:
        close = touching(decision)
        found = dict.fromkeys(fix for one in near for fix in _first(one, close))
    if Fix.NARROW in found and is_split(decision.wish, decision.narrowed):
        found = {Fix.SPLIT if one is Fix.NARROW else one: None for one in found}
    if decision.opens_glass:
        found[Fix.BREAK_GLASS] = None
    return list(found) if set(found) - {Fix.BREAK_GLASS} else [Fix.ASK_OWNER, *found]


def _fixes(trace: PolicyTrace, decision: Decision) -> list[Fix]:
    """Return what would bring an offer of one policy about; nothing where that is not in the hands of who asks."""
    useless: set[Fix | None] = {None}
    useless |= set() if any(name == trace.policy.id for name, _ in decision.narrowed_by) else {Fix.NARROW}
    useless |= set() if decision.shorter_s is not None else {Fix.SHORTEN}
    fixes = [step.fix for step in trace.steps if not step.ok]
    return [] if useless & set(fixes) else [fix for fix in fixes if fix is not None]


def _first(trace: PolicyTrace, close: Collection[str]) -> list[Fix]:
    """Return what has to come first; nothing where a smaller wish is needed and the policy is not among the close."""
    fixes = [step.fix for step in trace.steps if not step.ok]
    if None in fixes or (Fix.NARROW in fixes and trace.policy.id not in close):
        return []
    return [fix for fix in fixes if fix in (Fix.SIGN_IN, Fix.WAIT_FOR_SOURCE)]


def wish_data(wish: Wish) -> dict[str, Canonical]:
    """Return what was asked, for programs."""
    scopes: list[Canonical] = []
    for scope in wish.scopes:
        data: dict[str, Canonical] = {
            "source": scope.source,
            "selector": selector_text(scope.selector),
            "from_ns": str(scope.window.start_ns),
            "live": scope.window.live,
            "words": scope_in_words(scope),
        }
        if scope.window.end_ns is not None:
            data["to_ns"] = str(scope.window.end_ns)
        if scope.level_from is not None:
            data["level_from"] = str(scope.level_from)
        if scope.contains:
            data["contains"] = list(scope.contains)
        if scope.profile is not None:
            data["profile"] = scope.profile
        scopes.append(data)
    asked: dict[str, Canonical] = {"scopes": scopes}
    if wish.extends is not None:
        asked["extends"] = {"grant": wish.extends.grant, "number": wish.extends.number}
    if wish.reveal is not None:
        asked["reveal"] = {"token": wish.reveal.token, "class": wish.reveal.cls, "span": wish.reveal.span}
    if wish.break_glass:
        asked["break_glass"] = True
    return asked | ({"duration": iso_duration(wish.duration_s)} if wish.duration_s is not None else {})


def _offer(offer: Offer) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {
        "offer": offer.number,
        "policy": offer.policy,
        "rule": offer.rule,
        "outcome": str(offer.outcome),
        "duration": iso_duration(offer.terms.duration_s),
        "redaction": offer.terms.scopes[0].profile or "",
        "approvals": offer.need,
        "plans": _plans(offer.plans),
    }
    if offer.shape.network_bound:
        data["bind"] = [NETWORK]
    if offer.shape.pseudonyms is not KeyScope.GRANT:
        data["pseudonyms"] = str(offer.shape.pseudonyms)
    if offer.shape.ack is not Ack.DURABLE:
        data["audit"] = str(offer.shape.ack)
    if offer.route is not None:
        data["route"] = offer.route
    if offer.after is not None:
        data["after_review"] = {"within": iso_duration(offer.after.within_s), "plans": _plans(offer.after.plans)}
    return data


def _plans(plans: Iterable[Plan]) -> list[Canonical]:
    return [{"origin": plan.origin, "stages": list(stages_words(plan))} for plan in plans]


def _rail(trace: GuardrailTrace, viewer: Viewer) -> dict[str, Canonical]:
    rail = trace.guardrail
    data: dict[str, Canonical] = {
        "id": rail.id,
        "title": rail.title,
        "applies": trace.applies,
        "mode": "enforce" if rail.enforced else "observe",
    }
    data |= {"deny": True} if rail.deny else {}
    data |= {"caps": caps} if (caps := _caps(rail)) else {}
    data |= {"at_least": rail.at_least} if rail.at_least is not None else {}
    data |= {"pseudonyms": str(rail.pseudonyms)} if rail.pseudonyms is not None else {}
    data |= {"audit": str(rail.ack)} if rail.ack is not None else {}
    data |= {"bind": [NETWORK]} if rail.network_bound else {}
    data |= {"require": stage_words(rail.require)} if rail.require is not None else {}
    if viewer is Viewer.AUDITOR and rail.condition is not None:
        data["leaf"] = rail.condition.text
    return data | ({"help": rail.help} if rail.help else {})


def _caps(rail: Guardrail) -> dict[str, Canonical]:
    caps = rail.caps
    data: dict[str, Canonical] = {}
    data |= {"duration": iso_duration(caps.duration_s)} if caps.duration_s is not None else {}
    data |= {"lookback": iso_duration(caps.lookback_s)} if caps.lookback_s is not None else {}
    return data | dict(caps.limits.named())


def _policy(trace: PolicyTrace, viewer: Viewer) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {"id": trace.policy.id, "title": trace.policy.title}
    if viewer is Viewer.AUDITOR:
        data["at"] = str(trace.policy.at)  # to others it would tell that something hidden before it grew or shrank
    if trace.policy.owner is not None:
        data["owner"] = trace.policy.owner
    # What is no answer of the policy itself stands with the guardrails, or below.
    steps: list[Canonical] = [_step(one) for one in trace.steps if one.name not in _HIDDEN_STEPS]
    data |= {"offer": trace.offer is not None, "steps": steps}
    return data | ({"routes": [_step(one) for one in trace.routes]} if trace.routes else {})


def _step(step: Step) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {"step": str(step.name), "ok": "fault" if step.is_fault else step.ok}
    data |= {"text": step.text} if step.text else {}
    data |= {"leaf": step.leaf} if step.leaf is not None else {}
    if len(step.seen) == 1:
        data |= _seen(step.seen[0])
    elif step.seen:
        data["facts"] = [{"name": one.name, **_seen(one)} for one in step.seen]
    if step.fix is None or step.ok:
        return data
    advice = None if step.refusal is None else step.refusal.next_step
    return data | {"fix": str(step.fix)} | ({} if advice is None else {"advice": advice})


def _seen(seen: Seen) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {"value": seen.value, "provider": seen.provider}
    return data if seen.age_us is None else {**data, "age": iso_duration(max(0, seen.age_us) // MICROSECONDS)}

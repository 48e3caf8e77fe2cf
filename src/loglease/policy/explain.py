"""What a decision may tell its reader: structured first, text rendered from that.

A requester learns about policies that are for them or are discoverable, and about guardrails that applied; nothing else
of the bundle changes a byte of what they see. Auditors and policy owners see all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.digest import Canonical
from loglease.model.instant import MICROSECONDS, duration_text
from loglease.model.offer import Joint, Offer, Outcome, Plan, Stage
from loglease.model.selector_text import selector_text
from loglease.model.words import plain, scope_in_words
from loglease.policy.documents import Guardrail
from loglease.policy.trace import Decision, Fix, GuardrailTrace, PolicyTrace, Seen, Step, StepName

MAX_SHOWN: Final = 20
_HIDDEN_STEPS: Final = frozenset({StepName.BUNDLE, StepName.GUARDRAIL})


class Viewer(StrEnum):
    """Who reads an explanation."""

    REQUESTER = "requester"
    APPROVER = "approver"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explanation in both forms, which say the same."""

    data: dict[str, Canonical]
    text: str


def explain(decision: Decision, viewer: Viewer) -> Explanation:
    """Explain a decision to a reader, real or hypothetical."""
    policies = _policies(decision, viewer)
    rails = [one for one in decision.guardrails if one.applies or viewer is Viewer.AUDITOR]
    if viewer is not Viewer.AUDITOR:
        rails = [one for one in rails if one.guardrail.enforced]
    data: dict[str, Canonical] = {
        "outcome": "offer" if decision.offers else "deny",
        "bundle": {"revision": decision.revision, "hash": f"sha256:{decision.bundle_sha256}"},
        "asked": wish_data(decision.wish),
        "offers": [_offer(one) for one in decision.offers],
        "guardrails": [_rail(one) for one in rails],
        "policies": [_policy(one, viewer) for one in policies],
        "narrow_to": [wish_data(one) for one in decision.narrowed],
        "next": [str(one) for one in _next(decision, policies)],
    }
    refusal = decision.refusal
    if refusal is not None:
        data["refusal"] = {"code": refusal.code, "message": refusal.message}
    return Explanation(data, _text(decision, rails, policies, viewer))


def _policies(decision: Decision, viewer: Viewer) -> list[PolicyTrace]:
    """Choose whom to show, nearest first."""
    match viewer:
        case Viewer.AUDITOR:
            visible = list(decision.policies)
        case Viewer.APPROVER:
            visible = [one for one in decision.own if one.offer is not None]
        case Viewer.REQUESTER:
            visible = [one for one in decision.policies if one.is_for or one.policy.discoverable]
    return sorted(visible, key=lambda one: (len(one.failed()), one.policy.id))[:MAX_SHOWN]


def _next(decision: Decision, policies: list[PolicyTrace]) -> list[Fix]:
    """Return what the reader can do, in the order of the questions."""
    if decision.offers:
        return [Fix.CHOOSE_OFFER] if len(decision.offers) > 1 else []
    fixes = [step.fix for one in policies for step in one.steps if not step.ok and step.fix is not None]
    helpful = dict.fromkeys(fixes)
    if not decision.narrowed:
        helpful.pop(Fix.NARROW, None)
    return list(helpful) or [Fix.ASK_OWNER]


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
    if wish.reveal is not None:
        asked["reveal"] = {"token": wish.reveal.token, "class": wish.reveal.cls, "span": wish.reveal.span}
    if wish.break_glass:
        asked["break_glass"] = True
    return asked | ({"duration_s": wish.duration_s} if wish.duration_s is not None else {})


def _offer(offer: Offer) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {
        "offer": offer.number,
        "policy": offer.policy,
        "rule": offer.rule,
        "outcome": str(offer.outcome),
        "duration_s": offer.terms.duration_s,
        "approvals": offer.need,
        "plans": _plans(offer.plans),
    }
    if offer.after is not None:
        data["after_review"] = {"within_s": offer.after.within_s, "plans": _plans(offer.after.plans)}
    return data


def _plans(plans: Iterable[Plan]) -> list[Canonical]:
    return [{"origin": plan.origin, "stages": list(stages_words(plan))} for plan in plans]


def stages_words(plan: Plan) -> tuple[str, ...]:
    """Say who has to approve, stage after stage."""
    return tuple(map(_stage_words, plan.stages))


def _stage_words(stage: Stage) -> str:
    joint = " and " if stage.joint is Joint.ALL else " or "
    words = joint.join(f"{block.need} of {', '.join(block.approvers)}" for block in stage.blocks)
    also = stage.escalate
    return words if also is None else f"{words}, after {duration_text(also.after_s)} also {', '.join(also.to)}"


def _rail(trace: GuardrailTrace) -> dict[str, Canonical]:
    rail = trace.guardrail
    data: dict[str, Canonical] = {
        "id": rail.id,
        "title": rail.title,
        "applies": trace.applies,
        "mode": "enforce" if rail.enforced else "observe",
        "effects": _effects(rail),
    }
    return data | ({"help": rail.help} if rail.help else {})


def _effects(rail: Guardrail) -> list[Canonical]:
    caps = rail.caps
    effects: list[Canonical] = ["denied"] if rail.deny else []
    effects += [f"duration at most {duration_text(caps.duration_s)}"] if caps.duration_s is not None else []
    effects += [f"at most {duration_text(caps.lookback_s)} back"] if caps.lookback_s is not None else []
    effects += [f"{name} at most {value:,}" for name, value in caps.limits.named().items()]
    effects += [f"redaction at least {rail.at_least}"] if rail.at_least is not None else []
    return effects + ([f"also {_stage_words(rail.require)}"] if rail.require is not None else [])


def _policy(trace: PolicyTrace, viewer: Viewer) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {"id": trace.policy.id, "title": trace.policy.title}
    if viewer is Viewer.AUDITOR:
        data["at"] = str(trace.policy.at)  # to others it would tell that something hidden before it grew or shrank
    if trace.policy.owner is not None:
        data["owner"] = trace.policy.owner
    steps: list[Canonical] = [_step(one) for one in _shown_steps(trace)]
    return data | {"offer": trace.offer is not None, "steps": steps}


def _shown_steps(trace: PolicyTrace) -> list[Step]:
    """Leave out what is no answer of the policy itself: it stands with the guardrails, or below."""
    return [one for one in trace.steps if one.name not in _HIDDEN_STEPS]


def _step(step: Step) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {"step": str(step.name), "ok": "fault" if step.is_fault else step.ok}
    data |= {"text": step.text} if step.text else {}
    data |= {"leaf": step.leaf} if step.leaf is not None else {}
    data |= {"facts": [_seen(one) for one in step.seen]} if step.seen else {}
    return data | ({"fix": str(step.fix)} if step.fix is not None else {})


def _seen(seen: Seen) -> dict[str, Canonical]:
    data: dict[str, Canonical] = {"name": seen.name, "value": seen.value, "provider": seen.provider}
    return data if seen.age_us is None else {**data, "age_s": seen.age_us // MICROSECONDS}


def _text(decision: Decision, rails: list[GuardrailTrace], policies: list[PolicyTrace], viewer: Viewer) -> str:
    verdict = f"OFFERED {len(decision.offers)}" if decision.offers else "DENIED"
    lines = [f"{verdict}  bundle {decision.revision} sha256:{decision.bundle_sha256[:12]}…"]
    wish, name = decision.wish, plain(decision.principal.name)
    lines += [f" asked       {name}: {scope_in_words(scope, None, wish.duration_s)}" for scope in wish.scopes]
    lines += [f" guardrails  {_listed(_effects(one.guardrail))} ({_standing(one)})" for one in rails]
    lines += [
        f" offer {one.number}     {one.policy}: {duration_text(one.terms.duration_s)}, {_approval_words(one)}"
        for one in decision.offers
    ]
    for policy in policies:
        where = f"   {policy.policy.at}" if viewer is Viewer.AUDITOR else ""
        lines.append(f" {policy.policy.id}{where}")
        lines += [_step_line(step) for step in _shown_steps(policy)]
    refusal = decision.refusal
    if refusal is not None:
        lines.append(f" because     {refusal.message}")
    lines += [f" narrow to   {scope_in_words(scope)}" for one in decision.narrowed for scope in one.scopes]
    following = ", ".join(str(one) for one in _next(decision, policies))
    return "\n".join([*lines, *([f" next        {following}"] if following else [])])


def _standing(trace: GuardrailTrace) -> str:
    """Name a guardrail, and say if it changes nothing: others than auditors never see such a one."""
    if not trace.applies:
        return f"{trace.guardrail.id}, does not apply"
    return trace.guardrail.id if trace.guardrail.enforced else f"{trace.guardrail.id}, only observes"


def _listed(words: list[Canonical]) -> str:
    return ", ".join(str(word) for word in words)


def _approval_words(offer: Offer) -> str:
    if offer.outcome is not Outcome.REVIEW:
        afterwards = "" if offer.after is None else f", looked at within {duration_text(offer.after.within_s)}"
        return f"{'automatic' if offer.outcome is Outcome.AUTO else 'at once'}{afterwards}"
    return f"{offer.need} approval{'' if offer.need == 1 else 's'}"


def _step_line(step: Step) -> str:
    fix = f"  -> {step.fix}" if step.fix is not None and not step.ok else ""
    seen = "".join(f"; {one.name} is {one.value}{_source(one)}" for one in step.seen)
    return f"   {'ok' if step.ok else 'no'}  {step.name:<8} {step.text}{seen}{fix}".rstrip()


def _source(seen: Seen) -> str:
    """Say who says so, and since when; a sum of ours has neither."""
    if seen.age_us is None:
        return ""
    return f" ({seen.provider}, {duration_text(seen.age_us // MICROSECONDS)} old)"

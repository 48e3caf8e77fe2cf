"""Policies and approver sets, field by field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.model.extension import ExtendRule
from loglease.model.instant import duration_text
from loglease.model.reveal import is_class_among
from loglease.policy.difference.acks import compare_acks
from loglease.policy.difference.found import OPPOSITE, Comparison, Verdict
from loglease.policy.difference.key_scopes import compare_key_scopes
from loglease.policy.difference.plans import compare_stage, compare_stages
from loglease.policy.difference.redaction import compare_redaction
from loglease.policy.difference.scopes import compare_scopes
from loglease.policy.difference.words import bindings, route_text, routes_text, stages_text
from loglease.policy.documents import (
    AccessPolicy,
    AfterRule,
    ApproverSet,
    AskRule,
    BreakGlass,
    GrantRule,
    KeepRule,
    RevealRule,
    Route,
    StandInRule,
    TicketRule,
    Tightening,
    Who,
)
from loglease.policy.profiles import Profiles

# Fields that decide nothing are known, too: id, title, owner, review_by. `exclusive` is compared in `exclusive`, since
# it is about other policies.
_POLICY: Final = (
    "id", "title", "owner", "review_by", "exclusive", "discoverable", "who", "scopes", "ask", "when", "grant", "routes",
    "approver_when", "pending_max_s",
)  # fmt: skip
_SHARED: Final = (
    "max_s", "activate_within_s", "single_use", "idle_timeout_s", "limits", "redaction", "network_bound",
    "pseudonyms", "ack", "extend",
)  # fmt: skip


def compare_policies(found: Comparison, old: AccessPolicy, new: AccessPolicy, profiles: Profiles) -> None:
    """Compare what two versions of a policy give."""
    found.flag("discoverable", old=old.discoverable, new=new.discoverable)
    _compare_who(found.inside("who."), old.who, new.who)
    compare_scopes(found, old.scopes, new.scopes)
    _compare_ask(found.inside("ask."), old.ask, new.ask)
    found.condition("when", old.when, new.when)
    _compare_grants(found.inside("grant."), old.grant, new.grant, profiles)
    _compare_routes(found, old.routes, new.routes, profiles)
    found.condition("approver_when", old.approver_when, new.approver_when)
    found.ordered("pending_max", old.pending_max_s, new.pending_max_s, text=duration_text)
    found.rest(old, new, _POLICY)


def compare_sets(found: Comparison, old: ApproverSet, new: ApproverSet) -> None:
    """Compare who may approve; more people approve more easily."""
    found.names("any_of", old.any_of, new.any_of)
    found.names("none_of", old.none_of, new.none_of, more=Verdict.NARROWS)
    found.ordered("at_least", old.at_least, new.at_least, more=Verdict.NARROWS)
    _compare_stand_ins(found, old.stand_ins, new.stand_ins)
    found.rest(old, new, ("id", "any_of", "none_of", "at_least", "stand_ins"))


def _compare_stand_ins(found: Comparison, old: StandInRule | None, new: StandInRule | None) -> None:
    if old is None or new is None:
        if old is not new:
            verdict = Verdict.NARROWS if new is None else Verdict.WIDENS
            found.add(verdict, "stand_ins", _stand_ins_text(old), _stand_ins_text(new))
        return
    found.names("stand_ins.from", old.approvers, new.approvers)
    found.ordered("stand_ins.max", old.max_s, new.max_s, text=duration_text)
    found.inside("stand_ins.").rest(old, new, ("approvers", "max_s"))


def _stand_ins_text(rule: StandInRule | None) -> str | None:
    return None if rule is None else f"{', '.join(rule.approvers)} for {duration_text(rule.max_s)}"


def _compare_who(found: Comparison, old: Who, new: Who) -> None:
    found.names("kinds", old.kinds, new.kinds)
    found.names("any_of", old.any_of, new.any_of)
    found.names("none_of", old.none_of, new.none_of, more=Verdict.NARROWS)
    found.rest(old, new, ("kinds", "any_of", "none_of"))


def _compare_ask(found: Comparison, old: AskRule, new: AskRule) -> None:
    found.ordered("reason.min", old.reason_min, new.reason_min, more=Verdict.NARROWS)
    if old.ticket != new.ticket:
        verdict = Verdict.UNDECIDED  # one pattern inside another is nothing that we prove
        if old.ticket is None or new.ticket is None:
            verdict = Verdict.WIDENS if new.ticket is None else Verdict.NARROWS
        found.add(verdict, "ticket", _ticket_text(old.ticket), _ticket_text(new.ticket))
    found.rest(old, new, ("reason_min", "ticket"))


def _ticket_text(rule: TicketRule | None) -> str | None:
    return None if rule is None else f"{rule.key} of {rule.tracker}"


def _compare_grants(found: Comparison, old: GrantRule, new: GrantRule, profiles: Profiles) -> None:
    found.ordered("duration.default", old.default_s, new.default_s, text=duration_text)
    _compare_shared(found, old, new)
    _compare_extensions(found, old.extend, new.extend, one=Verdict.WIDENS)
    compare_redaction(found, "redaction", old.redaction, new.redaction, profiles, gives=True)
    _compare_reveals(found, old.reveal, new.reveal)
    if old.cut_on_change != new.cut_on_change:
        words = ("cut" if one.cut_on_change else "finish" for one in (old, new))
        found.add(Verdict.NARROWS if new.cut_on_change else Verdict.WIDENS, "on_change", *words)
    _compare_keep(found, old.keep, new.keep)
    found.rest(old, new, ("default_s", "reveal", "keep", "cut_on_change", *_SHARED))


def _compare_keep(found: Comparison, old: KeepRule | None, new: KeepRule | None) -> None:
    if old is None or new is None:
        if old is not new:
            verdict = Verdict.WIDENS if new is None else Verdict.NARROWS
            found.add(verdict, "keep", _keep_text(old), _keep_text(new))
        return
    part = found.inside("keep.")
    part.condition("when", old.when, new.when)
    part.ordered("every", old.every_s, new.every_s, text=duration_text)
    part.rest(old, new, ("when", "every_s"))


def _keep_text(rule: KeepRule | None) -> str | None:
    return None if rule is None else f"{rule.when.text}, else {rule.otherwise}"


def _compare_shared(found: Comparison, old: GrantRule | Tightening, new: GrantRule | Tightening) -> None:
    """Compare what the grant of a policy and that of a route have in common."""
    found.ordered("duration.max", old.max_s, new.max_s, text=duration_text)
    found.ordered("activate_within", old.activate_within_s, new.activate_within_s, text=duration_text)
    found.flag("single_use", old=old.single_use, new=new.single_use, on=Verdict.NARROWS)
    found.ordered("idle_timeout", old.idle_timeout_s, new.idle_timeout_s, text=duration_text)
    found.limits("limits.", old.limits, new.limits)
    found.names("bind", bindings(old), bindings(new), more=Verdict.NARROWS)
    compare_key_scopes(found, "pseudonyms", old.pseudonyms, new.pseudonyms)
    compare_acks(found, "audit", old.ack, new.ack)


def _compare_extensions(found: Comparison, old: ExtendRule | None, new: ExtendRule | None, *, one: Verdict) -> None:
    """Compare how grants are extended; `one` says what it does to have a rule where there was none."""
    if old is None or new is None:
        if old is not new:
            found.add(one if new is not None else OPPOSITE[one], "extend", _extend_text(old), _extend_text(new))
        return
    found.ordered("extend.times", old.times, new.times)
    found.ordered("extend.by", old.by_s, new.by_s, text=duration_text)
    found.inside("extend.").rest(old, new, ("times", "by_s"))


def _extend_text(rule: ExtendRule | None) -> str | None:
    return None if rule is None else f"{rule.times} by {duration_text(rule.by_s)}"


def _compare_reveals(found: Comparison, old: RevealRule | None, new: RevealRule | None) -> None:
    if old is None or new is None:
        if old is not new:
            found.add(
                Verdict.NARROWS if new is None else Verdict.WIDENS, "reveal", _reveal_text(old), _reveal_text(new)
            )
        return
    came = [one for one in new.classes if not is_class_among(one, old.classes)]
    went = [one for one in old.classes if not is_class_among(one, new.classes)]
    if came:
        found.add(Verdict.WIDENS, "reveal.classes", None, ", ".join(came))
    if went:
        found.add(Verdict.NARROWS, "reveal.classes", ", ".join(went), None)
    compare_stages(found, "reveal.stages", old.stages, new.stages)
    found.inside("reveal.").rest(old, new, ("classes", "stages"))


def _reveal_text(rule: RevealRule | None) -> str | None:
    return None if rule is None else f"{', '.join(rule.classes)}: {stages_text(rule.stages)}"


def _compare_routes(found: Comparison, old: Sequence[Route], new: Sequence[Route], profiles: Profiles) -> None:
    """Compare route by route; a condition that differs, or a route more or less, can move any request anywhere."""
    if len(old) != len(new):
        found.add(Verdict.UNDECIDED, "approve", routes_text(old), routes_text(new))
        return
    for number, (before, after) in enumerate(zip(old, new, strict=True)):
        part = found.inside(f"approve[{number}].", after.at)
        if _text(before) != _text(after):
            part.add(Verdict.UNDECIDED, "if", _text(before), _text(after))
        if before.auto != after.auto:
            verdict = Verdict.WIDENS if after.auto else Verdict.NARROWS
            part.add(verdict, "auto" if after.auto else "stages", route_text(before), route_text(after))
        else:
            compare_stages(part, "stages", before.stages, after.stages)
        _compare_after(part, before.after_review, after.after_review)
        grant = part.inside("grant.")
        _compare_shared(grant, before.grant, after.grant)
        _compare_extensions(grant, before.grant.extend, after.grant.extend, one=Verdict.NARROWS)
        compare_redaction(grant, "redaction", before.grant.redaction, after.grant.redaction, profiles)
        grant.rest(before.grant, after.grant, _SHARED)
        part.names("notify", before.notify or (), after.notify or (), more=Verdict.NARROWS)
        part.rest(before, after, ("number", "condition", "auto", "stages", "grant", "after_review", "notify"))


def _compare_after(found: Comparison, old: AfterRule | None, new: AfterRule | None) -> None:
    """Compare who looks afterwards; that nobody does any more means fewer eyes on it."""
    if old is None or new is None:
        if old is not new:
            verdict = Verdict.WIDENS if new is None else Verdict.NARROWS
            found.add(verdict, "after_review", _after_text(old), _after_text(new))
        return
    part = found.inside("after_review.")
    compare_stage(part, "stage", old.stage, new.stage)
    part.ordered("within", old.within_s, new.within_s, text=duration_text)
    part.names("escalate.to", old.escalate_to, new.escalate_to)
    part.rest(old, new, ("slots", "within_s", "escalate_to"))


def _after_text(rule: AfterRule | None) -> str | None:
    return None if rule is None else f"{stages_text((rule.stage,))} within {duration_text(rule.within_s)}"


def compare_emergencies(found: Comparison, old: BreakGlass, new: BreakGlass, profiles: Profiles) -> None:
    """Compare what two versions of a BreakGlass give, and what it costs."""
    compare_policies(found, old.policy, new.policy, profiles)
    found.ordered("step_up.within", old.step_up_s, new.step_up_s, text=duration_text)
    found.names("notify", old.notify, new.notify, more=Verdict.NARROWS)
    rate = found.inside("rate.")
    rate.ordered("per_person", old.rate.per_person, new.rate.per_person)
    rate.ordered("window", old.rate.window_s, new.rate.window_s, text=duration_text, more=Verdict.NARROWS)
    rate.ordered("alarm_at", old.rate.alarm_at, new.rate.alarm_at)
    rate.rest(old.rate, new.rate, ("per_person", "window_s", "alarm_at"))
    found.rest(old, new, ("id", "policy", "step_up_s", "notify", "rate"))


def _text(route: Route) -> str | None:
    return None if route.condition is None else route.condition.text

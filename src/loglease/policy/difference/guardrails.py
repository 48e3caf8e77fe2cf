"""Guardrails: the other way round, since they only take away."""

from __future__ import annotations

from typing import Final

from loglease.model.instant import duration_text
from loglease.policy.difference.acks import compare_acks
from loglease.policy.difference.found import Comparison, Verdict
from loglease.policy.difference.key_scopes import compare_key_scopes
from loglease.policy.difference.plans import compare_required
from loglease.policy.difference.redaction import compare_redaction, only_takes_away
from loglease.policy.difference.scopes import compare_selector
from loglease.policy.difference.words import bindings, guardrail_text
from loglease.policy.documents import Applies, Guardrail
from loglease.policy.profiles import Profiles

_KNOWN: Final = (
    "id", "title", "help", "enforced", "even_break_glass", "applies", "condition", "caps", "at_least", "deny",
    "require", "notify", "network_bound", "pseudonyms", "ack",
)  # fmt: skip


def compare_guardrails(found: Comparison, old: Guardrail | None, new: Guardrail | None, profiles: Profiles) -> None:
    """Compare two versions of a guardrail; one that only observes is as good as none."""
    if old is None or new is None or old.enforced != new.enforced:
        _compare_presence(found, old, new, profiles)
    elif new.enforced:
        _compare_enforced(found, old, new, profiles)


def _compare_presence(found: Comparison, old: Guardrail | None, new: Guardrail | None, profiles: Profiles) -> None:
    place, text = ("guardrail", guardrail_text) if old is None or new is None else ("mode", _mode)
    before, after = (None if one is None else text(one) for one in (old, new))
    if new is not None and new.enforced:
        found.add(_applying(new, profiles), place, before, after)
    elif old is not None and old.enforced:
        found.add(Verdict.WIDENS, place, before, after)


def _mode(rail: Guardrail) -> str:
    return "enforce" if rail.enforced else "observe"


def _applying(rail: Guardrail, profiles: Profiles) -> Verdict:
    """Return what it does that a guardrail applies to more requests."""
    return Verdict.NARROWS if only_takes_away(rail.at_least, profiles) else Verdict.UNDECIDED


def _compare_enforced(found: Comparison, old: Guardrail, new: Guardrail, profiles: Profiles) -> None:
    applying = _applying(new, profiles)
    found.flag("even_break_glass", old=old.even_break_glass, new=new.even_break_glass, on=Verdict.NARROWS)
    _compare_applies(found.inside("applies."), old.applies, new.applies, applying)
    if old.condition is None or new.condition is not None:
        found.condition("if", old.condition, new.condition, one=Verdict.WIDENS)
    else:
        found.add(applying, "if", old.condition.text, None)
    caps = found.inside("caps.")
    caps.ordered("duration", old.caps.duration_s, new.caps.duration_s, text=duration_text)
    caps.ordered("lookback", old.caps.lookback_s, new.caps.lookback_s, text=duration_text)
    caps.limits("", old.caps.limits, new.caps.limits)
    caps.rest(old.caps, new.caps, ("duration_s", "lookback_s", "limits"))
    compare_redaction(found, "at_least.redaction", old.at_least, new.at_least, profiles)
    compare_key_scopes(found, "at_least.pseudonyms", old.pseudonyms, new.pseudonyms)
    compare_acks(found, "at_least.audit", old.ack, new.ack)
    found.flag("deny", old=old.deny, new=new.deny, on=Verdict.NARROWS)
    compare_required(found, "require.stage", old.require, new.require)
    found.names("add.notify", old.notify or (), new.notify or (), more=Verdict.NARROWS)
    found.names("add.bind", bindings(old), bindings(new), more=Verdict.NARROWS)
    found.rest(old, new, _KNOWN)


def _compare_applies(found: Comparison, old: Applies, new: Applies, applying: Verdict) -> None:
    if old.sources is None or new.sources is None:
        if old.sources is not new.sources:
            sides = ("every source" if one is None else ", ".join(sorted(one)) for one in (old.sources, new.sources))
            found.add(applying if new.sources is None else Verdict.WIDENS, "sources", *sides)
    else:
        came, went = sorted(new.sources - old.sources), sorted(old.sources - new.sources)
        if came:
            found.add(applying, "sources", None, ", ".join(came))
        if went:
            found.add(Verdict.WIDENS, "sources", ", ".join(went), None)
    compare_selector(found, "labels", old.selector, new.selector, more=applying, less=Verdict.WIDENS)
    found.rest(old, new, ("sources", "selector"))

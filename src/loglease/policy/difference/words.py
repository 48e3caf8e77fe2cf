"""Parts of policies in a few words, as both sides of a difference are shown."""

from __future__ import annotations

from collections.abc import Iterable

from loglease.model.instant import duration_text
from loglease.model.offer import Escalation, Joint, Stage
from loglease.model.scope import Level
from loglease.model.selector_text import selector_text
from loglease.policy.documents import NETWORK, AccessPolicy, GrantRule, Guardrail, Route, ScopeRule, Tightening


def stage_text(stage: Stage) -> str:
    """Write a stage: ``1 of group:leads``."""
    joint = " and " if stage.joint is Joint.ALL else " or "
    words = joint.join(f"{block.need} of {', '.join(block.approvers)}" for block in stage.blocks)
    return words if stage.escalate is None else f"{words}, {escalation_text(stage.escalate)}"


def escalation_text(also: Escalation) -> str:
    """Write an escalation: ``after 30m also group:leads``."""
    return f"after {duration_text(also.after_s)} also {', '.join(also.to)}"


def stages_text(stages: Iterable[Stage]) -> str:
    """Write the stages of a plan."""
    return "; then ".join(map(stage_text, stages))


def route_text(route: Route) -> str:
    """Write what a route demands: ``automatic``, or its stages."""
    return "automatic" if route.auto else stages_text(route.stages)


def routes_text(routes: Iterable[Route]) -> str:
    """Write all routes in their order."""
    return " | ".join(
        f"{'otherwise' if one.condition is None else f'if {one.condition.text}'}: {route_text(one)}" for one in routes
    )


def level_text(level: Level | None) -> str:
    """Write a lowest level."""
    return "every level" if level is None else str(level)


def literals_text(literals: Iterable[str]) -> str:
    """Write literals that lines must contain."""
    return ", ".join(f"'{one}'" for one in literals) or "none"


def entry_text(rule: ScopeRule) -> str:
    """Write an entry of `scopes`."""
    parts = [f"{selector_text(rule.selector)} on {', '.join(rule.sources)}"]
    if rule.level_from is not None:
        parts.append(f"from {rule.level_from}")
    if rule.contains:
        parts.append(f"with {literals_text(rule.contains)}")
    parts.append(f"{duration_text(rule.lookback_s)} back{' and live' if rule.live else ''}")
    return ", ".join(parts)


def policy_text(policy: AccessPolicy) -> str:
    """Write whom a policy is for, what it gives and who has to agree."""
    entries = "; ".join(map(entry_text, policy.scopes))
    return f"{', '.join(policy.who.any_of)}: {entries}; {routes_text(policy.routes)}"


def bindings(rule: GrantRule | Tightening | Guardrail) -> tuple[str, ...]:
    """Return what a rule binds grants to, in the words of documents."""
    return (NETWORK,) if rule.network_bound else ()


def guardrail_text(rail: Guardrail) -> str:
    """Write what a guardrail does, and to which requests."""
    sources = "every source" if rail.applies.sources is None else ", ".join(sorted(rail.applies.sources))
    caps = {"duration": rail.caps.duration_s, "lookback": rail.caps.lookback_s}
    effects = [
        *(["deny"] if rail.deny else []),
        *(f"{name} at most {duration_text(value)}" for name, value in caps.items() if value is not None),
        *(f"{name} at most {value:,}" for name, value in rail.caps.limits.named().items()),
        *([] if rail.at_least is None else [f"at least {rail.at_least}"]),
        *([] if rail.pseudonyms is None else [f"pseudonyms over the {rail.pseudonyms} at most"]),
        *([] if rail.ack is None else [f"recorded as {rail.ack} at least"]),
        *([] if rail.require is None else [stage_text(rail.require)]),
        *(f"bind to the {name}" for name in bindings(rail)),
        *([] if rail.notify is None else [f"tell {', '.join(rail.notify)}"]),
    ]
    return f"{selector_text(rail.applies.selector)} on {sources}: {', '.join(effects)}"

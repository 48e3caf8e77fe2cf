"""What a policy says of the conditions and claims of a request: `ask`, `when` and `keep`, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import re2

from loglease.model.access_request import Wish
from loglease.model.instant import Instant
from loglease.policy.bundle import Bundle
from loglease.policy.conditions import ABSENT, Condition, Fault
from loglease.policy.conditions.compiling import Part, Path
from loglease.policy.conditions.types import Bool, Int
from loglease.policy.conditions.values import Value
from loglease.policy.documents import AccessPolicy, AskRule, FactRule, InputRule, Route, TicketRule
from loglease.policy.fact_values import fitting, named
from loglease.policy.observed import Facts
from loglease.policy.plan import Refusal
from loglease.policy.roots import PRESENCE
from loglease.policy.scalars import integer
from loglease.policy.seen import in_words, seen_in
from loglease.policy.trace import Fix, Seen, Step, StepName

MAX_TICKET: Final = 128
_SIGN_IN: Final = "identity"
_DURATION: Final = ("req", "duration")
_ADVICE: Final = {
    Fix.SIGN_IN: "Sign in again, then repeat.",
    Fix.WAIT_FOR_SOURCE: "Try again in a moment.",
    Fix.ATTACH_TICKET: "Name a ticket that fits.",
    Fix.FILL_INPUT: "Fill in what the policy asks for.",
    Fix.NARROW: "Ask for less, or ask the owner of the policy.",
    Fix.SHORTEN: "Ask for less time.",
    Fix.ASK_OWNER: "Ask the owner of the policy.",
}


_YES: Final[Mapping[StepName, list[Step]]] = {
    name: [Step(name, ok=True, text="")] for name in (StepName.ASK, StepName.WHEN, StepName.KEEP)
}
"""Answers whose words nobody reads."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What conditions are asked against: the bundle, what they may read, and where the facts came from.

    Attributes:
        tells: name all that was read, also where it stands in nobody's way.
    """

    bundle: Bundle
    roots: Mapping[str, Value]
    facts: Facts
    now: Instant
    tells: bool = False


def ask_values(rule: AskRule, wish: Wish) -> dict[str, Value]:
    """Return `ask`: what the requester claims, where it fits; what is missing or does not fit is in fault or absent."""
    return {one.name: _claim(one, wish) for one in rule.inputs}


def _claim(rule: InputRule, wish: Wish) -> Value:
    text = wish.inputs.get(rule.name, "").strip()
    if not text:
        return Fault("it was not filled in") if rule.required else ABSENT
    match rule.type:
        case Bool():
            return text == "true" if text in ("true", "false") else Fault("it is true or false")
        case Int():
            number = integer(text)
            return Fault("it is a whole number") if number is None else number
        case _:
            return fitting(rule.type, text)


def ask_steps(policy: AccessPolicy, wish: Wish, reading: Reading) -> list[Step]:
    """Check reason, ticket and inputs, whatever the client checked before."""
    found = [] if len(wish.reason.strip()) >= policy.ask.reason_min else [_reason(policy, wish)]
    if policy.ask.ticket is not None:
        found += _ticket(policy, policy.ask.ticket, wish.ticket, reading)
    if policy.ask.inputs:
        found += _inputs(policy, wish)
    return found or _YES[StepName.ASK]


def _reason(policy: AccessPolicy, wish: Wish) -> Step:
    reason, least = wish.reason.strip(), policy.ask.reason_min
    refusal = Refusal(
        code="reason_required",
        message=f"The reason has {len(reason)} characters; the policy asks for {least} or more.",
        next_step="Say in a sentence why you need this.",
        rule=policy.id,
    )
    text = f"the reason is shorter than {least} characters"
    return Step(StepName.ASK, ok=False, text=text, fix=Fix.FILL_INPUT, refusal=refusal)


def _ticket(policy: AccessPolicy, rule: TicketRule, ticket: str | None, reading: Reading) -> Iterator[Step]:
    if ticket is None or not _is_ticket(rule.key, ticket):
        code = "ticket_required" if ticket is None else "ticket_invalid"
        what = "A ticket is missing." if ticket is None else "The ticket does not have the form of the policy."
        refusal = Refusal(
            code=code, message=what, next_step=f"Name a ticket of {rule.tracker} like {rule.key}.", rule=policy.id
        )
        yield Step(StepName.ASK, ok=False, text=what.lower().rstrip("."), fix=Fix.ATTACH_TICKET, refusal=refusal)
    elif rule.state is not None:
        yield from (one for one in condition_steps(StepName.ASK, rule.state, policy, reading) if not one.ok)


def _is_ticket(pattern: str, ticket: str) -> bool:
    return len(ticket) <= MAX_TICKET and re2.fullmatch(pattern, ticket) is not None


def _inputs(policy: AccessPolicy, wish: Wish) -> Iterator[Step]:
    for rule in policy.ask.inputs:
        claim = _claim(rule, wish)
        if isinstance(claim, Fault):
            refusal = Refusal(
                code="input_required",
                message=f"{rule.label}: {claim.reason}.",
                next_step=f"Fill in '{rule.name}'.",
                rule=policy.id,
            )
            text = f"{rule.name}: {claim.reason}"
            yield Step(StepName.ASK, ok=False, text=text, fix=Fix.FILL_INPUT, refusal=refusal)


def when_steps(policy: AccessPolicy, reading: Reading) -> list[Step]:
    """Ask what the policy demands besides; each part of it that does not hold is named."""
    return [] if policy.when is None else condition_steps(StepName.WHEN, policy.when, policy, reading)


def keep_steps(policy: AccessPolicy, reading: Reading) -> list[Step]:
    """Ask what has to stay true while a grant is used."""
    keep = policy.grant.keep
    return [] if keep is None else condition_steps(StepName.KEEP, keep.when, policy, reading)


def condition_steps(name: StepName, condition: Condition, policy: AccessPolicy, reading: Reading) -> list[Step]:
    """Return one step where a condition holds, else one for each part that does not; all parts where `tells` is set."""
    if not reading.tells and condition.answer(reading.roots) is True:
        return _YES[name]
    steps = []
    for part in condition.parts:
        answer = part.answer(reading.roots)
        if answer is not True:
            why = answer.reason if isinstance(answer, Fault) else None
            steps.append(_no(name, part, part.paths & condition.reads, why, policy, reading))
        elif reading.tells:
            seen = _seen(part.paths & condition.reads, reading)
            steps.append(Step(name, ok=True, text=part.text, leaf=part.text, seen=seen))
    return steps


def _no(
    name: StepName, part: Part, paths: frozenset[Path], fault: str | None, policy: AccessPolicy, reading: Reading
) -> Step:
    """Say that a part does not hold, or why it cannot be told."""
    seen = _seen(paths, reading)
    is_outage = fault is not None and is_out(paths, reading)
    fix = Fix.WAIT_FOR_SOURCE if is_outage else _fix(paths, reading.bundle)
    why, values = "does not hold", ", ".join(f"{one.name} is {in_words(one.value)}" for one in seen)
    if fault is not None:
        why, values = f"cannot be told: {fault}", ""
    refusal = Refusal(
        code="policy_denied",
        message=f"The policy demands {part.text}, which {why}{f' ({values})' if values else ''}.",
        next_step=_ADVICE[fix],
        rule=policy.id,
        for_now=is_outage,
    )
    return Step(
        name,
        ok=False,
        text=f"{part.text}  {why}",
        fix=fix,
        refusal=refusal,
        leaf=part.text,
        seen=seen,
        is_fault=fault is not None,
    )


def _seen(paths: frozenset[Path], reading: Reading) -> tuple[Seen, ...]:
    return tuple(seen_in(paths, reading.bundle, reading.roots, reading.facts, reading.now))


def route_steps(policy: AccessPolicy, taken: Route, reading: Reading) -> Iterator[Step]:
    """Yield what each route says up to the one that is taken, with the facts that its condition read."""
    for route in policy.routes[: taken.number]:
        condition, text = route.condition, f"route {route.number}"
        answer = True if condition is None else condition.answer(reading.roots)
        if condition is None:
            yield Step(StepName.ROUTE, ok=True, text=text)
        else:
            is_fault = isinstance(answer, Fault)
            why = f": {condition.text}  cannot be told: {answer.reason}" if isinstance(answer, Fault) else ""
            seen = _seen(condition.reads, reading)
            ok = answer is True
            yield Step(StepName.ROUTE, ok=ok, text=text + why, leaf=condition.text, seen=seen, is_fault=is_fault)


def ban_fix(condition: Condition, reading: Reading) -> Fix:
    """Return what helps most against a ban under a condition: usually to ask for less."""
    paths = condition.reads
    if isinstance(condition.answer(reading.roots), Fault) and is_out(paths, reading):
        return Fix.WAIT_FOR_SOURCE
    fix = _fix(paths, reading.bundle)
    return fix if fix in (Fix.SIGN_IN, Fix.ATTACH_TICKET, Fix.SHORTEN) else Fix.NARROW


def _rules(paths: frozenset[Path], bundle: Bundle) -> list[FactRule]:
    return [bundle.facts[name] for name in {".".join(path[:2]) for path in paths} if name in bundle.facts]


def is_out(paths: frozenset[Path], reading: Reading) -> bool:
    """Say whether a provider could not say what one of these paths reads."""
    return any(_is_out(rule, reading.roots) for rule in _rules(paths, reading.bundle))


def _is_out(rule: FactRule, roots: Mapping[str, Value]) -> bool:
    """Say whether a provider could not say it: not that it does not exist, nor that the request leaves a label open."""
    root, _, name = rule.name.partition(".")
    known, request = roots.get(root), roots["req"]
    labels = request["labels"] if isinstance(request, dict) else {}
    if rule.per is not None and isinstance(named(labels if isinstance(labels, dict) else {}, rule.per), Fault):
        return False
    return rule.provider not in PRESENCE and isinstance(known, dict) and isinstance(known.get(name), Fault)


def _fix(paths: frozenset[Path], bundle: Bundle) -> Fix:
    """Return what helps most with a part that reads these paths."""
    rules = _rules(paths, bundle)
    if any(rule.provider == _SIGN_IN for rule in rules):
        return Fix.SIGN_IN
    if any(rule.name == "ctx.ticket" for rule in rules):
        return Fix.ATTACH_TICKET
    roots = {path[0] for path in paths}
    if "ask" in roots:
        return Fix.FILL_INPUT
    if {path for path in paths if path[0] == "req"} == {_DURATION}:
        return Fix.SHORTEN
    return Fix.NARROW if "req" in roots else Fix.ASK_OWNER

"""An explanation as people read it, rendered from its plain values and nothing else: from a server's answer, too."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final

from loglease.policy.seen import in_words
from loglease.policy.trace import Fix

_SHOWN_HASH: Final = len("sha256:") + 12
_MERGED: Final = 100
"""How long a line may get by saying several things that are all right."""
_DOES: Final[Mapping[str, str]] = MappingProxyType(
    {
        Fix.SIGN_IN: "sign in again",
        Fix.ATTACH_TICKET: "attach a ticket",
        Fix.FILL_INPUT: "fill it in",
        Fix.NARROW: "ask for less",
        Fix.SPLIT: "ask for each on its own",
        Fix.SHORTEN: "ask for less time",
        Fix.CHOOSE_OFFER: "choose an offer",
        Fix.WAIT_FOR_SOURCE: "try again in a moment",
        Fix.ASK_OWNER: "ask the owner",
        Fix.BREAK_GLASS: "break the glass",
    }
)

ONE_NETWORK: Final = "only from the network that it is asked from"

Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one question.

    Attributes:
        mark: `ok`, `no`, or `would`: what it would be if the rest were right, or a route that is not taken.
        question: empty for a route.
        remedy: what helps with a no.
    """

    mark: str
    question: str
    said: str
    remedy: str = ""


def text_of(data: Part) -> str:
    """Return what people read of an explanation."""
    return "\n".join(_lines(data))


def _lines(data: Part) -> Iterator[str]:
    offers = data["offers"]
    bundle = data["bundle"]
    verdict = f"OFFERED {len(offers)}" if offers else "DENIED"
    yield f"{verdict}  bundle {bundle['revision']} {bundle['hash'][:_SHOWN_HASH]}…  engine {data['engine']}"
    asked = data["asked"]
    span = f", for {in_words(asked['duration'])}" if "duration" in asked else ""
    yield from (f" asked       {asked['by']}: {scope['words']}{span}" for scope in asked["scopes"])
    yield from (f" guardrails  {', '.join(effects_of(one))} ({_standing(one)})" for one in data["guardrails"])
    for one in offers:
        bound = f", {ONE_NETWORK}" if "bind" in one else ""
        bound += f", pseudonyms reach over the {one['pseudonyms']}" if "pseudonyms" in one else ""
        bound += f", nothing served before its record is {one['audit']}" if "audit" in one else ""
        yield f" offer {one['offer']}     {one['policy']}: {in_words(one['duration'])}, {_approvals(one)}{bound}"
    for policy in data["policies"]:
        yield f" {policy['id']}   {policy['at']}" if "at" in policy else f" {policy['id']}"
        yield from _answers(policy)
    if "refusal" in data:
        yield f" because     {data['refusal']['message']}"
    yield from (f" narrow to   {scope['words']}" for one in data.get("narrow_to", ()) for scope in one["scopes"])
    if "shorten_to" in data:
        yield f" shorten to  {in_words(data['shorten_to'])}"
    if data.get("next"):
        yield f" next        {', '.join(data['next'])}"


def effects_of(rail: Part) -> Iterator[str]:
    """Yield what a guardrail of an explanation does, in words."""
    caps = dict(rail.get("caps", {}))
    if rail.get("deny"):
        yield "denied"
    if "duration" in caps:
        yield f"duration at most {in_words(caps.pop('duration'))}"
    if "lookback" in caps:
        yield f"at most {in_words(caps.pop('lookback'))} back"
    yield from (f"{name} at most {value:,}" for name, value in caps.items())
    if "at_least" in rail:
        yield f"redaction at least {rail['at_least']}"
    if "pseudonyms" in rail:
        yield f"pseudonyms reach over the {rail['pseudonyms']} at most"
    if "audit" in rail:
        yield f"nothing served before its record is {rail['audit']}"
    if "bind" in rail:
        yield ONE_NETWORK
    if "require" in rail:
        yield f"also {rail['require']}"


def _standing(rail: Part) -> str:
    """Name a guardrail, and say if it changes nothing: others than auditors never see such a one."""
    if not rail["applies"]:
        return f"{rail['id']}, does not apply"
    return str(rail["id"]) if rail["mode"] == "enforce" else f"{rail['id']}, only observes"


def _approvals(offer: Part) -> str:
    if offer["outcome"] == "review":
        need = offer["approvals"]
        return f"{need} approval{'' if need == 1 else 's'}"
    after = offer.get("after_review")
    afterwards = "" if after is None else f", looked at within {in_words(after['within'])}"
    return f"{'automatic' if offer['outcome'] == 'auto' else 'at once'}{afterwards}"


def answers_of(policy: Part) -> Iterator[Answered]:
    """Yield what one policy of an explanation answered; routes come last."""
    for step in policy["steps"]:
        if step["ok"] is not True:
            yield Answered("no", step["step"], _said(step), _remedy(step))
        elif step["step"] in ("plan", "shape") and not policy["offer"]:
            yield Answered("would", step["step"], f"{'would be ' * (step['step'] == 'plan')}{_said(step)}")
        elif "text" in step:
            yield Answered("ok", step["step"], _said(step))
    for step in policy.get("routes", ()):
        yield Answered("ok" if step["ok"] is True else "would", "", _route(step))


def _answers(policy: Part) -> Iterator[str]:
    """Yield the lines of one policy; what stands in nobody's way shares lines, and what to do is put in one column."""
    answers = [*answers_of(policy)]
    bodies = {id(one): f"{one.question:<7} {one.said}" if one.question else one.said for one in answers}
    width = min(max((len(bodies[id(one)]) for one in answers if one.remedy), default=0), _MERGED)
    for (mark, remedy), group in groupby(answers, key=lambda one: (one.mark, one.remedy)):
        sign = "--" if mark == "would" else mark
        lines = [bodies[id(one)] for one in group]
        if remedy:
            yield from (f"   {sign}  {line:<{width}}  -> {remedy}" for line in lines)
        else:
            yield from (f"   {sign}  {line}" for line in _shared(lines))


def _shared(bodies: Sequence[str]) -> Iterator[str]:
    """Put short answers, of which there is one at least, on one line as long as it does not get too long."""
    line = bodies[0]
    for body in bodies[1:]:
        if len(line) + len(body) < _MERGED:
            line = f"{line};  {' '.join(body.split(maxsplit=1))}"
        else:
            yield line.rstrip()
            line = body
    yield line.rstrip()


def _said(step: Part) -> str:
    facts = list(_facts(step))
    if step["ok"] == "fault" or "leaf" not in step:
        return str(step.get("text", ""))
    if not facts:
        return str(step["leaf"] if step["ok"] is True else step["text"])
    return f"{step['leaf']}   {'; '.join(facts)}"


def _route(step: Part) -> str:
    if step["ok"] == "fault":
        return str(step["text"])
    facts = "; ".join(_facts(step))
    condition = f": {step['leaf']}" if "leaf" in step else ""
    return f"{step['text']}{condition}" + (f"   {facts}" if facts else "")


def _facts(step: Part) -> Iterator[str]:
    """Yield each fact that was read with its value, who says so, and since when; a sum of ours has neither."""
    for one in step.get("facts", [step] if "value" in step else []):
        name = f"{one['name']} " if "name" in one else ""
        source = f" ({one['provider']}, {in_words(one['age'])} old)" if "age" in one else ""
        yield f"{name}is {in_words(one['value'])}{source}"


def _remedy(step: Part) -> str:
    if "fix" not in step:
        return ""
    advice = str(step.get("advice") or _DOES[step["fix"]]).rstrip(".")
    return textwrap.shorten(advice[:1].lower() + advice[1:], width=120, placeholder="…")

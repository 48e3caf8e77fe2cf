"""What a page says of a wish that is denied: what one can do, as things to click, and what each policy said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from loglease.model.instant import duration_text
from loglease.model.words import scope_in_words
from loglease.policy.explain import Explanation, next_steps
from loglease.policy.explanation_text import answers_of, effects_of
from loglease.policy.trace import Decision, Fix, Step
from loglease.server.pages.request_form import Typed, link_of, link_to

_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "reason_required": "#reason",
        "ticket_required": "#ticket",
        "ticket_invalid": "#ticket",
    }
)
"""Where in the form it is filled in, by the code of the refusal."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that somebody can do.

    Attributes:
        text: a sentence.
        links: where to click for it, with what the click leads to.
    """

    fix: Fix
    text: str
    links: tuple[tuple[str, str], ...] = ()


def advice_of(decision: Decision, typed: Typed, *, here: str) -> list[Advice]:
    """Return what helps with a denial, in the order in which policy names it.

    Args:
        decision: the denial.
        typed: what is in the form.
        here: the address of the page, to try again.
    """
    makers: Mapping[Fix, Callable[[], Advice]] = {
        Fix.SIGN_IN: lambda: Advice(
            Fix.SIGN_IN,
            "The policy wants a fresher, or a stronger, proof that it is you.",
            (("/sign-in?again=1", "Sign in again"),),
        ),
        Fix.ATTACH_TICKET: lambda: _field(decision, Fix.ATTACH_TICKET, "Name a ticket", "#ticket"),
        Fix.FILL_INPUT: lambda: _field(decision, Fix.FILL_INPUT, "Fill it in", "#reason"),
        Fix.NARROW: lambda: Advice(Fix.NARROW, "Ask for less. This would get an offer:", tuple(_parts(decision))),
        Fix.SPLIT: lambda: Advice(
            Fix.SPLIT,
            "No policy covers all of it. Ask for each of these on its own; together they are all that you asked for:",
            tuple(_parts(decision)),
        ),
        Fix.SHORTEN: lambda: _shorten(decision, typed),
        Fix.WAIT_FOR_SOURCE: lambda: Advice(
            Fix.WAIT_FOR_SOURCE,
            "Something that the policy has to know cannot be had at the moment.",
            ((here, "Try again"),),
        ),
        Fix.ASK_OWNER: lambda: Advice(Fix.ASK_OWNER, _whom_to_ask(decision)),
        Fix.BREAK_GLASS: lambda: Advice(
            Fix.BREAK_GLASS,
            "In an emergency you may break the glass. It is loud and short, and somebody looks at it afterwards.",
            ((link_to(replace(typed, break_glass=True)), "Go on to the emergency form"),),
        ),
    }
    return [makers[fix]() for fix in next_steps(decision)]


def _noes(decision: Decision, fix: Fix) -> Iterator[Step]:
    near = sorted(decision.own, key=lambda one: (len(one.failed()), one.policy.id))
    yield from (step for one in near for step in one.steps if not step.ok and step.fix is fix)


def _field(decision: Decision, fix: Fix, words: str, place: str) -> Advice:
    refusal = next((step.refusal for step in _noes(decision, fix) if step.refusal is not None), None)
    if refusal is None:
        return Advice(fix, f"{words}.", ((place, words),))
    place = _FIELDS.get(refusal.code, place)
    return Advice(fix, f"{refusal.message} {refusal.next_step or ''}".rstrip(), ((place, words),))


def _parts(decision: Decision) -> Iterator[tuple[str, str]]:
    yield from ((link_of(wish), scope_in_words(wish.scopes[0])) for wish in decision.narrowed)


def _shorten(decision: Decision, typed: Typed) -> Advice:
    span = duration_text(decision.shorter_s or 0)
    link = link_to(replace(typed, duration=span))
    return Advice(Fix.SHORTEN, f"It is offered for {span} at most.", ((link, f"Ask for {span}"),))


def _whom_to_ask(decision: Decision) -> str:
    near = sorted(decision.own, key=lambda one: (len(one.failed()), one.policy.id))
    owner = next((one.policy.owner for one in near if one.policy.owner is not None), None)
    return (
        "Ask the owner of the logs which policy is for you." if owner is None else f"Ask {owner}, who own the policy."
    )


def shown_explanation(told: Explanation) -> dict[str, Any]:
    """Return an explanation as pages lay it out: guardrails with what they do, policies with their answers."""
    data: Any = told.data
    return {
        "guardrails": [
            {"title": one["title"], "effects": list(effects_of(one)), "help": one.get("help")}
            for one in data["guardrails"]
            if one["applies"]
        ],
        "policies": [
            {"id": one["id"], "title": one["title"], "owner": one.get("owner"), "answers": list(answers_of(one))}
            for one in data["policies"]
        ],
        "revision": data["bundle"]["revision"],
    }

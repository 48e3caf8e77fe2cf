"""What guardrails say to a wish, and what forbids any offer to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from loglease.model.access_request import Wish
from loglease.model.instant import NANOSECONDS, Instant, duration_text, instant_text
from loglease.policy import routes
from loglease.policy.asking import Reading, ban_fix
from loglease.policy.conditions.values import Value
from loglease.policy.documents import Guardrail
from loglease.policy.plan import Refusal
from loglease.policy.trace import EXPIRED, Fix, GuardrailTrace, Step, StepName


def guardrail_trace(guardrail: Guardrail, wish: Wish, read: Callable[[], Mapping[str, Value]]) -> GuardrailTrace:
    """Say whether a guardrail is about a wish, and whether it applies: unless its condition is certainly false.

    Args:
        guardrail: the guardrail.
        wish: what is asked.
        read: gives what the condition reads.
    """
    overlaps = any(
        (guardrail.applies.sources is None or scope.source in guardrail.applies.sources)
        and guardrail.applies.selector.overlaps(scope.selector)
        for scope in wish.scopes
    )
    is_about = overlaps and (guardrail.even_break_glass or not wish.break_glass)
    applies = is_about and (guardrail.condition is None or routes.applies(guardrail, read()))
    return GuardrailTrace(guardrail=guardrail, applies=applies, overlaps=is_about, read=read)


def bans_of(
    rails: Iterable[Guardrail], wish: Wish, submitted_at: Instant, reading: Callable[[], Reading]
) -> Iterator[Step]:
    """Yield bans and bounds on how far back one may look: scopes are refused, never clamped.

    Args:
        rails: the guardrails that apply.
        wish: what is asked.
        submitted_at: from where lookbacks count.
        reading: gives what conditions are asked against.
    """
    for rail in rails:
        if rail.deny:
            text = f"{rail.title}: denied. {rail.help}".rstrip()
            refusal = Refusal(code="guardrail_denied", message=text, next_step=rail.help or None, rule=rail.id)
            fix = Fix.NARROW if rail.condition is None else ban_fix(rail.condition, reading())
            yield Step(StepName.GUARDRAIL, ok=False, text=text, fix=fix, refusal=refusal)
        if (
            rail.caps.lookback_s is not None
            and _oldest(wish) < submitted_at * 1_000 - rail.caps.lookback_s * NANOSECONDS
        ):
            text = f"{rail.title}: events of the last {duration_text(rail.caps.lookback_s)} at most"
            refusal = Refusal(code="guardrail_denied", message=f"{text}.", next_step="Ask for less.", rule=rail.id)
            yield Step(StepName.GUARDRAIL, ok=False, text=text, fix=Fix.NARROW, refusal=refusal)


def _oldest(wish: Wish) -> int:
    return min((scope.window.start_ns for scope in wish.scopes), default=0)


def expired(at: Instant) -> Step:
    """Say that the bundle has expired, so that nothing new is granted."""
    refusal = Refusal(
        code="policy_denied",
        message=f"The policy expired at {instant_text(at)}. Nothing new is granted until there is a newer one.",
        next_step="Ask those who run LogLease to load one.",
        rule=EXPIRED,
    )
    return Step(StepName.BUNDLE, ok=False, text="the policy has expired", refusal=refusal)

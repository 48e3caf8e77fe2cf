"""Asking providers for facts: in parallel, in bounded time; whatever goes wrong is a fault and no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Protocol

from loglease.model.clock import Clock
from loglease.policy.conditions import Fault
from loglease.policy.observed import NOTHING_KNOWN, FactKey, Facts, Observed, Question

ANSWER_WITHIN_S: Final = 2.0


class FactProvider(Protocol):
    """Somebody who knows facts: an incident tracker, a rota, a file."""

    @property
    def name(self) -> str:
        """What `from` in policy documents calls it."""

    async def answer(self, question: Question) -> Observed:
        """Return what is known now; a fault is an answer, too. It may be cancelled after two seconds."""


Ask = Callable[[Collection[Question]], Awaitable[Facts]]
"""Asks all of these questions at once."""


async def nobody(_questions: Collection[Question]) -> Facts:
    """Answer nothing: where there are no providers, what is asked is in fault."""
    return NOTHING_KNOWN


class FactsNeeded(Exception):
    """Raised out of a transaction that cannot decide before providers were asked; nothing of it was written."""

    def __init__(self, questions: Collection[Question]) -> None:
        super().__init__(f"{len(questions)} facts are needed")
        self.questions = questions


async def gather(questions: Collection[Question], providers: Mapping[str, FactProvider], clock: Clock) -> Facts:
    """Ask all questions at once.

    Returns:
        An answer to each, by fact and value of its label. A provider that is not there, fails or takes longer than two
        seconds leaves a fault.
    """
    answers = await asyncio.gather(*(_answer(one, providers.get(one.rule.provider), clock) for one in questions))
    return dict(zip(map(key_of, questions), answers, strict=True))


def key_of(question: Question) -> FactKey:
    """Return where the answer to a question is kept."""
    return question.rule.name, None if question.label is None else question.label[1]


async def _answer(question: Question, provider: FactProvider | None, clock: Clock) -> Observed:
    name = question.rule.provider
    if provider is None:
        return Observed(Fault(f"the server has no provider {name}"), name, clock.now())
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await provider.answer(question)
    except TimeoutError:
        return Observed(Fault(f"{name} did not answer in time"), name, clock.now())
    except Exception:  # noqa: BLE001 - whatever a provider does, it costs nobody but those who need its fact
        return Observed(Fault(f"{name} failed"), name, clock.now())

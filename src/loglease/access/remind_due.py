"""Reminders and escalations: tell again whoever can still act, and call those whom a stage names for later.

Nobody is approved by time. That an escalation counts is decided from the clock when somebody reviews, so nothing but
being told, and seeing the request, depends on this having run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loglease.access.notices import News, Ways, open_stages, tell
from loglease.access.rules import Rules
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.ids import NewId, PrincipalId, RequestId
from loglease.model.instant import MICROSECONDS, Instant
from loglease.model.offer import Stage
from loglease.policy.plan import Waiting
from loglease.store.interface import Transaction
from loglease.store.store_interface import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What the clock asks for on behalf of one request."""

    request: RequestId
    news: tuple[News, ...]
    called: frozenset[PrincipalId]


async def remind_due(
    *,
    store: Store,
    log: EntryLog[Transaction],
    rules: Callable[[], Rules],
    ways: Ways,
    new_id: NewId,
    now: Instant,
) -> int:
    """Write down what is due, if anything is; return how many requests it concerned."""
    in_force = rules()
    found = await store.read(lambda tx: [one for one in _due(tx, in_force, ways, now) if _is_new(tx, one, ways)])
    if not found:
        return 0

    def work(tx: Transaction, now: Instant) -> Recorded[int]:
        due = list(_due(tx, in_force, ways, now))
        for one in due:
            tx.requests.call(one.request, one.called)
            for news in one.news:
                tell(tx, news, ways=ways, rules=in_force, now=now, new_id=new_id)
        return Recorded(len(due))

    return await log.commit(work)


def _is_new(tx: Transaction, due: _Due, ways: Ways) -> bool:
    """Say whether something of it is not written down yet."""
    told = {one.fact for one in tx.outbox.page(about=due.request, limit=200)} if ways.email else set()
    fresh = ways.email and any(news.fact not in told for news in due.news)
    return fresh or not due.called <= tx.requests.called(due.request)


def _due(tx: Transaction, rules: Rules, ways: Ways, now: Instant) -> Iterator[_Due]:
    for request in tx.requests.waiting():
        timed = _timed(request)
        if not timed or request.state_at(now) is not RequestState.PENDING:
            continue
        escalated = {key: stage for key, stage in timed.items() if _is_escalated(request, stage, now)}
        called = rules.escalated_to(request, escalated.values(), tx.principals.directory())
        waiting = open_stages(tx, request, rules, now)
        news = [
            *_escalations(tx, request, rules, {key: waiting[key] for key in escalated.keys() & waiting.keys()}),
            *_reminders(tx, request, {key: (timed[key], waiting[key]) for key in timed.keys() & waiting.keys()}, now),
        ]
        if called or (news and ways.email):
            yield _Due(request=request.id, news=tuple(news), called=called)


def _timed(request: AccessRequest) -> dict[tuple[str, int], Stage]:
    """Return the stages that the request was submitted under and that have a reminder or an escalation."""
    return {
        (plan.origin, number): stage
        for plan in request.offer.plans
        for number, stage in enumerate(plan.stages, 1)
        if stage.remind_s is not None or stage.escalate is not None
    }


def _is_escalated(request: AccessRequest, stage: Stage, now: Instant) -> bool:
    return stage.escalate is not None and now >= request.submitted_at + stage.escalate.after_s * MICROSECONDS


def _escalations(
    tx: Transaction, request: AccessRequest, rules: Rules, waiting: dict[tuple[str, int], Waiting]
) -> Iterator[News]:
    """Tell those who can act because of an escalation, and could not without it."""
    before = open_stages(tx, request, rules, request.submitted_at) if waiting else {}
    for (origin, stage), now_waiting in sorted(waiting.items()):
        already = before[origin, stage].people if (origin, stage) in before else frozenset()
        yield News(
            event="request.escalated",
            fact=f"{request.id}/stage/{origin}/{stage}",
            about=request.id,
            data=_data(request, origin, stage),
            people=now_waiting.people - already,
        )


def _reminders(
    tx: Transaction, request: AccessRequest, open_now: dict[tuple[str, int], tuple[Stage, Waiting]], now: Instant
) -> Iterator[News]:
    """Tell those who can still act, each time that nothing has happened for so long."""
    reviewed = [one.given_at for one in tx.reviews.of_request(request.id)]
    last = max([request.submitted_at, *reviewed])
    for (origin, number), (stage, waiting) in sorted(open_now.items()):
        count = 0 if stage.remind_s is None else (now - last) // MICROSECONDS // stage.remind_s
        if count > 0:
            yield News(
                event="request.reminder",
                fact=f"{request.id}/reminder/{origin}/{number}/{last}/{count}",
                about=request.id,
                data={**_data(request, origin, number), "every_s": str(stage.remind_s)},
                people=waiting.people,
            )


def _data(request: AccessRequest, origin: str, stage: int) -> dict[str, str]:
    return {"request": request.id, "state": str(request.state), "digest_sha256": request.digest,
            "policy": request.offer.policy, "origin": origin, "stage": str(stage)}  # fmt: skip

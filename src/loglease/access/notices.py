"""Whom to tell of what: notices are written into the outbox in the transaction of the fact that they are about.

Nothing is told that did not happen, and nothing that happened is forgotten. Sending is somebody else's business, later:
no channel can hold a decision up. `TellingLog` does it for what the audit log records; for all else there is `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from loglease.access.acts import who_may_approve
from loglease.access.policy_changes import awaited
from loglease.access.rules import Rules
from loglease.audit.interface import SYSTEM, Draft, EntryLog, Recorded
from loglease.model.access_request import AccessRequest, RequestState
from loglease.model.ids import NOTICE, NewId, NoticeId, PrincipalId, ProposalId, RequestId
from loglease.model.instant import Instant
from loglease.model.notice import EMAIL, Notice
from loglease.model.offer import Outcome
from loglease.model.principal import Kind, Principal
from loglease.policy.people import People
from loglease.policy.plan import Waiting
from loglease.store.interface import Transaction

Result = TypeVar("Result")

CHANNEL: Final = "channel:"
ALL_EVENTS: Final = "*"
_VERDICTS: Final = frozenset({"request.approved", "request.denied", "request.expired", "request.cancelled"})
_OF_GRANTS: Final = frozenset({f"grant.{what}" for what in ("activated", "suspended", "resumed", "ended", "revoked")})
_OF_OPERATORS: Final = frozenset(
    {
        "policy.loaded",
        "policy.refused",
        "principal.changed",
        "principal.locked",
        "principal.unlocked",
        "lock.added",
        "lock.lifted",
        "tamper.found",
        "clock.suspect",
    }
)
_TOLD: Final = (
    _VERDICTS
    | _OF_GRANTS
    | _OF_OPERATORS
    | {"request.submitted", "review.given", "grant.scheduled", "offer.made", "breakglass.reviewed"}
    | {"policy.proposed", "policy.reviewed", "policy.withdrawn", "act.proposed", "act.reviewed"}
)
_OF_ACTS: Final = "act."
_ENDS: Final = frozenset({"grant.ended", "grant.revoked"})
_STATES: Final = ("why", "by", "cause", "basis", "verdict", "error")
"""Fields of entries that hold a word of a closed list; nothing else of an entry goes into a notice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How people and programs are reached on this server.

    Attributes:
        email: there is a mail server, so people with an address get mail.
        subscribers: channels that want events whoever else is told: name to events, or `ALL_EVENTS`.
        operators: who is told of what concerns the server: names as in a policy's `notify`.
    """

    email: bool = False
    subscribers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    operators: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One fact, and who is to know.

    Attributes:
        event: such as ``grant.revoked``.
        fact: what makes it unique: the entry's id, or the name of a date, such as ``req_01KA…/reminder/2``.
        about: the request that it is about, empty for none.
        data: ids and words of closed lists; see `Notice`.
        people: principals.
        names: names as policies write them: ``channel:security``, ``group:sre-leads``, ``approvers:payments``.
        left_out: whoever did it need not be told.
    """

    event: str
    fact: str
    about: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    people: frozenset[PrincipalId] = frozenset()
    names: tuple[str, ...] = ()
    left_out: frozenset[PrincipalId] = frozenset()


def tell(tx: Transaction, news: News, *, ways: Ways, rules: Rules, now: Instant, new_id: NewId) -> int:
    """Write the notices of one fact, inside the transaction that makes it true; return how many are new.

    A person without an address, or on a server without mail, gets none: their pages show what waits for them. A channel
    gets its notice whether the server knows it or not, so that one that is missing is seen.
    """
    ways_out = {(f"{CHANNEL}{name}", name) for name in _channels(news, ways)}
    if ways.email:
        ways_out |= {(one.id, EMAIL) for one in _people(tx, news, rules) if one.email and one.id not in news.left_out}
    written = 0
    for recipient, channel in sorted(ways_out):
        notice = Notice(
            id=NoticeId(new_id(NOTICE)),
            event=news.event,
            fact=news.fact,
            about=news.about,
            recipient=recipient,
            channel=channel,
            at=now,
            next_at=now,
            data=news.data,
        )
        written += tx.outbox.insert(notice)
    return written


def _channels(news: News, ways: Ways) -> set[str]:
    named = {name.removeprefix(CHANNEL) for name in news.names if name.startswith(CHANNEL)}
    return named | {name for name, events in ways.subscribers.items() if events & {news.event, ALL_EVENTS}}


def _people(tx: Transaction, news: News, rules: Rules) -> list[Principal]:
    found = [one for one in map(tx.principals.find, sorted(news.people)) if one is not None and one.enabled]
    names = [name for name in news.names if not name.startswith(CHANNEL)]
    if names:
        people = People(tx.principals.directory(), rules.bundle.approver_sets)
        found += [one for one in people.directory.humans() if any(people.is_named(name, one) for name in names)]
    return [one for one in found if one.kind is Kind.HUMAN]


class TellingLog:
    """`EntryLog` whose works also write down, in their transaction, whom to tell of what they record.

    Args:
        rules: returns the rules in force.
        wake: called once notices are durable, so that nobody waits for the next look.
    """

    def __init__(
        self,
        log: EntryLog[Transaction],
        *,
        rules: Callable[[], Rules],
        ways: Ways,
        new_id: NewId,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._rules = rules
        self._ways = ways
        self._new_id = new_id
        self._wake = wake

    async def commit(
        self,
        work: Callable[[Transaction, Instant], Recorded[Result]],
        *,
        urgent: bool = False,
        limit_s: float | None = None,
    ) -> Result:
        """Run a work as `EntryLog.commit` does; what it records and what is told of it are one transaction."""
        told = 0

        def telling(tx: Transaction, now: Instant) -> Recorded[Result]:
            nonlocal told
            recorded = work(tx, now)
            rules = self._rules()
            told = sum(
                tell(tx, news, ways=self._ways, rules=rules, now=now, new_id=self._new_id)
                for news in news_of(tx, recorded.entries, rules, now, operators=self._ways.operators)
            )
            return recorded

        result = await self._log.commit(telling, urgent=urgent, limit_s=limit_s)
        if told:
            self._wake()
        return result


def news_of(
    tx: Transaction, entries: Iterable[Draft], rules: Rules, now: Instant, *, operators: tuple[str, ...] = ()
) -> Iterator[News]:
    """Yield what is to be told of entries that one work records together."""
    told = [entry for entry in entries if entry.type in _TOLD]
    types = {entry.type for entry in told}
    for entry in told:
        request = tx.requests.find(RequestId(entry.ref["request"])) if "request" in entry.ref else None
        if request is None:
            names = operators if entry.type in _OF_OPERATORS else ()
            people = _of_act(tx, entry, now) if entry.type.startswith(_OF_ACTS) else _of_proposal(tx, entry)
            yield replace(_plain(entry), names=names, people=people)
        elif entry.type == "request.submitted":
            yield _submitted(tx, entry, request, rules, now)
        elif entry.type == "review.given":
            yield from _reviewed(tx, entry, request, rules, now, decided=bool(types & _VERDICTS))
        elif entry.type == "grant.scheduled":
            event = "breakglass.used" if request.offer.outcome is Outcome.BREAK_GLASS else entry.type
            yield replace(_plain(entry, request), event=event, names=request.offer.notify)
            yield from _due_afterwards(tx, entry, request)
        elif entry.type == "breakglass.reviewed":
            yield replace(_plain(entry, request), people=frozenset({request.requester}))
        elif entry.type in _VERDICTS | _OF_GRANTS:
            own = "request.submitted" in types
            people = frozenset[PrincipalId]() if own else frozenset({request.requester})
            yield replace(_plain(entry, request), people=people, left_out=_actor(tx, entry, request))
            if entry.type in _ENDS and request.offer.outcome is Outcome.BREAK_GLASS:
                yield replace(_plain(entry, request), event="breakglass.ended", names=request.offer.notify)
        else:
            yield _plain(entry, request)


def _of_act(tx: Transaction, entry: Draft, now: Instant) -> frozenset[PrincipalId]:
    """Return whom an act of administrators concerns: who may approve it when it is new, and its author once decided."""
    act = tx.acts.find(ProposalId(entry.ref["proposal"]))
    if act is None:
        return frozenset()
    return who_may_approve(tx, act, now) if entry.type == "act.proposed" else frozenset({act.author})


def _of_proposal(tx: Transaction, entry: Draft) -> frozenset[PrincipalId]:
    """Return whom a proposal of policy concerns: who can review it when it is new, and from then on its author."""
    proposal = tx.proposals.find(ProposalId(entry.ref["proposal"])) if "proposal" in entry.ref else None
    if proposal is None:
        return frozenset()
    if entry.type == "policy.proposed":
        return awaited(tx, proposal)
    return frozenset() if entry.actor == proposal.subject else frozenset({proposal.author})


def _due_afterwards(tx: Transaction, entry: Draft, request: AccessRequest) -> Iterator[News]:
    """Tell those who look at it afterwards that there is something to look at."""
    review = tx.after_reviews.find(request.id)
    if review is not None:
        fact = f"{request.id}/after-review"
        yield replace(_plain(entry, request), event="breakglass.review_due", fact=fact, people=review.eligible)


def _plain(entry: Draft, request: AccessRequest | None = None) -> News:
    states = {name: str(entry.data[name]) for name in _STATES if isinstance(entry.data.get(name), str)}
    data = {**entry.ref, **states}
    if request is not None:
        data |= {"state": str(request.state), "digest_sha256": request.digest, "policy": request.offer.policy}
    return News(event=entry.type, fact=entry.id, about="" if request is None else request.id, data=data)


def _submitted(tx: Transaction, entry: Draft, request: AccessRequest, rules: Rules, now: Instant) -> News:
    people = frozenset[PrincipalId]()
    if request.state is RequestState.PENDING:
        people = frozenset().union(*(one.people for one in open_stages(tx, request, rules, now).values()))
    return replace(_plain(entry, request), people=people)


def _reviewed(
    tx: Transaction, entry: Draft, request: AccessRequest, rules: Rules, now: Instant, *, decided: bool
) -> Iterator[News]:
    plain = _plain(entry, request)
    yield plain if decided else replace(plain, people=frozenset({request.requester}))
    if decided:
        return
    before = open_stages(tx, request, rules, now, without=entry.ref["review"])
    for (origin, stage), waiting in open_stages(tx, request, rules, now).items():
        if (origin, stage) not in before:
            yield replace(
                plain,
                event="request.stage_opened",
                fact=f"{request.id}/stage/{origin}/{stage}",
                data={**plain.data, "stage": str(stage), "origin": origin},
                people=waiting.people,
            )


def open_stages(
    tx: Transaction, request: AccessRequest, rules: Rules, now: Instant, *, without: str | None = None
) -> dict[tuple[str, int], Waiting]:
    """Return the stages that take reviews now, by what demands them and their number; `without` leaves out a review."""
    reviews = [one for one in tx.reviews.of_request(request.id) if one.id != without]
    # Whom to tell is no decision: the facts of submit will do, and nobody is asked for others.
    state = rules.shown().state(request, reviews, tx.principals.directory(), now)
    return {(one.origin, one.stage): one for one in state.waiting}


def _actor(tx: Transaction, entry: Draft, request: AccessRequest) -> frozenset[PrincipalId]:
    """Return the requester if it is they who did it."""
    if entry.actor == SYSTEM:
        return frozenset()
    requester = tx.principals.find(request.requester)
    return frozenset({request.requester}) if requester is not None and requester.subject == entry.actor else frozenset()

"""The answer to who saw what, grant by grant, and the record that it was asked: the answer leaves after that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loglease.access.caller import Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.records import Data
from loglease.access.who_saw import Hit, How, PseudonymWanted, Question, Seen, Unsearchable, ValueWanted
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.digest import Canonical, canonical_bytes, sha256_hex
from loglease.model.grant import Grant
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId, PrincipalId
from loglease.model.instant import Instant, instant_text
from loglease.store.interface import Transaction

REPORT: Final = "who-saw"
NOT_INDEXED: Final = (
    "What no rule masked is not indexed: a value that was shown in clear is found by labels and event times alone."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as it was recorded.

    Attributes:
        content: what was found; its canonical bytes have the digest `sha256`.
        entry: id of the entry that records that it was asked.
    """

    content: Mapping[str, Canonical]
    sha256: str
    entry: EntryId


def content_of(tx: Transaction, question: Question, found: Seen) -> dict[str, Canonical]:
    """Return what was found, with who holds each grant, for which request, and who approved it."""
    by_grant: dict[GrantId, list[Hit]] = {}
    for hit in found.hits:
        by_grant.setdefault(hit.grant, []).append(hit)
    grants = tx.grants.some(by_grant)
    people = _People(tx)
    content: dict[str, Canonical] = {
        "question": _question(question),
        "first_index": question.first,
        "size": found.size,
        "min_index": found.min_index,
        "grants": [_grant(tx, grants[one], hits, people) for one, hits in by_grant.items() if one in grants],
        "unsearchable": _unsearchable(found.unsearchable),
        "not_indexed": NOT_INDEXED,
    }
    return content if found.next is None else content | {"next_index": found.next}


async def record_answer(
    content: Mapping[str, Canonical],
    question: Question,
    *,
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> Answer:
    """Record that a question was asked and what was answered. Of a clear value nothing is kept.

    Raises:
        AuditUnavailable: it could not be recorded, so the answer may not leave.
    """
    commitments = Commitments(random)
    sha256 = sha256_hex(canonical_bytes(content))
    data: Data = {
        "report": REPORT,
        "sha256": sha256,
        "question_c": commitments.to("question_c", canonical_bytes(_question(question)).decode()),
    }
    if question.window is not None:
        data["from_at"] = instant_text(Instant(max(0, question.window.start // 1_000)))
        if question.window.end is not None:
            data["to_at"] = instant_text(Instant(max(0, question.window.end // 1_000)))
    entry = Draft(
        id=EntryId(new_id(ENTRY)),
        type="report.made",
        actor=caller.principal.subject,
        data=data,
        private=commitments.taken(),
    )
    await log.commit(lambda _tx, _now: Recorded(None, (entry,)))
    return Answer(content=content, sha256=sha256, entry=entry.id)


def _question(question: Question) -> dict[str, Canonical]:
    asked: dict[str, Canonical] = {}
    if question.selector is not None:
        asked["selector"] = question.selector_text
    if question.window is not None:
        asked["since_ns"] = str(question.window.start)
        if question.window.end is not None:
            asked["until_ns"] = str(question.window.end)
    if question.hows != frozenset(How):
        asked["hows"] = sorted(question.hows)
    match question.wanted:
        case ValueWanted() as wanted:
            asked["class"] = wanted.cls
        case PseudonymWanted() as wanted:
            asked |= {"grant": wanted.grant, "pseudonym": wanted.pseudonym}
    return asked


def _grant(tx: Transaction, grant: Grant, hits: Sequence[Hit], people: _People) -> Data:
    by_kind: dict[tuple[str, str], list[Hit]] = {}
    for hit in hits:
        by_kind.setdefault((_order(hit.how), hit.why or ""), []).append(hit)
    profiles = sorted({scope.profile for scope in grant.terms.scopes if scope.profile is not None})
    shown: Data = {
        "grant": grant.id,
        "request": grant.request,
        "principal": people.shown(grant.holder),
        "profiles": profiles,
        "policy": grant.policy,
        "basis": str(grant.basis),
        "approvers": [people.shown(one) for one in _approvers(tx, grant)],
        "found": [_found(by_kind[kind]) for kind in sorted(by_kind)],
    }
    return shown if grant.parent is None else shown | {"parent": grant.parent}


def _order(how: How) -> str:
    return f"{list(How).index(how)}"


def _found(hits: Sequence[Hit]) -> Data:
    first = hits[0]
    starts = [hit.first_ns for hit in hits if hit.first_ns is not None]
    ends = [hit.last_ns for hit in hits]
    shown: Data = {
        "how": str(first.how),
        "sessions": sorted({hit.session for hit in hits}),
        "records": len(hits),
        "lines": sum(hit.lines for hit in hits),
        "indices": [hit.index for hit in hits],
    }
    if first.why is not None:
        shown["why"] = str(first.why)
    if starts:
        shown["first_ns"] = str(min(starts))
    if None not in ends:
        shown["last_ns"] = str(max(end for end in ends if end is not None))
    pseudonyms = sorted({one for hit in hits for one in hit.pseudonyms})
    return shown | {"pseudonyms": pseudonyms} if pseudonyms else shown


def _approvers(tx: Transaction, grant: Grant) -> list[PrincipalId]:
    if not grant.reviews:
        return []
    counted = set(grant.reviews)
    return [one.reviewer for one in tx.reviews.of_request(grant.request) if one.id in counted]


class _People:
    """Who somebody is; each is looked for once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[PrincipalId, Data] = {}

    def shown(self, principal_id: PrincipalId) -> Data:
        """Return who somebody is; the id alone where they are not known any more."""
        known = self._known.get(principal_id)
        if known is None:
            known = {"principal": principal_id}
            principal = self._tx.principals.find(principal_id)
            if principal is not None:
                known |= {"subject": principal.subject, "account": principal.account}
            self._known[principal_id] = known
        return known


def _unsearchable(found: Iterable[Unsearchable]) -> list[Canonical]:
    ordered = sorted(found, key=lambda one: (one.why, one.profile))
    return [{"why": one.why, "profile": one.profile, "grants": sorted(one.grants)} for one in ordered]

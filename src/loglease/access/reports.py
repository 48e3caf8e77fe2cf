"""Reports for auditors on the record: that one was made, before it leaves, and that somebody signed one off."""

from __future__ import annotations

from typing import Final

import orjson

from loglease.access.caller import REVIEW_SIGN_IN_S, Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotFound, NotPermitted, ReasonRequired
from loglease.access.once import Once
from loglease.access.permissions import require_may_decide
from loglease.access.records import Data, refs
from loglease.access.review_request import MAX_COMMENT, require_person
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.audit.report.asking import Asked
from loglease.audit.report.catalogue import KINDS
from loglease.model.ids import ENTRY, EntryId, NewId
from loglease.model.instant import Instant, instant_text
from loglease.model.principal import Role
from loglease.model.rights import Right
from loglease.store.interface import Transaction

ACCEPTED: Final = "accepted"
OBJECTED: Final = "objected"
MADE: Final = "report.made"
_READERS: Final = frozenset({Role.AUDITOR, Role.ADMIN})


def require_may_report(caller: Caller) -> None:
    """Refuse whoever may not see reports, which name everybody.

    Raises:
        NotPermitted: the token lacks the right to read the log, or the person the role.
    """
    caller.require(Right.AUDIT_READ)
    if not caller.principal.roles & _READERS:
        raise NotPermitted("Reports take the role auditor or admin.", next_step="Ask an auditor.")


async def record_report(
    entry_id: EntryId,
    asked: Asked,
    *,
    sha256: str,
    caller: Caller,
    log: EntryLog[Transaction],
    random: Random,
) -> None:
    """Record that a report was made, what was asked, and the digest of its JSON; it may not leave before this returns.

    Raises:
        AuditUnavailable: it cannot be recorded.
    """
    commitments = Commitments(random)
    question = {"report": asked.report, "sample": asked.sample, "grant": asked.grant}
    said = {name: value for name, value in question.items() if value is not None}
    data: Data = {
        "report": asked.report,
        "to_at": instant_text(asked.to_at),
        "sha256": sha256,
        "question_c": commitments.to("question_c", orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()),
    }
    if asked.from_at is not None:
        data["from_at"] = instant_text(asked.from_at)
    if asked.seed is not None:
        data["seed"] = asked.seed
    entry = Draft(
        id=entry_id,
        type=MADE,
        actor=caller.principal.subject,
        data=data,
        private=commitments.taken(),
    )

    def work(_tx: Transaction, _now: Instant) -> Recorded[None]:
        return Recorded(None, (entry,))

    await log.commit(work)


async def sign_report(
    report_id: EntryId,
    *,
    verdict: str,
    comment: str = "",
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
    once: Once,
) -> EntryId:
    """Sign a report off, or object to it, as a person; return the id of the entry that says so.

    Raises:
        NotPermitted: the caller may not see reports.
        ReviewerNotHuman: a token, an agent or a service.
        NotFound: there is no report with this id.
        ReasonRequired: an objection needs a comment, and a comment has at most 2,000 characters.
        StepUpRequired: the sign-in is too old for this act.
        Locked: a lock is aimed at the caller.
    """
    require_may_report(caller)
    require_person(caller)
    if len(comment) > MAX_COMMENT:
        raise ReasonRequired(f"The comment has more than {MAX_COMMENT} characters.", next_step="Shorten it.")
    if verdict != ACCEPTED and not comment.strip():
        raise ReasonRequired("An objection needs a comment.", next_step="Say what is wrong: --comment …")

    def work(tx: Transaction, now: Instant) -> Recorded[EntryId]:
        known = once.created(tx, now)
        if known is not None:
            return Recorded(EntryId(known))
        require_may_decide(tx, caller, now)
        caller.require_sign_in(now, REVIEW_SIGN_IN_S)
        _require_report(tx, report_id)
        commitments = Commitments(random)
        data: Data = {"verdict": verdict}
        if comment:
            data["comment_c"] = commitments.to("comment_c", comment)
        entry = Draft(
            id=EntryId(new_id(ENTRY)),
            type="report.signed",
            actor=caller.principal.subject,
            ref=refs(entry=report_id),
            data=data,
            private=commitments.taken(),
        )
        once.remember(tx, entry.id, now)
        return Recorded(entry.id, (entry,))

    return await log.commit(work)


def _require_report(tx: Transaction, report_id: EntryId) -> None:
    """Refuse what is no report of the list: other questions to the log are recorded likewise, and nobody signs them."""
    found = tx.entries.find(report_id)
    entry = None if found is None else orjson.loads(found.content)
    if entry is None or entry["type"] != MADE or entry["data"]["report"] not in KINDS:
        raise NotFound(f"There is no report {report_id}.", next_step=f"loglease audit list --type {MADE}")

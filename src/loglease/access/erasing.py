"""Erase what somebody wrote: proposed by one administrator, approved by another, and gone for good.

What is erased is a subject, with everything they wrote and the link to who they are, or one text of one entry. Entries
and proofs stay as they are. Nothing is erased that a hold covers, or that something unfinished still needs.
"""

from __future__ import annotations

from typing import Final

from loglease.access.acts import earlier, proposed, require_administrator
from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.access.errors import NotFound, NotPermitted, StillNeeded, UnderHold
from loglease.access.journal import JournalRecord
from loglease.access.once import Once
from loglease.access.records import Data
from loglease.audit.entry import entry_of
from loglease.audit.interface import SYSTEM, Draft, EntryLog, PrivateField, Recorded
from loglease.audit.privacy import Vault
from loglease.model.access_request import RequestState
from loglease.model.act import Act, ActKind
from loglease.model.errors import InvalidField
from loglease.model.grant import GrantState
from loglease.model.ids import (
    ENTRY,
    SUBJECT_BYTES,
    EntryId,
    LockId,
    NewId,
    RequestId,
    RevocationId,
    subject_of,
)
from loglease.model.instant import Instant
from loglease.model.legal_hold import LegalHold
from loglease.store.interface import Transaction
from loglease.store.scrubbing import ERASED

_LIVE: Final = (GrantState.SCHEDULED, GrantState.ACTIVE)


async def propose_erasure(
    *,
    subject: str | None = None,
    entry: str | None = None,
    path: str | None = None,
    comment: str,
    caller: Caller,
    vault: Vault,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> Act:
    """Propose to erase a subject, or one text of one entry. Nothing is erased by it.

    Args:
        subject: whose texts, and whose link to the person.
        entry: otherwise the entry,
        path: and which of its texts, such as ``reason_c``.
        comment: why, for the other administrator and for the record.
        caller: who proposes.
        vault: opens the text, so that a wrong name is noticed now.
        log: records it.
        new_id: gives the proposal its id.
        random: salts what is committed to.
        once: the idempotency key of the call.

    Raises:
        NotPermitted: the caller is no administrator, or it is they who would be erased.
        NotFound: there is no such subject, or no such text.
        UnderHold: a hold covers it.
        StillNeeded: something unfinished needs it; the error says what.
        NoEligibleApprover: there is no other administrator.
        ReasonRequired, StepUpRequired, Locked: as for every act.
    """
    if (subject is None) is (entry is None) or (entry is None) is not (path is None):
        raise InvalidField("What is to be erased?", next_step="Name a subject, or an entry and its field.")
    terms = {"subject": subject} if subject is not None else {"entry": entry or "", "field": path or ""}

    def work(tx: Transaction, now: Instant) -> Recorded[Act]:
        if (known := earlier(tx, once, now)) is not None:
            return Recorded(known)
        require_administrator(tx, caller, now)
        if subject is not None:
            _require_erasable(tx, subject)
            if caller.principal.subject == subject:
                raise NotPermitted("Nobody proposes to erase themselves.", next_step="Ask another administrator.")
        else:
            _require_erasable_text(tx, terms["entry"], terms["field"], vault)
        return proposed(
            tx, now, kind=ActKind.ERASE, terms=terms, comment=comment, caller=caller, new_id=new_id, random=random,
            once=once,
        )  # fmt: skip

    return await log.commit(work)


def erase(tx: Transaction, act: Act, *, approved_by: str, vault: Vault, new_id: NewId, random: Random) -> Draft:
    """Erase what an act names, and return the entry that records it.

    Raises:
        NotPermitted: it is the approver who would be erased.
        NotFound, UnderHold, StillNeeded: it cannot be done any more, or not yet.
    """
    if "subject" in act.terms:
        subject = act.terms["subject"]
        if subject in (approved_by, act.subject):
            raise NotPermitted("Nobody erases themselves.", next_step="Ask another administrator.")
        _require_erasable(tx, subject)
        principals = tx.erasures.principals_of(subject)
        count = tx.erasures.erase_subject(subject, principals, instead=subject_of(random(SUBJECT_BYTES)))
    else:
        text, subject = _require_erasable_text(tx, act.terms["entry"], act.terms["field"], vault)
        tx.erasures.erase_field(act.terms["entry"], text.path, text.clear.decode(errors="replace"))
        count = 1
    data: Data = {"subject": subject, "fields": count, "approved_by": approved_by}
    return Draft(id=EntryId(new_id(ENTRY)), type="subject.erased", actor=act.subject, data=data)


def is_erased(tx: Transaction, record: JournalRecord) -> bool:
    """Say whether the reason of an act in the journal is erased in the database: with the act, or with who did it."""
    if record.by is not None and not tx.erasures.is_known(record.by):
        return True
    if record.kind == "lock":
        lock = tx.holds.find_lock(LockId(record.id))
        return lock is not None and lock.reason == ERASED
    act = tx.revocations.find(RevocationId(record.id)) if record.kind == "revoke" else None
    return act is not None and act.reason == ERASED


def _require_erasable(tx: Transaction, subject: str) -> None:
    principals = tx.erasures.principals_of(subject)
    if subject == SYSTEM or not principals:
        raise NotFound(
            f"There is no subject {subject[:40]}.", next_step="loglease audit list names subjects as actors."
        )
    hold = tx.legal_holds.on_subject(subject)
    if hold is not None:
        raise _held(hold)
    enabled = [one.account for one in map(tx.principals.find, principals) if one is not None and one.enabled]
    if enabled:
        raise StillNeeded(
            f"{enabled[0]} can still sign in and use access.",
            next_step=f"Disable the account first: loglease admin user disable {enabled[0]}",
        )
    obstacles = tx.erasures.obstacles(principals)
    if obstacles:
        listed = "; ".join(f"{one.count} × {one.what}, such as {one.id}" for one in obstacles)
        raise StillNeeded(f"What they wrote is still needed: {listed}.", next_step="End or decide it first.")


def _require_erasable_text(tx: Transaction, entry_id: str, path: str, vault: Vault) -> tuple[PrivateField, str]:
    """Return a text that may be erased, with its subject."""
    stored = tx.entries.find(entry_id)
    kept = [] if stored is None else [one for one in tx.entries.private(entry_id) if one.path == path]
    opened = vault.opened(tx.subject_keys, entry_id, kept)
    if stored is None or not opened:
        raise NotFound(
            f"{entry_id[:40]} has no text {path[:80]!r}, or it is erased.", next_step="loglease audit list shows both."
        )
    entry = entry_of(stored.content)
    hold = tx.legal_holds.on(entry.at)
    if hold is not None:
        raise _held(hold)
    about = entry.draft.ref.get("request")
    request = None if about is None else tx.requests.find(RequestId(about))
    if request is not None and request.state is RequestState.PENDING:
        raise StillNeeded(f"{request.id} waits for a decision.", next_step="Decide or cancel it first.")
    grant = None if request is None else tx.grants.of_request(request.id)
    if grant is not None and grant.state in _LIVE:
        raise StillNeeded(f"{grant.id} is not over.", next_step="Revoke it, or wait until it ends.")
    return opened[0], kept[0].subject


def _held(hold: LegalHold) -> UnderHold:
    return UnderHold(
        f"The hold {hold.id} covers it.", next_step="It ends when an administrator releases it: loglease audit hold."
    )

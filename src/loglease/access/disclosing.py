"""Disclose one private text of the audit log to a named auditor: on the record before anybody sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loglease.access.caller import STEP_UP_S, Caller
from loglease.access.commitments import Commitments, Random
from loglease.access.errors import NotFound, NotPermitted, ReasonRequired
from loglease.access.permissions import require_may_decide
from loglease.access.records import Data, refs
from loglease.audit.interface import Draft, EntryLog, PrivateField, Recorded
from loglease.audit.privacy import Vault
from loglease.model.ids import ENTRY, EntryId, NewId, PrincipalId
from loglease.model.instant import Instant
from loglease.model.principal import Principal, Role
from loglease.store.entries_interface import StoredEntry
from loglease.store.interface import Transaction

MAX_PURPOSE: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed:
    """What was disclosed: anybody who has the entry can check that it is what was committed to.

    Attributes:
        text: field, salt and clear bytes.
        to: the auditor for whom it was.
        record: id of the entry that records it.
    """

    entry: StoredEntry
    text: PrivateField
    to: Principal
    record: EntryId


async def disclose(
    entry_id: str,
    path: str,
    *,
    to: PrincipalId,
    purpose: str,
    caller: Caller,
    vault: Vault,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
) -> Disclosed:
    """Open one text of one entry for an auditor. It is returned once `log.disclosed` is durable.

    Args:
        entry_id: the entry.
        path: which of its texts, such as ``reason_c``.
        to: for whom; a login with the role auditor.
        purpose: why; kept like every other text.
        caller: an administrator.
        vault: opens it.
        log: records it.
        new_id: gives the record its id.
        random: salts the purpose.

    Raises:
        NotPermitted: the caller is no administrator, or the recipient no auditor.
        NotFound: there is no such text, or it was erased, or nobody has that id.
        ReasonRequired: no purpose, or one that is too long.
        StepUpRequired: the sign-in is too old for this.
        Locked: a lock is aimed at the caller.
    """
    caller.require_role(Role.ADMIN)
    if not purpose.strip() or len(purpose) > MAX_PURPOSE:
        raise ReasonRequired(
            f"A disclosure needs a purpose of at most {MAX_PURPOSE:,} characters.", next_step="Say what it is for."
        )

    def work(tx: Transaction, now: Instant) -> Recorded[Disclosed]:
        require_may_decide(tx, caller, now)
        caller.require_sign_in(now, STEP_UP_S)
        auditor = tx.principals.find(to)
        if auditor is None:
            raise NotFound(f"There is nobody {to[:40]}.", next_step="loglease admin user list")
        if Role.AUDITOR not in auditor.roles or not auditor.enabled:
            raise NotPermitted(
                f"{auditor.account} is no auditor.", next_step="A text is disclosed to people with the role auditor."
            )
        stored = tx.entries.find(entry_id)
        kept = [] if stored is None else [one for one in tx.entries.private(entry_id) if one.path == path]
        opened = vault.opened(tx.subject_keys, entry_id, kept)
        if stored is None or not opened:
            raise NotFound(
                f"{entry_id[:40]} has no text {path[:80]!r}, or it is erased.",
                next_step="loglease audit list shows entries; their fields that end in _c are texts.",
            )
        record = EntryId(new_id(ENTRY))
        commitments = Commitments(random)
        data: Data = {
            "field": path,
            "to": auditor.subject,
            "purpose_c": commitments.to("purpose_c", purpose.strip()),
        }
        entry = Draft(
            id=record,
            type="log.disclosed",
            actor=caller.principal.subject,
            ref=refs(entry=entry_id),
            data=data,
            private=commitments.taken(),
        )
        return Recorded(Disclosed(entry=stored, text=opened[0], to=auditor, record=record), (entry,))

    return await log.commit(work)

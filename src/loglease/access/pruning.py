"""Prune the log: entries that are older than they have to be kept are not served any more, and deleted later.

What goes is the oldest part, in whole bundles of 256 entries. Nothing goes that is newer than the retention, under a
hold, or about something that is not over. Roots, checkpoints and the upper tiles stay, so newer proofs still hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from loglease.access.acts import earlier, proposed, require_administrator
from loglease.access.caller import Caller
from loglease.access.commitments import Random
from loglease.access.errors import StillNeeded, UnderHold
from loglease.access.once import Once
from loglease.access.records import Data
from loglease.audit.entry import entry_of
from loglease.audit.interface import Draft, EntryLog, Recorded
from loglease.model.act import Act, ActKind
from loglease.model.errors import InvalidField
from loglease.model.ids import ENTRY, EntryId, GrantId, NewId
from loglease.model.instant import Instant, after, instant_text, parse_instant
from loglease.store.interface import Transaction

BUNDLE: Final = 256
"""Entries in a bundle: what goes, goes in whole ones."""
DELETED_AFTER_S: Final = 30 * 86_400
"""How long pruned entries stay, unserved, before their bytes are deleted."""
_DELETED_AT_ONCE: Final = 4 * BUNDLE
_PRUNINGS: Final = 500


@dataclass(frozen=True, slots=True)
class Retention:
    """How long entries have to be kept; None is for ever."""

    seconds: int | None

    def ends(self, now: Instant) -> Instant:
        """Return the instant up to which nothing has to be kept any more.

        Raises:
            InvalidField: everything is kept for ever.
        """
        if self.seconds is None:
            raise InvalidField(
                "This server keeps its audit log for ever.", next_step='Set audit.retain, such as "soc2", and restart.'
            )
        return after(now, -self.seconds)


async def propose_pruning(
    before: Instant,
    *,
    comment: str,
    retention: Retention,
    caller: Caller,
    log: EntryLog[Transaction],
    new_id: NewId,
    random: Random,
    once: Once | None = None,
) -> Act:
    """Propose to prune what was recorded before an instant, as far as that may go. Nothing is pruned by it.

    Raises:
        NotPermitted: the caller is no administrator.
        InvalidField: everything is kept for ever, the instant is later than the retention allows, or nothing may go.
        NoEligibleApprover: there is no other administrator.
        ReasonRequired, StepUpRequired, Locked: as for every act.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[Act]:
        if (known := earlier(tx, once, now)) is not None:
            return Recorded(known)
        require_administrator(tx, caller, now)
        ends = retention.ends(now)
        if before > ends:
            raise InvalidField(
                f"Entries from {instant_text(ends)} on have to be kept.", next_step="Name an earlier date: --before."
            )
        lowest = _lowest_kept(tx, before) // BUNDLE * BUNDLE
        if lowest <= tx.entries.min_index():
            raise InvalidField(
                "There is nothing to prune: what is older is under a hold, about something that is not over, less"
                f" than {BUNDLE} entries, or pruned already.",
                next_step="loglease audit hold list shows the holds.",
            )
        terms = {"before": instant_text(before), "min_index": str(lowest)}
        return proposed(
            tx, now, kind=ActKind.PRUNE, terms=terms, comment=comment, caller=caller, new_id=new_id, random=random,
            once=once,
        )  # fmt: skip

    return await log.commit(work)


def prune(tx: Transaction, act: Act, now: Instant, *, approved_by: str, retention: Retention, new_id: NewId) -> Draft:
    """Raise the lowest index that is served to that of an act, and return the entry that records it.

    Raises:
        InvalidField: everything is kept for ever by now, or longer.
        UnderHold, StillNeeded: a hold or something that is not over came in between.
    """
    before, lowest = parse_instant(act.terms["before"]), int(act.terms["min_index"])
    if before > retention.ends(now):
        raise InvalidField("The retention is longer by now.", next_step="Propose an earlier date.")
    if lowest > _lowest_free_of_holds(tx, before):
        raise UnderHold("A hold covers some of it by now.", next_step="Propose it again; loglease audit hold list.")
    if lowest > _lowest_kept(tx, before):
        raise StillNeeded("Something among it is not over.", next_step="Propose it again, or wait.")
    if lowest <= tx.entries.min_index():
        raise InvalidField("It is pruned already.", next_step="loglease proposals list")
    tx.prunings.raise_min_index(lowest)
    data: Data = {"min_index": lowest, "before_at": act.terms["before"], "approved_by": approved_by}
    return Draft(id=EntryId(new_id(ENTRY)), type="log.pruned", actor=act.subject, data=data)


async def delete_pruned(*, log: EntryLog[Transaction]) -> int:
    """Delete what was pruned a month ago, a little at a time; return up to which index nothing is stored any more.

    Raises:
        AuditUnavailable, StoreUnavailable: the rest is deleted another time.
    """

    def rows(tx: Transaction, now: Instant) -> Recorded[tuple[int, bool]]:
        wanted = _deletable(tx, after(now, -DELETED_AFTER_S))
        first = tx.prunings.first_stored()
        upto = min(wanted, first + _DELETED_AT_ONCE)
        if upto > first:
            tx.prunings.delete_below(upto)
        return Recorded((max(upto, first), upto < wanted))

    before = gone = await log.commit(lambda tx, _: Recorded(tx.prunings.first_stored()))
    more = True
    while more:
        gone, more = await log.commit(rows)
    if gone > before:
        for part in itertools.count():
            if not await log.commit(partial(_forgotten, index=gone, part=part)):
                break
    return gone


def _forgotten(tx: Transaction, _: Instant, *, index: int, part: int) -> Recorded[bool]:
    return Recorded(tx.prunings.forget_served(index, part))


def _deletable(tx: Transaction, until: Instant) -> int:
    """Return the lowest index that was not pruned before an instant."""
    pruned = tx.entries.page(types=frozenset({"log.pruned"}), limit=_PRUNINGS)
    entries = (entry_of(one.content) for one in pruned)
    return max((int(str(one.draft.data["min_index"])) for one in entries if one.at <= until), default=0)


def _lowest_kept(tx: Transaction, before: Instant) -> int:
    """Return the lowest index that may not go, were all before an instant to be pruned."""
    return min(_lowest_free_of_holds(tx, before), *_lowest_unfinished(tx), tx.entries.size())


def _lowest_free_of_holds(tx: Transaction, before: Instant) -> int:
    held = tx.legal_holds.first_held()
    return tx.prunings.index_at(before if held is None else min(before, held))


def _lowest_unfinished(tx: Transaction) -> Iterable[int]:
    """Yield the first entries of requests, grants and after-reviews that are not over, and of locks in force."""
    yield tx.entries.size()
    first = tx.prunings.first_of_unfinished()
    if first is not None:
        yield first
    behind: set[GrantId] = set()
    for grant in tx.grants.live():
        behind |= {*grant.extends, *([] if grant.parent is None else [grant.parent])}
    for grant_id in sorted(behind):
        known = tx.grants.find(grant_id)
        found = None if known is None else tx.prunings.first_of(known.request)
        if found is not None:
            yield found
    locked = tx.prunings.oldest_lock()
    if locked is not None:
        yield tx.prunings.index_at(locked)

"""Making reports: the log is read in steps, off the event loop, one report at a time, and recorded before it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from loglease.access.caller import Caller
from loglease.access.errors import NotFound
from loglease.access.reports import record_report, require_may_report
from loglease.audit.checkpoint import Checkpoint
from loglease.audit.interface import AuditUnavailable
from loglease.audit.note import SignedNote
from loglease.audit.report import access_review, policy_history
from loglease.audit.report.asking import Asked, Beside, MayDo, Person, Rights, SignedHead, Sink
from loglease.audit.report.catalogue import Kind
from loglease.audit.report.documents import ERASED, Report, document_bytes, document_of
from loglease.audit.report.making import Making, Result, checked
from loglease.audit.report.tables import MAX_ROWS, ReportTooLarge
from loglease.model.digest import sha256_hex
from loglease.model.ids import ENTRY, EntryId, GrantId
from loglease.model.instant import Instant
from loglease.model.principal import Directory
from loglease.model.proposal import ProposalState
from loglease.policy.bundle import Bundle
from loglease.policy.present_rights import PresentRight, PresentRights
from loglease.server.lifecycle import ORIGIN
from loglease.server.services import Services
from loglease.server.sink_settings import SinkSettings
from loglease.store.checkpoints_interface import StoredCheckpoint
from loglease.store.entries_interface import StoredEntry
from loglease.store.interface import Transaction

WITHIN_S: Final = 600
"""How long one report may take."""
SIGNED_WITHIN_S: Final = 2.0
"""How long a report waits until what it is about is signed."""

_A_TIME: Final = 2_000
_PAGE: Final = 200
_NS: Final = 1_000_000_000

Rows = list[tuple[int, bytes, bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A report that was made and is not recorded yet.

    Attributes:
        content: its JSON, byte for byte.
    """

    report: Report
    content: bytes

    @property
    def sha256(self) -> str:
        """The digest that the record names."""
        return sha256_hex(self.content)


async def made(services: Services, caller: Caller, asked: Asked) -> Made:
    """Make a report of what is in the log now.

    Raises:
        NotPermitted: the caller may not see reports.
        InvalidField: the question makes no sense.
        NotFound: there is no such grant.
        ReportTooLarge: it would keep too much, or take longer than ten minutes.
        LogDamaged: an entry cannot be read.
    """
    require_may_report(caller)
    now = services.clock.now()
    asked = replace(asked, to_at=min(asked.to_at, now))
    kind = checked(asked)
    async with services.standing.reporting:
        beside = await _beside(services, kind)
        making = Making(asked, beside)
        await _read(services, making, asked, beside)
        result = await asyncio.to_thread(making.result)
        report = Report(
            id=services.new_id(ENTRY),
            kind=kind,
            asked=asked,
            beside=beside,
            made_at=now,
            made_by=caller.principal.subject,
            result=result,
            names=await _names(services, result, caller),
        )
        content = await asyncio.to_thread(lambda: document_bytes(document_of(report)))
    return Made(report=report, content=content)


async def recorded(services: Services, caller: Caller, done: Made) -> None:
    """Record that a report was made; it may leave once this returns.

    Raises:
        AuditUnavailable: it cannot be recorded.
    """
    await record_report(
        EntryId(done.report.id),
        done.report.asked,
        sha256=done.sha256,
        caller=caller,
        log=services.log,
        random=services.random,
    )


async def _beside(services: Services, kind: Kind) -> Beside:
    """Fetch what the report knows beside the entries; where the log is signed, up to a signed head."""
    size = await services.store.read(lambda tx: tx.entries.head().next)
    head = await _signed(services, size)
    settled = head.size if head is not None and head.size >= size else size

    def query(tx: Transaction) -> Beside:
        return Beside(
            first=tx.entries.head().min_index,
            size=settled,
            origin=tx.values.find(ORIGIN) or "",
            head=None if head is None else _head_of(head),
            retain_s=services.settings.audit.retain_s,
            sinks=tuple(_sink(tx, name, one) for name, one in sorted(services.settings.audit.sinks.items())),
            changes=_changes(tx) if kind.name == policy_history.NAME else lambda _: (),
        )

    found = await services.store.read(query)
    if kind.name != access_review.NAME:
        return found
    directory = await services.store.read(lambda tx: tx.principals.directory())
    bundle, now = services.rules.current.bundle, services.clock.now()
    return replace(found, rights=await asyncio.to_thread(rights_of, bundle, directory, now))


async def _signed(services: Services, size: int) -> StoredCheckpoint | None:
    """Return the newest signed head, after some time for one that covers so many entries.

    A log that cannot be signed is no reason to have no report: what it rests on is then said in it.
    """
    with suppress(AuditUnavailable, TimeoutError):
        async with asyncio.timeout(SIGNED_WITHIN_S):
            await services.publishing.integrator.covered(size)
    return await services.store.read(lambda tx: tx.checkpoints.last())


def _head_of(stored: StoredCheckpoint) -> SignedHead:
    checkpoint = Checkpoint.parse(SignedNote.parse(stored.note).text)
    return SignedHead(origin=checkpoint.origin, size=stored.size, root=stored.root, note=stored.note)


def _sink(tx: Transaction, name: str, configured: SinkSettings) -> Sink:
    state = tx.sinks.find(name)
    return Sink(
        name=name,
        kind=configured.kind,
        required=configured.required,
        size=-1 if state is None else state.size,
        waits_since=None if state is None else state.since,
    )


def _changes(tx: Transaction) -> Callable[[str], Sequence[tuple[str, str]]]:
    """Return what each proposal that came into force changes; the documents themselves are let go."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    page = tx.proposals.page(limit=_PAGE)
    while page:
        found |= {
            one.id: tuple((change.verdict, change.text) for change in one.changes)
            for one in page
            if one.state is ProposalState.ACCEPTED
        }
        page = tx.proposals.page(before=page[-1].id, limit=_PAGE)
    return lambda proposal: found.get(proposal, ())


def rights_of(bundle: Bundle, directory: Directory, now: Instant) -> Rights:
    """Return who may do what by documents and directory as they are.

    Raises:
        ReportTooLarge: there are more rights than a report may list.
    """
    present = PresentRights(bundle, directory, now)
    people = tuple(
        Person(
            subject=one.subject,
            kind=str(one.kind),
            enabled=one.enabled,
            roles=tuple(sorted(one.roles)),
            groups=tuple(sorted(one.groups)),
        )
        for one in sorted(directory.principals.values(), key=lambda one: one.id)
    )
    return Rights(people, _may(present.requesters()), _may(present.reviewers()))


def _may(rights: Iterable[PresentRight]) -> tuple[MayDo, ...]:
    found: dict[MayDo, None] = {}
    for one in rights:
        found[MayDo(one.principal.subject, one.document, one.by)] = None
        if len(found) > MAX_ROWS:
            raise ReportTooLarge(
                f"More than {MAX_ROWS:,} rights would have to be listed.", next_step="Name groups in policies."
            )
    return tuple(found)


async def _read(services: Services, making: Making, asked: Asked, beside: Beside) -> None:
    if asked.grant is not None:
        rows = await services.store.read(lambda tx: _of_grant(tx, GrantId(asked.grant or ""), beside))
        await asyncio.to_thread(making.add, rows)
        return
    ends_ns = services.clock.boot_ns() + WITHIN_S * _NS
    index = beside.first
    while index < beside.size:
        rows = await services.store.read(_next(index, beside.size))
        if not rows or not await asyncio.to_thread(making.add, rows):
            return
        index = rows[-1][0] + 1
        if services.clock.boot_ns() > ends_ns:
            read = f"{index - beside.first:,} of {beside.size - beside.first:,} entries"
            raise ReportTooLarge(f"{read} were read in {WITHIN_S} s.", next_step="Ask for an earlier end with --to.")


def _next(index: int, size: int) -> Callable[[Transaction], Rows]:
    return lambda tx: _rows(tx.entries.since(index, limit=min(_A_TIME, size - index)), size)


def _rows(found: Iterable[StoredEntry], size: int) -> Rows:
    return [(row.index, row.content, row.leaf) for row in found if row.index < size]


def _of_grant(tx: Transaction, grant_id: GrantId, beside: Beside) -> Rows:
    """Return the entries about a grant and its request, in order; bounded.

    Raises:
        NotFound: there is no such grant.
        ReportTooLarge: there are too many.
    """
    grant = tx.grants.find(grant_id)
    if grant is None:
        raise NotFound(f"There is no grant {grant_id}.", next_step="loglease grants")
    found: dict[int, StoredEntry] = {}
    for named in ({"request": grant.request}, {"grant": grant.id}):
        before: int | None = None
        while page := tx.entries.page(**named, before=before, limit=_A_TIME):
            found |= {row.index: row for row in page}
            before = page[-1].index
            if len(found) > MAX_ROWS:
                raise ReportTooLarge(
                    f"{grant_id} has more than {MAX_ROWS:,} entries.", next_step="Ask for less: --to …"
                )
    return _rows((found[index] for index in sorted(found)), beside.size)


async def _names(services: Services, result: Result, caller: Caller) -> Mapping[str, str]:
    """Return what people are called now; of several linked logins all accounts."""
    wanted = result.found.subjects() | {caller.principal.subject}
    directory = await services.store.read(lambda tx: tx.principals.directory())
    found: dict[str, list[str]] = {}
    for one in sorted(directory.principals.values(), key=lambda one: one.id):
        if one.subject in wanted:
            found.setdefault(one.subject, []).append(f"{one.name} ({one.account})")
    return {subject: ", ".join(found.get(subject, [ERASED])) for subject in wanted}

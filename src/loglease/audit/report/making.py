"""Making a report: rows of the log go in by the thousand, in order, and what was found comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import orjson

from loglease.audit.checking import LogDamaged
from loglease.audit.entry import Entry, entry_of
from loglease.audit.forms import is_plain
from loglease.audit.interface import Draft, EntryInvalid
from loglease.audit.report.asking import MAX_SAMPLE, MAX_SEED, Asked, Beside, Logged
from loglease.audit.report.catalogue import KINDS, Kind
from loglease.audit.report.folds import Counts, TakesBroken
from loglease.audit.report.sampling import sampled
from loglease.audit.report.tables import Found
from loglease.audit.semantic.facts import instant_of
from loglease.model.errors import FieldFault, InvalidField
from loglease.model.instant import Instant

_TYPE: Final = b'"type":"'
_AT: Final = b'","at":"'
_TIME: Final = len("2026-11-23T09:00:00.000000Z")


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a sample was drawn: from which table, how many of how many rows."""

    table: str
    size: int
    of: int
    seed: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a report found, with its sample and the entries that are its evidence."""

    found: Found
    drawn: Drawn | None
    evidence: tuple[int, ...]


class Making:
    """One report in the making.

    Args:
        asked: see `checked`.
    """

    def __init__(self, asked: Asked, beside: Beside) -> None:
        self.kind = KINDS[asked.report]
        self._asked = asked
        self._fold = self.kind.build(asked, beside)
        self._counts = self._fold if isinstance(self._fold, Counts) else None

    def add(self, rows: Iterable[tuple[int, bytes, bytes | None]]) -> bool:
        """Take in rows of the log: index, bytes and stored leaf. Return False once later rows change nothing.

        Raises:
            LogDamaged: an entry cannot be read; the report `integrity` tells of it instead.
            ReportTooLarge: there is more than a report may keep.
        """
        for index, content, leaf in rows:
            if self._is_other(content) or self._is_counted(index, content, leaf):
                continue
            try:
                entry = entry_in(content)
            except EntryInvalid as error:
                if not isinstance(self._fold, TakesBroken):
                    raise LogDamaged(
                        f"Audit entry {index} cannot be read.", next_step="loglease audit report integrity"
                    ) from error
                self._fold.add_broken(index, content, leaf, error.message)
                continue
            if entry.at >= self._asked.to_at and not self.kind.whole:
                return False
            self._fold.add(Logged(index, entry, content, leaf))
        return True

    def _is_other(self, content: bytes) -> bool:
        """Say whether an entry is of a type that the report does not read; cheap, since most entries are."""
        if self.kind.types is None:
            return False
        kind = type_in(content)
        return kind is not None and kind not in self.kind.types

    def _is_counted(self, index: int, content: bytes, leaf: bytes | None) -> bool:
        """Count an entry of which the report wants no more; say whether it was one, whose form is certain."""
        if self.kind.reads is None or self._counts is None:
            return False
        kind = type_in(content)
        if kind is None or kind in self.kind.reads or not is_plain(content):
            return False
        self._counts.count(index, content, leaf, kind=kind, at=_time_in(content))
        return True

    def result(self) -> Result:
        """Return what was found, with the sample in place of the main table where one was asked for."""
        found, asked = self._fold.found(), self._asked
        if asked.sample is None or self.kind.main is None:
            return Result(found, None, found.evidence())
        main = next(table for table in found.tables if table.layout.name == self.kind.main)
        seed = asked.seed or 0
        chosen = sampled(main.rows, asked.sample, seed)
        drawn = Drawn(self.kind.main, len(chosen), len(main.rows), seed)
        tables = tuple(replace(table, rows=chosen) if table is main else table for table in found.tables)
        evidence = tuple(sorted({index for row in chosen for index in row.entries}))
        return Result(replace(found, tables=tables), drawn, evidence)


def entry_in(content: bytes) -> Entry:
    """Read an entry; most are told to be whole by their form, which takes a fraction of the time.

    Raises:
        EntryInvalid: as `entry_of`.
    """
    if not is_plain(content):
        return entry_of(content)
    value = orjson.loads(content)
    draft = Draft(
        id=value["id"],
        type=value["type"],
        actor=value["actor"],
        ref=value["ref"],
        data=value["data"],
        via=value.get("via"),
    )
    return Entry(draft, instant_of(value["at"]))


def _time_in(content: bytes) -> Instant:
    """Return the time of an entry whose form is certain: it follows the actor, whose text holds no quotation mark."""
    begin = content.index(_AT) + len(_AT)
    return instant_of(content[begin : begin + _TIME].decode("ascii"))


def type_in(content: bytes) -> str | None:
    """Return the type of an entry without reading all of it; None where its bytes do not look like one.

    In canonical order it is among the last keys of an entry, and a quotation mark inside of text is escaped.
    """
    _, key, rest = content.rpartition(_TYPE)
    name, quote, _ = rest.partition(b'"')
    return name.decode("ascii", errors="replace") if key and quote else None


def checked(asked: Asked) -> Kind:
    """Return the kind of report that is asked for, if the question makes sense.

    Raises:
        InvalidField: there is no such report, or something is missing, too much or the wrong way round.
    """
    kind = KINDS.get(asked.report)
    if kind is None:
        raise _fault("report", f"There is no report {asked.report[:40]!r}.", f"Reports: {', '.join(KINDS)}.")
    if asked.from_at is not None and asked.from_at >= asked.to_at:
        raise _fault("from", "The time ends before it begins.", "Give a start before the end, and not in the future.")
    if kind.of_grant and asked.grant is None:
        raise _fault("grant", f"The report {kind.name} is about one grant.", "Name it: --grant grt_….")
    if not kind.of_grant and asked.grant is not None:
        raise _fault("grant", f"The report {kind.name} takes no grant.", "Leave it out, or ask for a dossier.")
    if asked.sample is None and asked.seed is not None:
        raise _fault("seed", "A seed is for a sample.", "Say how many rows to draw: --sample 25.")
    if asked.sample is not None:
        if kind.main is None:
            raise _fault("sample", f"The report {kind.name} takes no sample.", "Leave it out.")
        if not 1 <= asked.sample <= MAX_SAMPLE:
            raise _fault("sample", f"A sample has 1 to {MAX_SAMPLE:,} rows.", "Ask for fewer.")
    if asked.seed is not None and not 0 <= asked.seed <= MAX_SEED:
        raise _fault("seed", "A seed is a whole number from 0 to 2^53 − 1.", "Choose a smaller one.")
    return kind


def _fault(name: str, message: str, next_step: str) -> InvalidField:
    return InvalidField(message, next_step=next_step, faults=(FieldFault(f"/{name}", "value", message),))

"""What a gateway reports about a session: what it handed over since the last record, and what it may hand over next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from loglease.access.errors import AccountMismatch
from loglease.access.records import Data
from loglease.model.digest import commitment
from loglease.model.session import Account

MAX_RESERVED_LINES: Final = 256
MAX_RESERVED_BYTES: Final = 65_536


class Unit(StrEnum):
    """What the items of an answer are: lines, numbers made of lines, or names of labels, fields and streams."""

    LINE = "line"
    SAMPLE = "sample"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was handed over since the previous record of a session.

    Attributes:
        unit: what `lines` counts.
        after_lines: lines that the session had handed over before these; `after_bytes` likewise.
        masked: finds by rule, in the lines behind what was handed over.
        served: canonical bytes of the served list: content digest, pseudonyms, streams; empty if nothing was served.
        overflow: the list is not complete, so the batch counts as matching every pseudonym.
        rest: what is left of these if the last record that was asked for came about although nobody was told so.
    """

    unit: Unit = Unit.LINE
    after_lines: int = 0
    after_bytes: int = 0
    lines: int = 0
    size: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    served: bytes = b""
    overflow: bool = False
    rest: Settled | None = None

    def data(self, salt: bytes) -> Data:
        """Return the shape that entries carry; `salt` opens the commitment to the served list."""
        data: Data = {
            "unit": str(self.unit),
            "lines": self.lines,
            "bytes": self.size,
            "masked": [{"rule": rule, "count": count} for rule, count in sorted(self.masked.items())],
            "served_c": commitment(salt, self.served),
            "overflow": self.overflow,
        }
        if self.first_ns is not None and self.last_ns is not None:
            data |= {"first_ns": str(self.first_ns), "last_ns": str(self.last_ns)}
        return data


NOTHING: Final = Settled()


def settle(account: Account, settled: Settled) -> tuple[Account, Settled]:
    """Return the account with that added which it does not have yet, and the report of exactly that.

    A transaction can commit and its answer be lost, so what was handed over may be reported twice. A report counts only
    where the record stands at its beginning. The account never exceeds the ceiling that was recorded before.

    Raises:
        AccountMismatch: the record stands where no report begins or ends.
    """
    recorded = (account.settled_lines, account.settled_bytes)
    report: Settled | None = settled
    while report is not None:
        lines, size = report.after_lines + report.lines, report.after_bytes + report.size
        if (report.after_lines, report.after_bytes) == recorded:
            return replace(
                account,
                settled_lines=min(lines, account.ceiling_lines),
                settled_bytes=min(size, account.ceiling_bytes),
            ), report
        if (lines, size) == recorded:
            return account, NOTHING
        report = report.rest
    raise AccountMismatch(
        f"The record has {account.settled_lines} lines and {account.settled_bytes} bytes as handed over, "
        "and what the session reports does not follow them.",
        next_step="Tell an operator.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What may be handed over in all, in the session's life so far: below these ceilings, and while it has not lapsed.

    Attributes:
        exhausted: nothing was reserved because a budget is at zero; the session has to end.
        subjects: of how many lines that were asked for, from the first on, the data subjects are taken.
        spent: the first line beyond has more of them than the grant itself has room for, which uses it up.
    """

    seq: int
    ceiling_lines: int
    ceiling_bytes: int
    exhausted: bool = False
    subjects: int = 0
    spent: bool = False

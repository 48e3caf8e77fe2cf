"""What an operator may set about sessions; figures that belong to the promises are constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loglease.access.open_session import Places
from loglease.audit.sequencer import LIMIT_S

SLICE_BYTES: Final = 4_096
"""The most that is handed over after one look at `may_serve`."""

LAPSE_NS: Final = 250_000_000
"""How long a reservation may be used after its acknowledgement."""

RENEW_NS: Final = 200_000_000
"""While items flow the next reservation is asked for at half use or after this time."""

CUT_NS: Final = 200_000_000
"""How long an ending session may take to empty its queues before its connection is reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Bounds of one gateway process.

    Attributes:
        tails: the most tails at once.
        queries: the most queries at once.
        skip_after_s: a tail whose reader makes no progress for so long skips lines.
        slow_after_s: a reader that makes no progress for so long loses its session.
        ahead_bytes: encoded lines that may wait for their socket, per session.
        chunk_lines: lines that are redacted in one go; a cut is noticed between two.
        chunk_bytes: likewise in bytes.
        workers: threads that redact and evaluate.
        deadline_s: how long the redaction of a chunk may take; then nothing of it leaves and its session ends.
        scan_lines: permitted lines that one query may look at, of those with the texts that the source looks for.
        scan_bytes: redacted bytes of them.
        scan_s: how long reading and evaluating them may take; waiting for the client does not count.
        places: what one principal may have open at once; None does not count.
        exact_statistics: Loki's ``index/stats`` counts permitted lines; else it answers zeros.
        gzip: JSON answers are compressed for clients that ask for it.
        record_within_s: how long a session waits for the record of what it hands over next, if not for witnesses.
        progress_s: so often a client that wants to be told hears that a session which is silent still runs.
        origins: whose pages may open a WebSocket; programs that are no browser name none.
    """

    tails: int = 1_000
    queries: int = 64
    skip_after_s: float = 5.0
    slow_after_s: float = 30.0
    ahead_bytes: int = 64 * 1024
    chunk_lines: int = 1_000
    chunk_bytes: int = 256 * 1024
    workers: int = 2
    deadline_s: float = 2.0
    record_within_s: float = LIMIT_S
    scan_lines: int = 2_000_000
    scan_bytes: int = 1 << 30
    scan_s: float = 60.0
    places: Places | None = None
    exact_statistics: bool = False
    gzip: bool = True
    progress_s: float = 5.0
    origins: tuple[str, ...] = ()

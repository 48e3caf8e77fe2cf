"""Counts from what was recorded: every entry of this process passes here once it is durable.

So the numbers of all processes add up to what the audit log says, and nothing that is not recorded is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, TypeVar

from loglease.audit.interface import AuditUnavailable, EntryLog, EntryRow, Recorded
from loglease.model.instant import Instant
from loglease.server.metrics.families import Families
from loglease.store.interface import Transaction

Result = TypeVar("Result")

_REQUESTS: Final = {
    "request.submitted": "submitted",
    "request.approved": "approved",
    "request.denied": "denied",
    "request.cancelled": "cancelled",
    "request.expired": "expired",
}
_NO_SCOPE: Final = ("none", "none")


class Meter:
    """Turns entries into counts."""

    def __init__(self, families: Families) -> None:
        self._of = families
        self._open: dict[str, tuple[str, str]] = {}
        """Kind and front of the sessions that are open here, by id."""
        self._about: dict[str, tuple[str, str]] = {}
        """Source and profile of what these read."""

    def committed(self, rows: Sequence[EntryRow]) -> None:
        """Count entries that have just become durable."""
        self._of.entries.inc(len(rows))
        for row in rows:
            draft = row.draft
            outcome = _REQUESTS.get(draft.type)
            if outcome is not None:
                self._of.requests.labels(outcome).inc()
            elif draft.type in _COUNTED:
                _COUNTED[draft.type](self, draft.ref, draft.data)

    def _opened(self, ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        kind = (data["kind"], data["front"])
        self._open[ref["session"]] = kind
        self._of.sessions_open.labels(*kind).inc()

    def _asked(self, ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        scopes = data["scopes"]
        if scopes:
            profiles = scopes[0]["profiles"]
            self._about[ref["session"]] = scopes[0]["source"], profiles[0]["name"] if profiles else "none"

    def _settled(self, ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        settled = data.get("settled")
        if settled is None:
            return
        about = self._about.get(ref["session"], _NO_SCOPE)
        self._of.lines.labels(*about).inc(settled["lines"])
        self._of.bytes.labels(*about).inc(settled["bytes"])
        for mask in settled["masked"]:
            self._of.masked.labels(mask["rule"]).inc(mask["count"])

    def _closed(self, ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        self._settled(ref, data)
        self._about.pop(ref["session"], None)
        kind = self._open.pop(ref["session"], None)
        if kind is not None:  # else it was opened by a process that has died
            self._of.sessions_open.labels(*kind).dec()
        self._of.sessions_ended.labels(data["why"]).inc()
        if "cut_ms" in data:
            self._of.cut.labels(data["why"]).observe(data["cut_ms"] / 1_000)

    def _scheduled(self, _ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        if data["basis"] == "break_glass":
            self._of.break_glass.inc()

    def _ended(self, _ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        self._of.grants_ended.labels(data["why"]).inc()

    def _revoked(self, _ref: Mapping[str, str], _data: Mapping[str, Any]) -> None:
        self._of.grants_ended.labels("revoked").inc()

    def _refused(self, _ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        self._of.refused.labels(data["code"]).inc(data["count"])

    def _signed_in(self, _ref: Mapping[str, str], _data: Mapping[str, Any]) -> None:
        self._of.auth.labels("succeeded").inc()

    def _sign_in_failed(self, _ref: Mapping[str, str], data: Mapping[str, Any]) -> None:
        self._of.auth.labels("failed").inc(data["count"])


_COUNTED: Final[Mapping[str, Callable[[Meter, Mapping[str, str], Mapping[str, Any]], None]]] = {
    "session.opened": Meter._opened,  # noqa: SLF001 - the table of the class above
    "query.recorded": Meter._asked,  # noqa: SLF001
    "batch.served": Meter._settled,  # noqa: SLF001
    "session.closed": Meter._closed,  # noqa: SLF001
    "grant.scheduled": Meter._scheduled,  # noqa: SLF001
    "grant.ended": Meter._ended,  # noqa: SLF001
    "grant.revoked": Meter._revoked,  # noqa: SLF001
    "access.refused": Meter._refused,  # noqa: SLF001
    "signin.succeeded": Meter._signed_in,  # noqa: SLF001
    "signin.failed": Meter._sign_in_failed,  # noqa: SLF001
}


class MeteredLog:
    """`EntryLog` that measures how long its callers wait."""

    def __init__(self, log: EntryLog[Transaction], families: Families) -> None:
        self._log = log
        self._of = families

    async def commit(
        self,
        work: Callable[[Transaction, Instant], Recorded[Result]],
        *,
        urgent: bool = False,
        limit_s: float | None = None,
    ) -> Result:
        """Run a work as `EntryLog.commit` does."""
        began = perf_counter()
        try:
            return await self._log.commit(work, urgent=urgent, limit_s=limit_s)
        except AuditUnavailable:
            self._of.append_failed.inc()
            raise
        finally:
            self._of.append.observe(perf_counter() - began)

"""All metrics, each with its kind, its labels and what it means; docs/reference/metrics.md is made of these.

No label has a person, grant, query or stream in it: values are sources, profiles, rules, channels and reasons that
configuration or code name.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_CUT: Final = (0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 10)
_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)


class Families:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.build = gauge("build_info", "The version that runs.", "version")
        # Access
        self.requests = counter("requests", "Access requests, by what became of them.", "outcome")
        self.requests_pending = gauge("requests_pending", "Access requests that wait for reviews.")
        self.grants_active = gauge("grants_active", "Grants that are stored as active.")
        self.grants_ended = counter("grants_ended", "Grants that ended or were revoked, by the reason.", "reason")
        self.break_glass = counter("break_glass", "Grants that somebody took in an emergency.")
        self.after_reviews_overdue = gauge("after_reviews_overdue", "After-reviews that are late.")
        self.locks_active = gauge("locks_active", "Locks that are in force.")
        self.refused = counter("access_refused", "Refused calls, by the code of the refusal.", "code")
        self.auth = counter("auth", "Attempts to sign in.", "outcome")
        # Policy
        self.policy_revision = gauge("policy_bundle_revision", "The revision of the policy bundle in force.")
        # Gateway
        self.sessions_open = gauge("sessions_open", "Sessions that are open here.", "kind", "front")
        self.sessions_ended = counter("sessions_ended", "Sessions that closed here, by the reason.", "reason")
        self.lines = counter("lines_served", "Lines, samples and names handed over.", "source", "profile")
        self.bytes = counter("bytes_served", "Bytes handed over.", "source", "profile")
        self.masked = counter("masked", "Values that were masked in what was handed over.", "rule")
        self.withheld = gauge("redaction_withheld", "Texts that no engine vouched for, since the start.")
        self.cut = histogram("cut_seconds", "From the end of a right to the last byte.", "cause", buckets=_CUT)
        self.lease = gauge("gateway_lease_seconds", "For how long the newest revocations are known here.")
        self.clock_suspect = gauge("clock_suspect", "1 while the clock cannot be trusted and nothing new begins.")
        self.source_up = gauge("source_up", "1 if a source can be read.", "source")
        # The audit log
        self.entries = counter("audit_entries", "Entries that this process recorded.")
        self.append = histogram("audit_append_seconds", "How long a caller waits for its record.", buckets=_FAST)
        self.append_failed = counter("audit_append_failures", "Works that the log refused or was late for.")
        self.unsigned = gauge("audit_unsigned_entries", "Entries that no signed head covers yet.")
        self.tampered = gauge("audit_tampered", "1 once the log is not what was recorded.")
        # The surface
        self.api_requests = counter("api_requests", "Answers of API and pages.", "route", "code")
        self.api_seconds = histogram("api_request_seconds", "How long API and pages take to answer.", buckets=_FAST)
        self.outbox_pending = gauge("outbox_pending", "Notices that wait to be sent.")
        self.outbox_dead = gauge("outbox_dead", "Notices that were given up.")
        self.loop_lag = histogram("event_loop_lag_seconds", "How late the event loop came to a timer.", buckets=_FAST)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"loglease_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"loglease_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"loglease_{name}", text, labels, buckets=buckets, registry=self.registry)


def table() -> str:
    """Return all metrics as a table of Markdown."""
    rows = ["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for one in sorted(vars(Families()).values(), key=lambda one: getattr(one, "_name", "")):
        if isinstance(one, (Counter, Gauge, Histogram)):
            kind = type(one).__name__.lower()
            name = f"{one._name}_total" if isinstance(one, Counter) else one._name  # noqa: SLF001 - no other way to it
            labels = ", ".join(f"`{label}`" for label in one._labelnames) or "–"  # noqa: SLF001
            rows.append(f"| `{name}` | {kind} | {labels} | {one._documentation} |")  # noqa: SLF001
    return "\n".join(rows)

"""Reads BreakGlass documents: access in an emergency, which costs a fresh sign-in, notices and an after-review."""

from __future__ import annotations

from typing import Final

from loglease.model.ack import Ack
from loglease.policy.condition_fields import Effect
from loglease.policy.documents import AccessPolicy, AfterRule, BreakGlass, GrantRule, Rate, Route, Tightening
from loglease.policy.fields import Record
from loglease.policy.kinds import GRANT_LATER, HEAD, Kinds
from loglease.policy.problems import Severity
from loglease.policy.profiles import RAW
from loglease.policy.tree import Node, Table

LONGEST_S: Final = 3_600
"""No emergency lasts longer, whatever a document says."""
STEP_UP_MOST_S: Final = 15 * 60
_MOST: Final = 10_000


class EmergencyKinds(Kinds):
    """Reads all kinds of documents, BreakGlass among them."""

    def break_glass(self, node: Table, name: str) -> BreakGlass:
        """Read a BreakGlass."""
        known = ("title", "owner", "who", "scopes", "ask", "step_up", "when", "grant", "notify", "after_review", "rate")
        record = self._reader.record(node, "a BreakGlass", (*HEAD, *known))
        read = self._reader
        example = "{from: [group:sre-leads], need: 1, within: 24h}"
        after = self._parts.after_review(record.need("after_review", example))
        scopes = read.items(
            record.need("scopes", "[{sources: [prod-logs], all_streams: true, lookback: 6h}]"), "scopes"
        )
        ask = self._ask.read(record.node("ask"))
        # An outage elsewhere locks nobody out: facts of the call and calendars, and nothing that a provider says.
        alone = self._conditions.within(self._readable.alone(ask.inputs))
        if ask.ticket is not None and ask.ticket.state is not None:
            read.problems.add(
                ask.ticket.state.at or node.at, "P324", "the outage of a tracker would close break-glass",
                "leave out the state of the ticket",
            )  # fmt: skip
        policy = AccessPolicy(
            id=name,
            title=read.text(record.node("title"), "title", longest=200) or name,
            owner=self._owner(record),
            review_by=None,
            exclusive=False,
            discoverable=False,
            who=self._parts.who(record.need("who", "{any_of: [group:sre]}"), people_only=True),
            scopes=tuple(self._parts.scope_rule(item) for item in scopes),
            ask=ask,
            when=alone.read(record.node("when"), "when", Effect.GIVES),
            grant=self._emergency_grant(record.need("grant", "{duration: {max: 30m}, redaction: pii-default}")),
            routes=(_only_route(after, node),),
            pending_max_s=LONGEST_S,
            at=node.at,
        )
        return BreakGlass(
            id=name,
            policy=policy,
            step_up_s=self._step_up(record),
            notify=self._parts.recipients(record.need("notify", "[channel:security]"), "notify"),
            rate=self._rate(record.need("rate", "{per_person: 2, window: 7d, alarm_at: 10}")),
            at=node.at,
        )

    def _emergency_grant(self, node: Node | None) -> GrantRule:
        if node is None:
            return GrantRule(default_s=1, max_s=1, redaction=RAW)
        known = ("duration", "single_use", "idle_timeout", "limits", "redaction", "bind", "audit")
        record = self._reader.record(node, "grant", (*known, "extend"), GRANT_LATER)
        if record.node("extend") is not None:
            self._reader.problems.add(
                record.key_at("extend"), "P328", "an emergency is not extended",
                "remove 'extend': whoever needs longer asks somebody, or breaks the glass again",
            )  # fmt: skip
        given = record.need("duration", "{default: 15m, max: 30m}")
        default_s, max_s = self._duration(given)
        if given is not None and max_s > LONGEST_S:
            self._reader.problems.add(
                given.at, "P417", "no emergency lasts longer than 1h, whatever is written", "lower it",
                Severity.WARNING,
            )  # fmt: skip
        profile = self._profile(record.need("redaction", "pii-default"), "redaction")
        if profile is not None and profile.partition("@")[0] == RAW:
            self._reader.problems.add(
                record.key_at("redaction"), "P308", "a BreakGlass never gives 'raw'",
                "unmasked lines are never given without approvals",
            )  # fmt: skip
        return GrantRule(
            default_s=min(default_s, LONGEST_S),
            max_s=min(max_s, LONGEST_S),
            activate_within_s=LONGEST_S,
            single_use=self._reader.boolean(record.node("single_use"), "single_use"),
            idle_timeout_s=self._reader.duration(record.node("idle_timeout"), "idle_timeout", 0) or None,
            limits=self._parts.limits(record.node("limits")),
            network_bound=self._parts.network_bound(record.node("bind")),
            ack=self._ack(record.node("audit")) or Ack.DURABLE,
            redaction=profile or RAW,
        )

    def _step_up(self, record: Record) -> int:
        node = record.need("step_up", "{within: 5m}")
        if node is None:
            return STEP_UP_MOST_S
        given = self._reader.record(node, "step_up", ("within",)).need("within", "5m")
        within_s = self._reader.duration(given, "within")
        if given is not None and within_s > STEP_UP_MOST_S:
            self._reader.problems.add(given.at, "P114", "within is 15m at most", "an older sign-in proves too little")
        return within_s

    def _rate(self, node: Node | None) -> Rate:
        if node is None:
            return Rate(1, 1, 1)
        record = self._reader.record(node, "rate", ("per_person", "window", "alarm_at"))
        return Rate(
            per_person=self._reader.number(record.need("per_person", "2"), "per_person", most=_MOST),
            window_s=self._reader.duration(record.need("window", "7d"), "window"),
            alarm_at=self._reader.number(record.need("alarm_at", "10"), "alarm_at", most=_MOST),
        )


def _only_route(after: AfterRule | None, node: Table) -> Route:
    return Route(number=1, auto=True, stages=(), grant=Tightening(), after_review=after, at=node.at)

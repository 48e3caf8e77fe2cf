"""Reads PolicyTest documents: people, scopes and cases. They are run by `cases`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from loglease.model.errors import Malformed, WindowInvalid
from loglease.model.instant import NANOSECONDS, EventWindow, Instant, parse_instant
from loglease.model.principal import Kind
from loglease.model.scope import Scope
from loglease.policy.condition_fields import Conditions, Effect
from loglease.policy.documents import FactRule
from loglease.policy.expected import NeverRule, PolicyTest, TestCase, TestExtension, TestOutcome, TestReveal, Want
from loglease.policy.fact_literals import FactLiterals
from loglease.policy.fields import Reader, Record
from loglease.policy.names import Names
from loglease.policy.parts import MOST_EXTENSIONS, Parts
from loglease.policy.problems import did_you_mean, shown
from loglease.policy.scalars import duration_s, integer
from loglease.policy.step_documents import StepDocuments
from loglease.policy.steps import TestPerson
from loglease.policy.trace import CODES, EXPIRED, Fix
from loglease.policy.tree import Items, Node, Scalar, Table

_OF_OFFERS: Final = (
    "route", "stages", "reviews", "duration", "redaction", "limits", "activate_within", "pending_max", "idle_timeout",
    "single_use", "bind", "pseudonyms", "audit", "notify", "after_review",
)  # fmt: skip
_OF_DENIALS: Final = ("code", "rule", "next")


class TestDocuments:
    """Reads tests against the names of their bundle."""

    __test__ = False  # no test class of pytest's

    def __init__(
        self,
        reader: Reader,
        names: Names,
        policies: Collection[str],
        facts: Mapping[str, FactRule] | None = None,
        guardrails: Collection[str] = (),
        conditions: Conditions | None = None,
    ) -> None:
        self._reader = reader
        self._names = names
        self._parts = Parts(reader, names)
        self._policies = policies
        self._rules = {*policies, *guardrails, EXPIRED}
        self._conditions = conditions
        self._facts = FactLiterals(reader, facts or {})

    def read(self, node: Table, name: str) -> PolicyTest:
        """Read one document."""
        known = ("api", "kind", "id", "now", "people", "facts", "scopes", "cases", "never")
        record = self._reader.record(node, "a PolicyTest", known)
        never = record.node("never")
        now = self._instant(record.need("now", "2026-11-23T09:30:00Z"))
        people_node = record.need("people", "{maria: {groups: [engineering]}}")
        people = {} if people_node is None else self.people(people_node)
        needed = record.need if never is None else lambda name, _example: record.node(name)
        scopes_node = needed("scopes", "{api: {source: prod-logs, all_streams: true, from: -2h}}")
        scopes = {
            key.text: self._scope(value, now)
            for key, value in (self._reader.table(scopes_node, "scopes") if scopes_node is not None else ())
        }
        cases = self._reader.items(needed("cases", "[{it: …, ask: {…}, want: {outcome: review}}]"), "cases")
        return PolicyTest(
            id=name,
            now=now,
            people=people,
            facts=self._facts.values(record.node("facts")),
            scopes=scopes,
            cases=tuple(self._case(item, people, scopes) for item in cases),
            never=tuple(rule for item in self._reader.items(never, "never") if (rule := self._never(item)) is not None),
            at=node.at,
        )

    def _never(self, node: Node) -> NeverRule | None:
        record = self._reader.record(node, "never", ("if", "because"))
        given = record.need("if", "'out.outcome == \"auto\" && ctx.risk > 50'")
        because = self._reader.text(record.need("because", "whoever is a risk is looked at"), "because", longest=200)
        condition = None if self._conditions is None else self._conditions.read(given, "if", Effect.ASKS)
        return None if condition is None else NeverRule(condition=condition, because=because, at=node.at)

    def people(self, node: Node, known: Collection[str] = ()) -> dict[str, TestPerson]:
        """Read people by name.

        Args:
            known: others, whom they may have for a manager.
        """
        entries = self._reader.table(node, "people")
        names = [*known, *(key.text for key, _ in entries)]
        return {key.text: self._person(key.text, value, names) for key, value in entries}

    def _instant(self, node: Node | None) -> Instant:
        if node is None:
            return Instant(0)
        try:
            return parse_instant(node.text if isinstance(node, Scalar) else "")
        except Malformed:
            self._reader.problems.add(node.at, "P114", "now is an instant", "write it like 2026-11-23T09:30:00Z")
            return Instant(0)

    def _person(self, name: str, node: Node, known: Collection[str]) -> TestPerson:
        if isinstance(node, Table) and not node.entries:
            return TestPerson(name=name, groups=frozenset(), kind=Kind.HUMAN)
        record = self._reader.record(node, f"person '{name}'", ("groups", "kind", "manager", "on_call"))
        groups = set()
        for item in self._reader.optional_items(record.node("groups"), "groups"):
            group = self._reader.text(item, "a group")
            if group and self._names.principal(f"group:{group}", item.at):
                groups.add(group)
        kind = Kind(self._reader.word(record.node("kind"), "kind", tuple(Kind), "human"))
        manager = self._known(record.node("manager"), "person", known) or None
        rotas = self._reader.optional_items(record.node("on_call"), "on_call")
        named = ((self._reader.text(item, "a rota"), item.at) for item in rotas)
        on_call = frozenset(rota for rota, at in named if rota and self._names.approver(f"oncall:{rota}", at))
        return TestPerson(name=name, groups=frozenset(groups), kind=kind, manager=manager, on_call=on_call)

    def _scope(self, node: Node, now: Instant) -> Scope:
        known = ("source", "labels", "all_streams", "level_from", "contains", "from", "to", "live")
        record = self._reader.record(node, "a scope", known)
        source_node = record.need("source", "prod-logs")
        source = self._reader.text(source_node, "source")
        if source_node is not None and source:
            self._names.source(source, source_node.at)
        labels = record.node("labels")
        if self._reader.boolean(record.node("all_streams"), "all_streams") == (labels is not None):
            self._reader.problems.add(
                record.key_at("labels"), "P118", "a scope has either 'labels' or 'all_streams: true'", "choose one"
            )
        live = self._reader.boolean(record.node("live"), "live")
        start_ns = self._moment(record.need("from", "-2h"), now)
        end_ns = self._moment(record.node("to"), now)
        try:
            window = EventWindow(start_ns, None if live else end_ns)
        except WindowInvalid:
            self._reader.problems.add(record.key_at("from"), "P114", "the scope ends before it starts", "from: -2h")
            window = EventWindow(0, None)
        return Scope(
            source=source,
            selector=self._parts.selector(labels),
            window=window,
            level_from=self._parts.level(record.node("level_from")),
            contains=self._parts.literals(record.node("contains")),
        )

    def _moment(self, node: Node | None, now: Instant) -> int:
        """Read `-2h`, counted back from now, or an instant; absent is now."""
        if node is None:
            return now * 1_000
        text = node.text if isinstance(node, Scalar) else ""
        seconds = duration_s(text[1:]) if text.startswith("-") else None
        if seconds is not None:
            return now * 1_000 - seconds * NANOSECONDS
        return self._instant(node) * 1_000

    def _case(self, node: Node, people: Mapping[str, TestPerson], scopes: Mapping[str, Scope]) -> TestCase:
        record = self._reader.record(node, "a case", ("it", "ask", "facts", "fault", "absent", "want", "then"))
        read = self._reader
        title = read.text(record.need("it", "an engineer waits for one review"), "it", longest=200)
        ask_node = record.need("ask", "{as: maria, scope: api, reason: checkout fails}") or Table(node.at, ())
        known = ("as", "scope", "for", "ticket", "reason", "redaction", "limits", "inputs")
        ask = read.record(ask_node, "ask", (*known, "reveal", "extends", "break_glass"))
        want = record.need("want", "{outcome: review}")
        asked = ask.node("for")
        return TestCase(
            title=title,
            person=self._known(ask.need("as", "maria"), "person", people),
            scope=self._known(ask.need("scope", "api"), "scope", scopes),
            profile=self._profile(ask.node("redaction")),
            duration_s=None if asked is None else read.duration(asked, "for"),
            ticket=read.text(ask.node("ticket"), "ticket", longest=128) or None,
            reason=read.text(ask.node("reason"), "reason"),
            limits=self._parts.limits(ask.node("limits")),
            reveal=self._reveal(ask.node("reveal")),
            extends=self._extends(ask.node("extends")),
            break_glass=read.boolean(ask.node("break_glass"), "break_glass"),
            inputs=self._inputs(ask.node("inputs")),
            facts=self._facts.values(record.node("facts")),
            fault=self._facts.names(record.node("fault"), "fault"),
            absent=self._facts.names(record.node("absent"), "absent", optional=True),
            want=Want(outcome=TestOutcome.DENY) if want is None else self._want(want),
            then=StepDocuments(self._reader, self._facts, self.people).read(record.node("then"), people),
            at=node.at,
        )

    def _want(self, node: Node) -> Want:
        read = self._reader
        record = read.record(node, "want", ("outcome", "policy", *_OF_OFFERS, *_OF_DENIALS))
        outcome = TestOutcome(read.word(record.need("outcome", "review"), "outcome", tuple(TestOutcome), "deny"))
        if str(outcome) == _written(record.node("outcome")):
            self._refuse_misplaced(record, outcome)
        bind, notify, following = record.node("bind"), record.node("notify"), record.node("next")
        return Want(
            outcome=outcome,
            policy=self._known(record.node("policy"), "policy", self._policies) or None,
            route=self._count(record, "route", 1),
            stages=self._count(record, "stages", 0),
            reviews=self._count(record, "reviews", 0),
            duration_s=self._seconds(record, "duration"),
            redaction=self._profile(record.node("redaction")),
            limits=self._parts.limits(record.node("limits")),
            activate_within_s=self._seconds(record, "activate_within"),
            pending_max_s=self._seconds(record, "pending_max"),
            idle_timeout_s=self._seconds(record, "idle_timeout"),
            single_use=self._flag(record, "single_use"),
            network_bound=None if bind is None else not _is_empty(bind) and self._parts.network_bound(bind),
            pseudonyms=self._parts.key_scope(record.node("pseudonyms")),
            ack=self._parts.ack(record.node("audit")),
            notify=None if notify is None else () if _is_empty(notify) else self._parts.recipients(notify, "notify"),
            after_review=self._flag(record, "after_review"),
            code=read.word(record.node("code"), "code", CODES, "") or None,
            rule=self._known(record.node("rule"), "rule", self._rules) or None,
            next=None if following is None else self._next(following),
        )

    def _refuse_misplaced(self, record: Record, outcome: TestOutcome) -> None:
        """Refuse what would never be looked at."""
        is_denial = outcome is TestOutcome.DENY
        for name in _OF_OFFERS if is_denial else _OF_DENIALS:
            if record.node(name) is not None:
                what = "a denial has none" if is_denial else "only a denial has one"
                self._reader.problems.add(record.key_at(name), "P326", f"want '{name}': {what}", f"remove '{name}'")

    def _count(self, record: Record, name: str, least: int) -> int | None:
        node = record.node(name)
        return None if node is None else self._reader.number(node, name, least=least)

    def _seconds(self, record: Record, name: str) -> int | None:
        node = record.node(name)
        return None if node is None else self._reader.duration(node, name)

    def _flag(self, record: Record, name: str) -> bool | None:
        node = record.node(name)
        return None if node is None else self._reader.boolean(node, name)

    def _next(self, node: Node) -> tuple[str, ...]:
        return tuple(self._reader.word(item, "next", tuple(Fix), "") for item in self._reader.items(node, "next"))

    def _inputs(self, node: Node | None) -> dict[str, str]:
        """Read what the form is filled in with, as text."""
        found = {}
        for key, value in self._reader.table(node, "inputs") if node is not None else ():
            is_typed = isinstance(value, Scalar) and (
                value.text in ("true", "false") or integer(value.text) is not None
            )
            text = value.text if isinstance(value, Scalar) and is_typed else self._reader.text(value, key.text)
            found[key.text] = text
        return found

    def _reveal(self, node: Node | None) -> TestReveal | None:
        if node is None:
            return None
        record = self._reader.record(node, "reveal", ("policy", "class"))
        policy = self._known(record.need("policy", "payments-prod-debug"), "policy", self._policies)
        return TestReveal(policy, self._reader.text(record.need("class", "pii.email"), "class"))

    def _extends(self, node: Node | None) -> TestExtension | None:
        if node is None:
            return None
        record = self._reader.record(node, "extends", ("policy", "number"))
        policy = self._known(record.need("policy", "payments-prod-debug"), "policy", self._policies)
        return TestExtension(policy, self._reader.number(record.node("number"), "number", most=MOST_EXTENSIONS))

    def _known(self, node: Node | None, what: str, known: Collection[str]) -> str:
        if node is None:
            return ""
        name = self._reader.text(node, what)
        if name and name not in known:
            self._reader.problems.add(node.at, "P302", f"unknown {what} {shown(name)}", did_you_mean(name, known))
        return name

    def _profile(self, node: Node | None) -> str | None:
        if node is None:
            return None
        name = self._reader.text(node, "redaction")
        return name if name and self._names.profile(name, node.at) else None


def _is_empty(node: Node) -> bool:
    return isinstance(node, Items) and not node.items


def _written(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""

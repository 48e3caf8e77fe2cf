"""Reads the parts that several kinds of documents share: names, matchers, scopes, stages, limits."""

from __future__ import annotations

import math
import re
from typing import Final

from loglease.model.ack import DEMANDED, Ack
from loglease.model.errors import InvalidField
from loglease.model.extension import ExtendRule
from loglease.model.instant import EventWindow
from loglease.model.key_scope import KeyScope
from loglease.model.labels import MAX_VALUES, Matcher, Selector, matcher_of, selector_of
from loglease.model.limits import Limits
from loglease.model.offer import Escalation, Joint, Slots, Stage
from loglease.model.principal import Kind
from loglease.model.scope import MAX_LITERALS, Level, Scope
from loglease.policy.documents import NETWORK, AfterRule, ScopeRule, Who
from loglease.policy.fields import Reader
from loglease.policy.names import Names
from loglease.policy.people import is_of_the_moment
from loglease.policy.problems import shown
from loglease.policy.tree import Items, Node, Table

MAX_STAGES: Final = 8
MAX_NEED: Final = 20
MAX_SLOTS: Final = 64
MAX_WAYS: Final = 64
"""So many ways through the `any_of` stages of one plan are tried; a plan that has more is refused."""

LEVELS: Final = tuple(str(level) for level in Level if level is not Level.UNKNOWN)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
SHORTEST_REMINDER_S: Final = 60
MOST_EXTENSIONS: Final = 20
COUNTS: Final = ("lines", "subjects", "queries", "queries_per_min", "tails")
"""Budgets that are whole numbers."""


class Parts:
    """Reads shared parts against the names that the bundle may use.

    Equal entries, equal stages and equal `who` are one object: a decision looks at such a one once.
    """

    def __init__(self, reader: Reader, names: Names) -> None:
        self._reader = reader
        self._names = names
        self._stages: dict[tuple[Stage, ...], tuple[Stage, ...]] = {}
        self._rules: dict[ScopeRule, ScopeRule] = {}
        self._whos: dict[Who, Who] = {}

    def who(self, node: Node | None, *, people_only: bool = False) -> Who:
        """Read whom a policy is for; with `people_only` it cannot be for agents and services."""
        if node is None:
            return Who(any_of=())
        record = self._reader.record(
            node, "who", ("any_of", "none_of") if people_only else ("kinds", "any_of", "none_of")
        )
        kinds = frozenset({Kind.HUMAN})
        if not people_only and (given := record.node("kinds")) is not None:
            words = (
                self._reader.word(item, "a kind", tuple(Kind), "human") for item in self._reader.items(given, "kinds")
            )
            kinds = frozenset(Kind(word) for word in words)
        any_of = self.principals(record.need("any_of", "[group:engineering]"), "any_of")
        none_of = self.principals(record.node("none_of"), "none_of")
        who = Who(kinds=kinds, any_of=any_of, none_of=none_of)
        return self._whos.setdefault(who, who)

    def principals(self, node: Node | None, what: str) -> tuple[str, ...]:
        """Read names of principals, sorted."""
        found = self._reader.texts(node, what)
        return tuple(sorted(name for name, at in found if self._names.principal(name, at)))

    def approvers(self, node: Node | None, what: str) -> tuple[str, ...]:
        """Read names of people or sets of people who may approve, sorted."""
        found = self._reader.texts(node, what)
        return tuple(sorted(name for name, at in found if self._names.approver(name, at)))

    def selector(self, node: Node | None) -> Selector:
        """Read label matchers."""
        if node is None:
            return Selector()
        matchers: dict[str, Matcher] = {}
        for key, value in self._reader.table(node, "labels"):
            if not _LABEL.fullmatch(key.text):
                self._reader.problems.add(
                    key.at, "P114", f"{shown(key.text)} is no label name", "letters, digits and _, not first a digit"
                )
                continue
            matcher = self.matcher(key.text, value) if self._names.label(key.text, key.at) else None
            if matcher is not None:
                matchers[key.text] = matcher
        return selector_of(matchers)

    def matcher(self, key: str, node: Node) -> Matcher | None:
        """Read which values a label may have: a value, a list, a prefix or any; less exceptions."""
        any_value, exceptions = False, None
        if isinstance(node, Table):
            record = self._reader.record(node, f"the matcher of {key}", ("prefix", "any", "except"))
            prefix, given = record.node("prefix"), record.node("any")
            any_value = self._reader.boolean(given, "any")
            if (prefix is None) == (given is None) or (given is not None and not any_value):
                self._reader.problems.add(
                    node.at,
                    "P118",
                    "a matcher has either 'prefix' or 'any: true'",
                    "write {prefix: pay-} or {any: true}",
                )
            exact: set[str] = set()
            prefixes = {self._value(key, prefix, "the prefix", is_prefix=True)} - {""} if prefix is not None else set()
            exceptions = record.node("except")
        else:
            exact, prefixes = self._values(key, node, f"the values of {key}")
        not_exact, not_prefixes = self._values(key, exceptions, "except") if exceptions is not None else (set(), set())
        if not (exact or prefixes or any_value):
            return None
        matcher = matcher_of(
            exact=exact, prefixes=prefixes, any_value=any_value, except_exact=not_exact, except_prefixes=not_prefixes
        )
        if matcher is None:
            self._reader.problems.add(node.at, "P316", f"no value of {key} is left", "loosen the exceptions")
        return matcher

    def _values(self, key: str, node: Node, what: str) -> tuple[set[str], set[str]]:
        """Read exact values and prefixes from a value or a list of them."""
        items = self._reader.items(node, what) if isinstance(node, Items) else (node,)
        exact: set[str] = set()
        prefixes: set[str] = set()
        if len(items) > MAX_VALUES:
            self._reader.problems.add(node.at, "P108", f"{what} are more than {MAX_VALUES:,}", "use a prefix")
            return exact, prefixes
        for item in items:
            if isinstance(item, Table):
                record = self._reader.record(item, what, ("prefix",))
                prefixes.add(self._value(key, record.need("prefix", "pay-"), "the prefix", is_prefix=True))
            else:
                exact.add(self._value(key, item, "a label value", is_prefix=False))
        return exact - {""}, prefixes - {""}

    def _value(self, key: str, node: Node | None, what: str, *, is_prefix: bool) -> str:
        text = self._reader.text(node, what)
        if node is not None and text and not is_prefix:
            self._names.label_value(key, text, node.at)
        return text

    def scope_rule(self, node: Node) -> ScopeRule:
        """Read one entry of `scopes`."""
        known = ("sources", "labels", "all_streams", "level_from", "contains", "lookback", "live")
        record = self._reader.record(node, "a scope", known)
        sources = self.sources(record.need("sources", "[prod-logs]"))
        labels = record.node("labels")
        if self._reader.boolean(record.node("all_streams"), "all_streams") == (labels is not None):
            self._reader.problems.add(
                record.key_at("labels"), "P118", "a scope has either 'labels' or 'all_streams: true'",
                "say which streams, or all of them in so many words",
            )  # fmt: skip
        selector = self.selector(labels)
        for source in sources:
            self._names.trusted(source, selector, record.key_at("labels"))
        rule = ScopeRule(
            sources=sources,
            selector=selector,
            level_from=self.level(record.node("level_from")),
            contains=self.literals(record.node("contains")),
            lookback_s=self._reader.duration(record.need("lookback", "24h"), "lookback"),
            live=self._reader.boolean(record.node("live"), "live"),
        )
        return self._rules.setdefault(rule, rule)

    def sources(self, node: Node | None) -> tuple[str, ...]:
        """Read names of sources, sorted."""
        found = self._reader.texts(node, "sources")
        return tuple(sorted(name for name, at in found if self._names.source(name, at)))

    def level(self, node: Node | None) -> Level | None:
        """Read the lowest level; absent means every line, whatever its level."""
        return None if node is None else Level(self._reader.word(node, "level_from", LEVELS, "info"))

    def literals(self, node: Node | None) -> tuple[str, ...]:
        """Read literals that each line must contain."""
        if node is None or (isinstance(node, Items) and not node.items):
            return ()
        texts = self._reader.texts(node, "contains")
        literals = tuple(sorted(text for text, _ in texts))
        try:
            Scope(source="-", selector=Selector(), window=EventWindow(0, None), contains=literals)
        except InvalidField as error:
            self._reader.problems.add(node.at, "P114", error.message.rstrip("."), f"at most {MAX_LITERALS}")
            return ()
        return literals

    def limits(self, node: Node | None) -> Limits:
        """Read budgets."""
        if node is None:
            return Limits()
        record = self._reader.record(node, "limits", (*COUNTS, "bytes"))
        return self.limits_of({name: record.node(name) for name in COUNTS}, record.node("bytes"))

    def limits_of(self, counts: dict[str, Node | None], size: Node | None) -> Limits:
        """Read budgets whose fields stand in a larger mapping."""
        found = {name: self._reader.number(node, name) for name, node in counts.items() if node is not None}
        if size is not None:
            found["bytes"] = self._reader.size(size, "bytes")
        return Limits(**found)

    def key_scope(self, node: Node | None) -> KeyScope | None:
        """Read how far pseudonyms reach; None where it is not said, or no such scope."""
        found = self._reader.word(node, "pseudonyms", tuple(KeyScope), "")
        return KeyScope(found) if found else None

    def ack(self, node: Node | None) -> Ack | None:
        """Read what has to be true of a record; None where it is not said, or no such thing."""
        found = self._reader.word(node, "audit", DEMANDED, "")
        return Ack(found) if found else None

    def network_bound(self, node: Node | None) -> bool:
        """Read what grants are bound to: `network` is all that there is."""
        found = self._reader.texts(node, "bind")
        for name, at in found:
            if name == "device":
                text = "'device' is not supported yet: grants can be bound to networks alone"
                self._reader.problems.add(at, "P906", text, "write bind: [network]")
            elif name != NETWORK:
                self._reader.problems.add(at, "P115", f"bind cannot be {shown(name)}", "write bind: [network]")
        return any(name == NETWORK for name, _ in found)

    def stages(self, node: Node | None) -> tuple[Stage, ...]:
        """Read the stages of a plan, in order."""
        items = self._reader.items(node, "stages")
        if node is not None and len(items) > MAX_STAGES:
            self._reader.problems.add(node.at, "P108", f"a plan has at most {MAX_STAGES} stages", "join some")
        stages = tuple(self.stage(item) for item in items[:MAX_STAGES])
        slots = sum(block.need for stage in stages for block in stage.blocks)
        if node is not None and slots > MAX_SLOTS:
            self._reader.problems.add(node.at, "P108", f"the plan has {slots} slots", f"at most {MAX_SLOTS} in all")
        ways = math.prod(len(stage.blocks) for stage in stages if stage.joint is Joint.ANY)
        if node is not None and ways > MAX_WAYS:
            self._reader.problems.add(
                node.at, "P108", f"there are {ways} ways through the stages", f"at most {MAX_WAYS}: use fewer any_of"
            )
        return self._stages.setdefault(stages, stages)

    def stage(self, node: Node) -> Stage:
        """Read one stage: `from` and `need`, `all_of` or `any_of`."""
        record = self._reader.record(node, "a stage", ("from", "need", "all_of", "any_of", "remind", "escalate"))
        remind_s, escalate = self._remind(record.node("remind")), self._escalation(record.node("escalate"))
        ways = [name for name in ("from", "all_of", "any_of") if record.node(name) is not None]
        if len(ways) != 1 or (record.node("need") is not None and ways != ["from"]):
            self._reader.problems.add(
                record.at, "P118", "a stage has either 'from' and 'need', or 'all_of', or 'any_of'",
                "write {from: [group:leads], need: 1}",
            )  # fmt: skip
            return Stage(blocks=(Slots(approvers=(), need=1),))
        if ways == ["from"]:
            blocks = [self._block(record.node("from"), record.node("need"))]
            return Stage(blocks=tuple(blocks), remind_s=remind_s, escalate=escalate)
        blocks = []
        for item in self._reader.items(record.node(ways[0]), ways[0])[:MAX_WAYS]:
            block = self._reader.record(item, "a block", ("from", "need"))
            blocks.append(self._block(block.need("from", "[group:leads]"), block.node("need")))
        if sum(block.need for block in blocks) > MAX_SLOTS:
            self._reader.problems.add(record.at, "P108", "the stage has too many slots", f"at most {MAX_SLOTS} in all")
        ordered = sorted(blocks, key=lambda one: (one.approvers, one.need))
        return Stage(blocks=tuple(ordered), joint=Joint(ways[0]), remind_s=remind_s, escalate=escalate)

    def _remind(self, node: Node | None) -> int | None:
        if node is None:
            return None
        seconds = self._reader.duration(node, "remind")
        if seconds < SHORTEST_REMINDER_S:
            self._reader.problems.add(node.at, "P114", "nobody is reminded more often than each minute", "write 10m")
        return seconds

    def _escalation(self, node: Node | None) -> Escalation | None:
        if node is None:
            return None
        record = self._reader.record(node, "escalate", ("after", "to"))
        after_s = self._reader.duration(record.need("after", "30m"), "after")
        return Escalation(after_s=after_s, to=self.approvers(record.need("to", "[group:leads]"), "to"))

    def after_review(self, node: Node | None) -> AfterRule | None:
        """Read who looks at what was read afterwards, and by when."""
        if node is None:
            return None
        record = self._reader.record(node, "after_review", ("from", "need", "within", "escalate"))
        block = self._block(record.need("from", "[group:sre-leads]"), record.node("need"))
        within_s = self._reader.duration(record.need("within", "24h"), "within")
        escalated = record.node("escalate")
        to: tuple[str, ...] = ()
        if escalated is not None:
            field = self._reader.record(escalated, "escalate", ("to",)).need("to", "[group:privacy]")
            to = self.approvers(field, "to")
        for name in filter(is_of_the_moment, (*block.approvers, *to)):
            text = f"'{name}' stands in an after-review, which outlasts a shift"
            self._reader.problems.add(node.at, "P303", text, "name a group")
        return AfterRule(slots=block, within_s=within_s, escalate_to=to)

    def extend(self, node: Node | None) -> ExtendRule | None:
        """Read how often a grant may be extended, and by how much."""
        if node is None:
            return None
        record = self._reader.record(node, "extend", ("times", "by"))
        times = self._reader.number(record.need("times", "1"), "times", most=MOST_EXTENSIONS)
        return ExtendRule(times=times, by_s=self._reader.duration(record.need("by", "30m"), "by"))

    def recipients(self, node: Node | None, what: str) -> tuple[str, ...]:
        """Read names of channels and people who are told, sorted."""
        found = self._reader.texts(node, what)
        return tuple(sorted(name for name, at in found if self._names.recipient(name, at)))

    def _block(self, approvers: Node | None, need: Node | None) -> Slots:
        if need is None and approvers is not None:
            self._reader.problems.add(approvers.at, "P111", "field 'need' is missing", "write how many: need: 1")
        count = self._reader.number(need, "need", most=MAX_NEED)
        return Slots(approvers=self.approvers(approvers, "from"), need=count)

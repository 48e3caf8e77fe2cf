"""Reads approver sets, access policies and guardrails: one function a kind, from nodes to resolved documents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from loglease.model.ack import Ack
from loglease.model.instant import MAX_DURATION_S
from loglease.model.key_scope import KeyScope
from loglease.model.limits import Limits
from loglease.model.offer import Plan, Stage
from loglease.policy.ask_documents import AskDocuments
from loglease.policy.condition_fields import Conditions, Effect
from loglease.policy.conditions import Condition
from loglease.policy.documents import (
    ACTIVATE_WITHIN_S,
    PENDING_MAX_S,
    AccessPolicy,
    Applies,
    ApproverSet,
    Caps,
    GrantRule,
    Guardrail,
    KeepRule,
    Otherwise,
    RevealRule,
    RiskTerm,
    Route,
    StandInRule,
    Tightening,
)
from loglease.policy.fields import Later, Reader, Record
from loglease.policy.names import Names
from loglease.policy.parts import COUNTS, Parts
from loglease.policy.people import MANAGER, is_of_the_moment
from loglease.policy.problems import At, shown
from loglease.policy.profiles import RAW
from loglease.policy.questions import facts_read
from loglease.policy.roots import PRESENCE, Readable
from loglease.policy.tree import Items, Node, Scalar, Table

_ELEVATION: Final = ("P904", "raising debug levels comes with a later version")
HEAD: Final = ("api", "kind", "id")
GRANT_LATER: Final[Later] = {
    "labels_only": ("P906", "grants for labels alone come with a later version"),
}
KEEP_EVERY_S: Final = 60
LEAST_EVERY_S: Final = 10
MOST_EVERY_S: Final = 15 * 60
_CLASS: Final = re.compile(r"[a-z][a-z0-9-]{0,62}(\.[a-z0-9-]{1,63}){0,3}")


class Kinds:
    """Reads documents against the names of their bundle."""

    def __init__(
        self, reader: Reader, names: Names, conditions: Conditions, readable: Readable, risk: Sequence[RiskTerm]
    ) -> None:
        self._reader = reader
        self._names = names
        self._conditions = conditions
        self._readable = readable
        self._asked = conditions.within(readable.asked())
        self._reviewed = conditions.within(readable.reviewed())
        self._risk = risk
        self._parts = Parts(reader, names)
        self._ask = AskDocuments(reader, names, conditions)

    def approver_set(self, node: Table, name: str) -> ApproverSet:
        """Read an ApproverSet; sets do not nest."""
        known = ("any_of", "none_of", "at_least", "stand_ins")
        record = self._reader.record(node, "an ApproverSet", (*HEAD, *known))
        any_of = self._parts.approvers(record.need("any_of", "[group:payments-leads]"), "any_of")
        none_of = self._parts.approvers(record.node("none_of"), "none_of")
        self._refuse_nested(record.node("any_of"), record.node("none_of"))
        stand_ins = self._stand_ins(record.node("stand_ins"))
        at_least = self._reader.number(record.node("at_least"), "at_least", most=10_000)
        return ApproverSet(id=name, any_of=any_of, none_of=none_of, at_least=at_least, stand_ins=stand_ins, at=node.at)

    def _stand_ins(self, node: Node | None) -> StandInRule | None:
        if node is None:
            return None
        record = self._reader.record(node, "stand_ins", ("from", "max"))
        approvers = self._parts.approvers(record.need("from", "[group:payments-leads]"), "from")
        self._refuse_nested(record.node("from"))
        return StandInRule(approvers, self._reader.duration(record.need("max", "14d"), "max"))

    def _refuse_nested(self, *given: Node | None) -> None:
        """Refuse what has another meaning for each request, or needs another set first."""
        for names in given:
            for item in names.items if isinstance(names, Items) else ():
                text = item.text if isinstance(item, Scalar) else ""
                if text.startswith("approvers:"):
                    self._reader.problems.add(
                        item.at, "P303", f"{shown(text)} stands inside a set", "name its groups instead"
                    )
                elif text == MANAGER:
                    self._reader.problems.add(
                        item.at, "P303", f"'{MANAGER}' stands inside a set, which is the same for everybody",
                        "name it beside the set, in the stage",
                    )  # fmt: skip
                elif is_of_the_moment(text):
                    self._reader.problems.add(
                        item.at, "P303", f"{shown(text)} stands inside a set, whose people are those at the submit",
                        "name it beside the set, in the stage",
                    )  # fmt: skip

    def access_policy(self, node: Table, name: str) -> AccessPolicy:
        """Read an AccessPolicy."""
        later = {"elevation": _ELEVATION}
        known = ("title", "owner", "review_by", "exclusive", "discoverable", "who", "scopes", "ask", "when", "grant")
        rest = ("approve", "approver_when", "pending_max")
        record = self._reader.record(node, "an AccessPolicy", (*HEAD, *known, *rest), later)
        read = self._reader
        ask = self._ask.read(record.node("ask"))
        conditions, reviewing = self._asked, self._reviewed
        if ask.inputs:
            conditions = self._conditions.within(self._readable.asked(ask.inputs))
            reviewing = self._conditions.within(self._readable.reviewed(ask.inputs))
        grant = self._grant(
            conditions, record.need("grant", "{duration: {default: 30m, max: 1h}, redaction: pii-default}")
        )
        scopes = read.items(
            record.need("scopes", "[{sources: [prod-logs], all_streams: true, lookback: 24h}]"), "scopes"
        )
        policy = AccessPolicy(
            id=name,
            title=read.text(record.node("title"), "title", longest=200) or name,
            owner=self._owner(record),
            review_by=read.date(record.node("review_by"), "review_by"),
            exclusive=read.boolean(record.node("exclusive"), "exclusive"),
            discoverable=read.boolean(record.node("discoverable"), "discoverable"),
            who=self._parts.who(record.need("who", "{any_of: [group:engineering]}")),
            scopes=tuple(self._parts.scope_rule(item) for item in scopes),
            ask=ask,
            when=conditions.read(record.node("when"), "when", Effect.GIVES),
            grant=grant,
            approver_when=reviewing.read(record.node("approver_when"), "approver_when", Effect.GIVES),
            routes=self._routes(conditions, record.need("approve", "[{otherwise: true, stages: […]}]")),
            pending_max_s=read.duration(record.node("pending_max"), "pending_max", PENDING_MAX_S),
            at=node.at,
        )
        self._check_raw(policy, record)
        self._check_extend(policy)
        return policy

    def _owner(self, record: Record) -> str | None:
        node = record.node("owner")
        if node is None:
            return None
        owner = self._reader.text(node, "owner")
        return owner if owner and self._names.principal(owner, node.at) else None

    def _check_raw(self, policy: AccessPolicy, record: Record) -> None:
        unread = any(not route.stages for route in policy.routes)
        if policy.grant.redaction.partition("@")[0] == RAW and unread:
            self._reader.problems.add(
                record.key_at("approve"), "P308", "a policy with profile 'raw' needs stages in every route",
                "unmasked lines are never given automatically",
            )  # fmt: skip

    def _check_extend(self, policy: AccessPolicy) -> None:
        for route in policy.routes:
            if policy.grant.extend is None and route.grant.extend is not None:
                self._reader.problems.add(
                    route.at, "P118", "a route only tightens, and the policy extends no grant",
                    "write 'extend' in the policy's grant first",
                )  # fmt: skip

    def _check_countable(self, profile: str, limits: Limits, record: Record) -> None:
        if profile.partition("@")[0] == RAW and limits.subjects is not None:
            self._reader.problems.add(
                record.key_at("limits"), "P327", "under profile 'raw' nobody has a pseudonym, so nobody can be counted",
                "remove 'subjects', or choose a profile that masks people",
            )  # fmt: skip

    def _grant(self, conditions: Conditions, node: Node | None) -> GrantRule:
        if node is None:
            return GrantRule(default_s=1, max_s=1, redaction="")
        known = ("duration", "activate_within", "single_use", "idle_timeout", "limits", "redaction", "reveal", "keep")
        more = ("bind", "extend", "pseudonyms", "audit", "on_change")
        record = self._reader.record(node, "grant", (*known, *more), GRANT_LATER)
        default_s, max_s = self._duration(record.need("duration", "{default: 30m, max: 2h}"))
        profile = self._profile(record.need("redaction", "pii-default"), "redaction") or ""
        on_change = self._reader.word(record.node("on_change"), "on_change", ("finish", "cut"), "finish")
        rest = self._narrower(record)
        self._check_countable(profile, rest.limits, record)
        return GrantRule(
            default_s=default_s,
            max_s=max_s,
            activate_within_s=rest.activate_within_s or ACTIVATE_WITHIN_S,
            single_use=rest.single_use,
            idle_timeout_s=rest.idle_timeout_s,
            limits=rest.limits,
            network_bound=rest.network_bound,
            pseudonyms=rest.pseudonyms or KeyScope.GRANT,
            ack=rest.ack or Ack.DURABLE,
            redaction=profile,
            reveal=self._reveal(record, profile),
            cut_on_change=on_change == "cut",
            keep=self._keep(conditions, record.node("keep")),
            extend=self._parts.extend(record.node("extend")),
        )

    def _keep(self, conditions: Conditions, node: Node | None) -> KeepRule | None:
        if node is None:
            return None
        read = self._reader
        record = read.record(node, "keep", ("when", "every", "otherwise"))
        when = conditions.read(record.need("when", "ctx.risk < 80"), "when", Effect.GIVES)
        every = record.node("every")
        every_s = read.duration(every, "every", KEEP_EVERY_S)
        if every is not None and not LEAST_EVERY_S <= every_s <= MOST_EVERY_S:
            read.problems.add(
                every.at, "P114", f"'every' is {LEAST_EVERY_S}s to {MOST_EVERY_S // 60}m", "write every: 60s"
            )
        otherwise = Otherwise(read.word(record.node("otherwise"), "otherwise", tuple(Otherwise), "suspend"))
        return None if when is None else KeepRule(when=when, every_s=every_s, otherwise=otherwise)

    def _reveal(self, record: Record, profile: str) -> RevealRule | None:
        node = record.node("reveal")
        if node is None:
            return None
        if profile.partition("@")[0] == RAW:
            self._reader.problems.add(
                record.key_at("reveal"), "P320", "under profile 'raw' nothing is masked", "remove 'reveal'"
            )
        reveal = self._reader.record(node, "reveal", ("classes", "stages"))
        classes = self._reader.texts(reveal.need("classes", "[pii]"), "classes")
        for name, at in classes:
            if name and not _CLASS.fullmatch(name):
                self._reader.problems.add(at, "P114", f"{shown(name)} is no class of values", "write it like pii.email")
        stages = self._parts.stages(reveal.need("stages", "[{from: [group:privacy], need: 1}]"))
        return RevealRule(classes=tuple(sorted(name for name, _ in classes)), stages=stages)

    def _narrower(self, record: Record) -> Tightening:
        """Read what a policy's grant and a route's have in common."""
        read = self._reader
        return Tightening(
            activate_within_s=read.duration(record.node("activate_within"), "activate_within", 0) or None,
            single_use=read.boolean(record.node("single_use"), "single_use"),
            idle_timeout_s=read.duration(record.node("idle_timeout"), "idle_timeout", 0) or None,
            limits=self._parts.limits(record.node("limits")),
            network_bound=self._parts.network_bound(record.node("bind")),
            pseudonyms=self._parts.key_scope(record.node("pseudonyms")),
            ack=self._ack(record.node("audit")),
        )

    def _ack(self, node: Node | None) -> Ack | None:
        """Read what has to be true of the record, if this server can make it so."""
        found = self._parts.ack(node)
        if node is not None and found is Ack.WITNESSED:
            self._names.witnesses(node.at)
        return found

    def _duration(self, node: Node | None) -> tuple[int, int]:
        if node is None:
            return 1, 1
        record = self._reader.record(node, "duration", ("default", "max"))
        longest = self._reader.duration(record.need("max", "2h"), "max", MAX_DURATION_S)
        given = record.node("default")
        usual = self._reader.duration(given, "default", longest)
        if given is not None and usual > longest:
            self._reader.problems.add(given.at, "P309", "the default is longer than the maximum", "lower it")
        return usual, longest

    def _profile(self, node: Node | None, what: str) -> str | None:
        if node is None:
            return None
        profile = self._reader.text(node, what)
        return profile if profile and self._names.profile(profile, node.at) else None

    def _routes(self, conditions: Conditions, node: Node | None) -> tuple[Route, ...]:
        items = self._reader.items(node, "approve")
        routes: list[Route] = []
        ended = False
        for number, item in enumerate(items, 1):
            if ended:
                self._reader.problems.add(
                    item.at, "P306", "this route is never reached", "'otherwise' takes all that is left: put it last"
                )
            route, is_last = self._route(conditions, item, number)
            routes.append(route)
            ended = ended or is_last
        if node is not None and items and not ended:
            self._reader.problems.add(node.at, "P306", "no route is left for the rest", "end with otherwise: true")
        self._warn_of_cheaper(conditions, items, routes)
        return tuple(routes)

    def _warn_of_cheaper(self, conditions: Conditions, items: Sequence[Node], routes: Sequence[Route]) -> None:
        """Warn where asking for more could lead to a route with fewer approvals than one behind it."""
        needs = [Plan("", route.stages).need for route in routes]
        for place, (item, route) in enumerate(zip(items, routes, strict=True)):
            if not route.auto and needs[place] < max(needs[place + 1 :], default=0) and isinstance(item, Table):
                condition = next((value for key, value in item.entries if key.text == "if"), None)
                conditions.warn_of_widening(condition, route.condition)

    def _route(self, conditions: Conditions, node: Node, number: int) -> tuple[Route, bool]:
        """Read a route; say whether it is the one without a condition."""
        later: Later = {"elevation": _ELEVATION}
        read = self._reader
        known = ("if", "otherwise", "auto", "stages", "grant", "after_review", "notify")
        record = read.record(node, "a route", known, later)
        given, otherwise = record.node("if"), record.node("otherwise")
        if given is not None and otherwise is not None:
            read.problems.add(node.at, "P118", "a route has either 'if' or 'otherwise: true'", "choose one")
        if given is None and not read.boolean(otherwise, "otherwise"):
            read.problems.add(node.at, "P306", "a route has no condition", "write otherwise: true for the last one")
        auto = read.boolean(record.node("auto"), "auto")
        if auto == (record.node("stages") is not None):
            read.problems.add(
                node.at, "P118", "a route has either 'stages' or 'auto: true'", "a person decides unless auto says not"
            )
        if record.node("after_review") is not None and not auto:
            read.problems.add(
                record.key_at("after_review"), "P118", "only an automatic route has an after-review",
                "remove it: whoever approves has looked before",
            )  # fmt: skip
        grant = record.node("grant")
        route = Route(
            number=number,
            condition=conditions.read(given, "if", Effect.GIVES if auto else Effect.ASKS),
            auto=auto,
            stages=self._parts.stages(record.node("stages")),
            grant=Tightening() if grant is None else self._tightening(grant),
            after_review=self._parts.after_review(record.node("after_review")),
            notify=self._notify(record.node("notify")),
            at=node.at,
        )
        return route, given is None

    def _tightening(self, node: Node) -> Tightening:
        known = (
            "duration",
            "activate_within",
            "single_use",
            "idle_timeout",
            "limits",
            "redaction",
            "bind",
            "pseudonyms",
            "audit",
            "extend",
        )
        record = self._reader.record(node, "a route's grant", known, GRANT_LATER)
        rest = self._narrower(record)
        longest = None
        if (duration := record.node("duration")) is not None:
            field = self._reader.record(duration, "duration", ("max",)).need("max", "1h")
            longest = self._reader.duration(field, "max")
        return Tightening(
            max_s=longest,
            activate_within_s=rest.activate_within_s,
            single_use=rest.single_use,
            idle_timeout_s=rest.idle_timeout_s,
            limits=rest.limits,
            network_bound=rest.network_bound,
            pseudonyms=rest.pseudonyms,
            ack=rest.ack,
            redaction=self._profile(record.node("redaction"), "redaction"),
            extend=self._parts.extend(record.node("extend")),
        )

    def guardrail(self, node: Table, name: str) -> Guardrail:
        """Read a Guardrail; one that does nothing is a problem."""
        known = ("title", "mode", "even_break_glass", "applies", "if", "caps", "at_least", "deny", "require", "help")
        record = self._reader.record(node, "a Guardrail", (*HEAD, *known, "add"))
        read = self._reader
        effects = [one for one in ("caps", "at_least", "deny", "require", "add") if record.node(one) is not None]
        deny = read.boolean(record.node("deny"), "deny", default=True) if "deny" in effects else False
        condition = self._conditions.read(record.node("if"), "if", Effect.BANS)
        notify, network_bound = self._add(record.node("add"))
        at_least, pseudonyms, ack = self._at_least(record.node("at_least"))
        if not effects or ("deny" in effects and not deny):
            read.problems.add(
                record.key_at("deny"),
                "P118",
                "the guardrail does nothing",
                "deny: true, caps, at_least, add or require",
            )
        even_break_glass = read.boolean(record.node("even_break_glass"), "even_break_glass", default=True)
        if deny and even_break_glass and condition is not None:
            self._refuse_outages(condition, record.key_at("if"))
        return Guardrail(
            id=name,
            title=read.text(record.node("title"), "title", longest=200) or name,
            enforced=read.word(record.node("mode"), "mode", ("enforce", "observe"), "enforce") == "enforce",
            even_break_glass=even_break_glass,
            applies=self._applies(record.need("applies", "{all_streams: true}")),
            condition=condition,
            caps=self._caps(record.node("caps")),
            at_least=at_least,
            deny=deny,
            require=self._require(record.node("require")),
            notify=notify,
            network_bound=network_bound,
            pseudonyms=pseudonyms,
            ack=ack,
            help=read.text(record.node("help"), "help"),
            at=node.at,
        )

    def _refuse_outages(self, condition: Condition, at: At) -> None:
        """Refuse what would close break-glass because some provider cannot be reached."""
        facts = self._readable.facts
        for name in sorted(facts_read([condition], facts, self._risk)):
            if (provider := facts[name].provider) in PRESENCE:
                continue
            self._reader.problems.add(
                condition.at or at, "P324", f"an outage of '{provider}' would close break-glass: this reads {name}",
                "add even_break_glass: false, or ask for a stage instead",
            )  # fmt: skip

    def _add(self, node: Node | None) -> tuple[tuple[str, ...] | None, bool]:
        """Read who is told besides, and whether grants are bound to a network."""
        if node is None:
            return None, False
        record = self._reader.record(node, "add", ("bind", "notify"))
        return self._notify(record.node("notify")), self._parts.network_bound(record.node("bind"))

    def _notify(self, node: Node | None) -> tuple[str, ...] | None:
        return None if node is None else self._parts.recipients(node, "notify")

    def _applies(self, node: Node | None) -> Applies:
        if node is None:
            return Applies(sources=frozenset(), selector=self._parts.selector(None))
        record = self._reader.record(node, "applies", ("all_streams", "sources", "labels"))
        all_streams = self._reader.boolean(record.node("all_streams"), "all_streams")
        sources, labels = record.node("sources"), record.node("labels")
        if (all_streams and labels is not None) or not (all_streams or labels is not None or sources is not None):
            self._reader.problems.add(
                node.at, "P118", "'applies' has either 'all_streams: true' or 'labels', and 'sources'", "choose one"
            )
        return Applies(
            sources=None if sources is None else frozenset(self._parts.sources(sources)),
            selector=self._parts.selector(labels),
        )

    def _caps(self, node: Node | None) -> Caps:
        if node is None:
            return Caps()
        later: Later = {"elevation": _ELEVATION}
        record = self._reader.record(node, "caps", ("duration", "lookback", "bytes", *COUNTS), later)
        limits: Limits = self._parts.limits_of({one: record.node(one) for one in COUNTS}, record.node("bytes"))
        return Caps(
            duration_s=self._reader.duration(record.node("duration"), "duration", 0) or None,
            lookback_s=self._reader.duration(record.node("lookback"), "lookback", 0) or None,
            limits=limits,
        )

    def _at_least(self, node: Node | None) -> tuple[str | None, KeyScope | None, Ack | None]:
        """Read the least strict profile, the widest scope of pseudonyms, and the least that is true of the record."""
        if node is None:
            return None, None, None
        record = self._reader.record(node, "at_least", ("redaction", "pseudonyms", "audit"))
        scope, audit = record.node("pseudonyms"), record.node("audit")
        alone = scope is None and audit is None
        redaction = record.need("redaction", "secrets") if alone else record.node("redaction")
        return self._profile(redaction, "redaction"), self._parts.key_scope(scope), self._ack(audit)

    def _require(self, node: Node | None) -> Stage | None:
        if node is None:
            return None
        stage = self._reader.record(node, "require", ("stage",)).need("stage", "{from: [group:privacy], need: 1}")
        return None if stage is None else self._parts.stage(stage)

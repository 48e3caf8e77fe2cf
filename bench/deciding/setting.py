"""Bundles of so many policies, and requests to decide by them.

Somebody in 20 of 200 groups asks for streams by six labels while eight facts are known. What policies demand differs
from one to the next, so that nothing is gained by looking at equal conditions once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from loglease.model.access_request import Wish
from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.instant import EventWindow, Instant, parse_instant
from loglease.model.principal import Directory, Kind, Principal, directory_of
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.policy import Bundle, Decision, ProfileInfo, decide, load
from loglease.policy.observed import Facts, Observed
from loglease.policy.roots import roots_of

NOW: Final = parse_instant("2026-11-23T09:30:00Z")
GROUPS: Final = 200
MINE: Final = 20
SOURCES: Final = 10
IN_A_FILE: Final = 500
PROFILES: Final = {"raw": ProfileInfo("raw", "1"), "secrets": ProfileInfo("secrets", "1")}
WHENS: Final = (
    (
        '!req.live && req.lookback <= duration("24h") && req.duration <= duration("MINUTESm")'
        ' && ctx.mfa_age <= duration("15m") && !("restricted" in req.labels.data_class)'
    ),
    (
        'req.labels.tier.all(x, x in ["a", "b"]) && ctx.load < PERCENT && ctx.net in ["corp", "vpn"]'
        ' && req.duration <= duration("MINUTESm")'
    ),
    (
        'has(ctx.incident) && ctx.incident.severity in ["SEV1", "SEV2"] && ctx.on_call'
        ' && ctx.mfa_age <= duration("MINUTESm")'
    ),
    'has(ctx.ticket) && ctx.ticket.state != "closed" && ctx.quota < MINUTES && !req.live && size(ctx.pages) < 10',
    (
        '(ctx.on_call || ctx.net == "corp") && ctx.mfa_age <= duration("MINUTESm")'
        ' && req.lookback <= duration("24h") && !("restricted" in req.labels.data_class)'
    ),
)
"""What policies demand, in turn; each has numbers of its own."""
LABELS: Final = {
    "env": "[prod, staging, dev]",
    "tier": "[a, b, c]",
    "data_class": "[public, internal, pii, restricted]",
    "zone": "[eu, us]",
    "app": "string",
    "team": "string",
}
_FACTS: Final = """\
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.mfa_age: {type: duration, from: identity}
  ctx.net: {type: [corp, vpn, other], from: gateway}
  ctx.on_call: {type: bool, from: rota, per: app, combine: all, max_age: 120s}
  ctx.incident: {type: record, optional: true, from: incidents, per: app, max_age: 120s,
                 fields: {id: string, severity: [SEV1, SEV2, SEV3]}}
  ctx.ticket: {type: record, optional: true, from: tickets, max_age: 120s, fields: {state: [open, in_progress, closed]}}
  ctx.pages: {type: list, of: string, max_items: 20, from: rota, max_age: 120s}
  ctx.load: {type: int, range: [0, 100], from: capacity, max_age: 120s}
  ctx.quota: {type: int, from: capacity, max_age: 120s}
"""
SELECTOR: Final = '{env="prod",tier=~"a|b",data_class="internal",zone="eu",app="app-1",team="team-1"}'


@dataclass(frozen=True, slots=True)
class Setting:
    """A bundle, who asks, and what: something that matches and something that does not."""

    bundle: Bundle
    files: Mapping[str, bytes]
    facts: Facts
    asks: Principal
    directory: Directory
    wishes: tuple[Wish, Wish]

    @classmethod
    def of(cls, count: int) -> Setting:
        """Make one of so many policies."""
        files = files_of(count)
        bundle = load(files)
        if not isinstance(bundle, Bundle):
            raise SystemExit("\n".join(one.render() for one in bundle))
        asks = person("asks", frozenset(f"group-{number}" for number in range(MINE)))
        lead = person("lead", frozenset({"leads"}))
        wishes = (wish_of("source-0", SELECTOR), wish_of("source-1", SELECTOR.replace("prod", "dev")))
        return cls(bundle, files, known(), asks, directory_of([asks, lead]), wishes)

    def decided(self, wish: Wish) -> Decision:
        """Decide once."""
        return decide(
            self.bundle, wish, self.asks, directory=self.directory, now=NOW, profiles=PROFILES, facts=self.facts
        )

    def read(self, wish: Wish) -> dict[str, Any]:
        """Return what conditions read of a wish."""
        return roots_of(self.bundle, wish, self.asks, self.facts, submitted_at=NOW, now=NOW)


def known() -> dict[tuple[str, str | None], Observed]:
    """Return what providers and the call say: eight facts."""
    minute = 60_000_000
    said: dict[tuple[str, str | None], tuple[str, Any]] = {
        ("ctx.mfa_age", None): ("identity", 5 * minute),
        ("ctx.net", None): ("gateway", "corp"),
        ("ctx.on_call", "app-1"): ("rota", True),
        ("ctx.incident", "app-1"): ("incidents", {"id": "I9", "severity": "SEV1"}),
        ("ctx.ticket", None): ("tickets", {"state": "open"}),
        ("ctx.pages", None): ("rota", ("slow", "errors")),
        ("ctx.load", None): ("capacity", 20),
        ("ctx.quota", None): ("capacity", 3),
    }
    return {key: Observed(value, provider, Instant(NOW - minute)) for key, (provider, value) in said.items()}


_POLICY: Final = """\
api: loglease/v1
kind: AccessPolicy
id: policy-NUMBER
who: {any_of: [group:group-GROUP]}
scopes: [{sources: [source-SOURCE], labels: {env: prod, data_class: [internal, pii]}, lookback: 24h}]
when: WHEN
grant: {duration: {max: 8h}, redaction: secrets}
approve:
  - if: '"pii" in req.labels.data_class'
    stages: [{from: [group:leads], need: 1}]
  - otherwise: true
    stages: [{from: [group:leads], need: 1}]
"""


def files_of(count: int) -> dict[str, bytes]:
    """Return the documents of so many policies."""
    groups = ", ".join([*(f"group-{number}" for number in range(GROUPS)), "leads"])
    sources = ", ".join(f"source-{number}" for number in range(SOURCES))
    labels = ", ".join(f"{name}: {words}" for name, words in LABELS.items())
    names = f"names: {{groups: [{groups}], sources: [{sources}]}}\nlabels: {{{labels}}}\nredaction: {{secrets: []}}\n"
    documents = ["api: loglease/v1\nkind: Catalog\nid: main\n" + names]
    documents.append(_FACTS)
    documents += [
        _POLICY.replace("NUMBER", str(number))
        .replace("group-GROUP", f"group-{number % GROUPS}")
        .replace("SOURCE", str(number * 7 % SOURCES))
        .replace("when: WHEN", f"when: '{when_of(number)}'")
        for number in range(count)
    ]
    return {
        f"{start:05}.yaml": "---\n".join(documents[start : start + IN_A_FILE]).encode()
        for start in range(0, len(documents), IN_A_FILE)
    }


def when_of(number: int) -> str:
    """Return what the policy of a number demands; the policies of one group demand different things."""
    return numbered(WHENS[number // GROUPS % len(WHENS)], number)


def numbered(text: str, number: int) -> str:
    """Return a condition with the numbers of a policy in it: minutes that suffice, and a percentage."""
    return text.replace("MINUTES", str(480 + number)).replace("PERCENT", str(40 + number % 60))


def person(name: str, groups: frozenset[str]) -> Principal:
    """Return somebody in some groups."""
    return Principal(
        id=PrincipalId(name), issuer="bench", account=name, kind=Kind.HUMAN, person=PersonId(name),
        subject=SubjectId(name), name=name, groups=groups,
    )  # fmt: skip


def wish_of(source: str, selector: str) -> Wish:
    """Return a wish for the last hour of some streams."""
    window = EventWindow((NOW - 3_600_000_000) * 1_000, NOW * 1_000)
    scope = Scope(source=source, selector=parse_selector(selector), window=window, level_from=Level.INFO)
    return Wish(scopes=(scope,), reason="measured", duration_s=3_600)

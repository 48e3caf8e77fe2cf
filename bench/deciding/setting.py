"""Bundles of so many policies, and requests to decide by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loglease.model.access_request import Wish
from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.instant import EventWindow, parse_instant
from loglease.model.principal import Directory, Kind, Principal, directory_of
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.policy import Bundle, Decision, ProfileInfo, decide, load

NOW: Final = parse_instant("2026-11-23T09:30:00Z")
GROUPS: Final = 200
MINE: Final = 20
SOURCES: Final = 10
IN_A_FILE: Final = 500
PROFILES: Final = {"raw": ProfileInfo("raw", "1"), "secrets": ProfileInfo("secrets", "1")}
WHEN: Final = (
    '!req.live && req.lookback <= duration("24h") && req.duration <= duration("8h")'
    ' && req.labels.tier.all(x, x in ["a", "b"]) && !("restricted" in req.labels.data_class)'
)
LABELS: Final = {
    "env": "[prod, staging, dev]",
    "tier": "[a, b, c]",
    "data_class": "[public, internal, pii, restricted]",
    "zone": "[eu, us]",
    "app": "string",
    "team": "string",
}
SELECTOR: Final = '{env="prod",tier=~"a|b",data_class="internal",zone="eu",app="app-1",team="team-1"}'


@dataclass(frozen=True, slots=True)
class Setting:
    """A bundle, who asks, and what: something that matches and something that does not."""

    bundle: Bundle
    files: Mapping[str, bytes]
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
        return cls(bundle, files, asks, directory_of([asks, lead]), wishes)

    def decided(self, wish: Wish) -> Decision:
        """Decide once."""
        return decide(self.bundle, wish, self.asks, directory=self.directory, now=NOW, profiles=PROFILES)


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
    documents += [
        _POLICY.replace("NUMBER", str(number))
        .replace("group-GROUP", f"group-{number % GROUPS}")
        .replace("SOURCE", str(number * 7 % SOURCES))
        .replace("when: WHEN", f"when: '{WHEN}'")
        for number in range(count)
    ]
    return {
        f"{start:05}.yaml": "---\n".join(documents[start : start + IN_A_FILE]).encode()
        for start in range(0, len(documents), IN_A_FILE)
    }


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

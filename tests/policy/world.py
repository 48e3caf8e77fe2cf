"""A small organisation and its policy, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from loglease.model.access_request import Wish
from loglease.model.ids import PersonId, PrincipalId, RequestId, ReviewId, SubjectId
from loglease.model.instant import NANOSECONDS, EventWindow, Instant, parse_instant
from loglease.model.limits import Limits
from loglease.model.principal import Directory, Kind, Principal, directory_of
from loglease.model.review import Channel, Review, Verdict
from loglease.model.scope import Level, Scope
from loglease.model.selector_text import parse_selector
from loglease.policy import Bundle, Decision, Outside, Problem, ProfileInfo, Severity, decide, load

NOW = parse_instant("2026-11-23T09:30:00Z")

PROFILES: Mapping[str, ProfileInfo] = {
    "raw": ProfileInfo("raw", "1"),
    "secrets": ProfileInfo("secrets", "1"),
    "pii-default": ProfileInfo("pii-default", "7", frozenset({"secrets"})),
    "strict": ProfileInfo("strict", "2", frozenset({"pii-default"})),
    "odd": ProfileInfo("odd", "1"),  # neither stricter nor looser than any other but raw
}

CATALOG = """\
api: loglease/v1
kind: Catalog
id: main
names:
  groups: [engineering, payments-eng, payments-leads, privacy, sre, sre-leads, contractors]
  sources: [prod-logs, staging-logs]
  trackers: [tickets]
labels: {env: [prod, staging, dev], data_class: [public, internal, pii, restricted], service: string}
redaction: {secrets: [], pii-default: [secrets], strict: [pii-default], odd: []}
"""

PAYMENTS = """\
api: loglease/v1
kind: AccessPolicy
id: payments-prod-debug
title: Debug logs of payment services in production
who: {kinds: [human], any_of: [group:payments-eng], none_of: [group:contractors]}
scopes:
  - sources: [prod-logs]
    labels: {env: prod, service: {prefix: pay-, except: [pay-vault]}, data_class: [internal, pii]}
    level_from: debug
    lookback: 24h
    live: true
ask:
  reason: {min: 20}
  ticket: {tracker: tickets, key: 'PAY-[0-9]{1,6}'}
grant:
  duration: {default: 30m, max: 2h}
  activate_within: 8h
  limits: {lines: 200000, bytes: 500MB}
  redaction: pii-default
approve:
  - otherwise: true
    stages:
      - {from: [approvers:payments-approvers], need: 1}
pending_max: 4h
"""

SRE = """\
api: loglease/v1
kind: AccessPolicy
id: sre-prod
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], labels: {env: prod, data_class: internal}, level_from: info, lookback: 6h}]
grant: {duration: {max: 1h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:sre-leads], need: 1}]}]
"""

STAGING = """\
api: loglease/v1
kind: AccessPolicy
id: staging-open
who: {any_of: [group:engineering]}
scopes: [{sources: [staging-logs], labels: {env: [staging, dev]}, level_from: debug, lookback: 7d}]
grant: {duration: {max: 8h}, redaction: pii-default}
approve: [{otherwise: true, auto: true}]
"""

APPROVERS = """\
api: loglease/v1
kind: ApproverSet
id: payments-approvers
any_of: [group:payments-leads]
none_of: [group:contractors]
"""

FLOOR = """\
api: loglease/v1
kind: Guardrail
id: org-floor
applies: {all_streams: true}
caps: {duration: 4h, lookback: 7d, lines: 1000000, bytes: 2GB}
at_least: {redaction: secrets}
"""

RESTRICTED = """\
api: loglease/v1
kind: Guardrail
id: no-restricted
title: Restricted logs
applies: {labels: {data_class: restricted}}
deny: true
help: Restricted logs are never served. Ask the data owner for an extract.
"""

EMERGENCY = """\
api: loglease/v1
kind: Catalog
id: channels
names: {channels: [security]}
---
api: loglease/v1
kind: BreakGlass
id: prod-emergency
title: Production on fire
who: {any_of: [group:sre]}
scopes:
  - {sources: [prod-logs], labels: {env: prod, data_class: [public, internal, pii]}, level_from: debug, lookback: 6h}
ask: {reason: {min: 30}}
step_up: {within: 5m}
grant: {duration: {default: 15m, max: 30m}, limits: {lines: 50000, bytes: 100MB, tails: 2}, redaction: pii-default}
notify: [channel:security, group:sre-leads]
after_review: {from: [group:sre-leads], need: 1, within: 24h, escalate: {to: [group:privacy]}}
rate: {per_person: 2, window: 7d, alarm_at: 10}
"""

ORGANISATION = (CATALOG, PAYMENTS, SRE, STAGING, APPROVERS, FLOOR, RESTRICTED)


EXAMPLE_TEST = """\
api: loglease/v1
kind: PolicyTest
id: payments
now: 2026-11-23T09:30:00Z
people:
  maria: {groups: [payments-eng, engineering]}
  noor: {groups: [payments-leads]}
  bot: {kind: agent, groups: [payments-eng]}
scopes:
  api:
    source: prod-logs
    labels: {env: prod, service: pay-api, data_class: internal}
    level_from: debug
    from: -2h
  fixed: {source: staging-logs, labels: {env: dev, data_class: public}, level_from: debug,
          from: 2026-11-23T08:00:00Z, to: -1m, contains: [order]}
cases:
  - it: waits for one review
    ask: {as: maria, scope: api, for: 2h, ticket: PAY-7, reason: cards fail at checkout since nine}
    want: {outcome: review, policy: payments-prod-debug, duration: 2h, redaction: pii-default, stages: 1}
  - it: needs a ticket
    ask: {as: maria, scope: api, reason: cards fail at checkout since nine}
    want: {outcome: deny}
  - it: staging is open
    ask: {as: maria, scope: fixed, reason: trying, limits: {lines: 5}}
    want: {outcome: auto, stages: 0}
  - it: agents get nothing
    ask: {as: bot, scope: api, ticket: PAY-7, reason: cards fail at checkout since nine}
    want: {outcome: deny}
"""


def files_of(*documents: str) -> dict[str, bytes]:
    return {"policies/main.yaml": "---\n".join(documents).encode()}


def bundle_of(*documents: str, revision: int = 418, outside: Outside | None = None) -> Bundle:
    loaded = load(files_of(*documents), revision=revision, outside=outside)
    assert isinstance(loaded, Bundle), "\n".join(one.render() for one in loaded)
    return loaded


def problems_of(*documents: str, outside: Outside | None = None) -> list[Problem]:
    loaded = load(files_of(*documents), outside=outside)
    assert not isinstance(loaded, Bundle), "the bundle was accepted"
    errors = [one for one in loaded if one.severity is Severity.ERROR]
    assert errors
    return errors


def person(name: str, *groups: str, kind: Kind = Kind.HUMAN, who: str | None = None, **more: object) -> Principal:
    fields: dict[str, object] = {
        "id": PrincipalId(f"prn_{name}"),
        "issuer": "local",
        "account": name,
        "kind": kind,
        "person": PersonId(who or f"per_{name}"),
        "subject": SubjectId(f"sub_{name}"),
        "name": name,
        "groups": frozenset(groups),
    }
    return Principal(**(fields | more))  # type: ignore[arg-type]


MARIA = person("maria", "payments-eng", "engineering")
LEE = person("lee", "payments-eng", "sre")
NOOR = person("noor", "payments-leads", "privacy")
OMAR = person("omar", "payments-leads")
PRIYA = person("priya", "privacy")
SAM = person("sam", "sre-leads")
BOT = person("bot", "payments-eng", "payments-leads", "sre-leads", kind=Kind.AGENT, who="per_maria")
EVERYONE = (MARIA, LEE, NOOR, OMAR, PRIYA, SAM, BOT)
DIRECTORY = directory_of(EVERYONE)


def scope_of(
    selector: str = '{env="prod",service="pay-api",data_class="internal"}',
    *,
    source: str = "prod-logs",
    hours: float = 2,
    live: bool = False,
    level: Level | None = Level.DEBUG,
    profile: str | None = None,
    contains: tuple[str, ...] = (),
    now: Instant = NOW,
) -> Scope:
    start_ns = now * 1_000 - round(hours * 3600) * NANOSECONDS
    return Scope(
        source=source,
        selector=parse_selector(selector),
        window=EventWindow(start_ns, None if live else now * 1_000),
        level_from=level,
        contains=contains,
        profile=profile,
    )


def wish_of(
    scope: Scope | None = None,
    *,
    duration_s: int | None = 7200,
    reason: str = "cards fail at checkout since nine",
    ticket: str | None = "PAY-7",
    limits: Limits | None = None,
    break_glass: bool = False,
) -> Wish:
    return Wish(
        scopes=(scope or scope_of(),),
        reason=reason,
        ticket=ticket,
        duration_s=duration_s,
        limits=limits or Limits(),
        break_glass=break_glass,
    )


def decided(
    bundle: Bundle,
    wish: Wish | None = None,
    asks: Principal = MARIA,
    *,
    directory: Directory = DIRECTORY,
    now: Instant = NOW,
    **more: object,
) -> Decision:
    return decide(bundle, wish or wish_of(), asks, directory=directory, now=now, profiles=PROFILES, **more)  # type: ignore[arg-type]


def review_by(
    reviewer: Principal, verdict: Verdict = Verdict.APPROVE, *, at: int = 0, number: int | None = None
) -> Review:
    return Review(
        id=ReviewId(f"rev_{reviewer.id}_{number or 0}"),
        request=RequestId("req_1"),
        reviewer=reviewer.id,
        person=reviewer.person,
        verdict=verdict,
        digest="d",
        given_at=Instant(NOW + at),
        channel=Channel.WEB,
    )


def codes(problems: Iterable[Problem]) -> list[str]:
    return [one.code for one in problems]

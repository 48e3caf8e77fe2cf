"""Small changes of one bundle, each with what `differences` says of it: for a table, and for drawing from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tests.policy.world import ORGANISATION, bundle_of

from loglease.policy import Bundle
from loglease.policy.difference import Difference, Verdict, differences

CARDS = """\
api: loglease/v1
kind: AccessPolicy
id: cards
title: Card services
owner: group:payments-leads
who: {kinds: [human, agent], any_of: [group:payments-eng, group:sre], none_of: [group:contractors, group:privacy]}
scopes:
  - {sources: [prod-logs, staging-logs], labels: {service: [card-api, card-db]}, level_from: warn, contains: [order],
     lookback: 12h}
  - {sources: [staging-logs], labels: {service: {prefix: shop-}}, lookback: 2d, live: true}
ask: {reason: {min: 8}}
when: '!req.live || req.lookback <= duration("6h")'
grant:
  duration: {default: 20m, max: 90m}
  activate_within: 3h
  idle_timeout: 15m
  limits: {queries: 500, queries_per_min: 60, tails: 2}
  redaction: secrets
  extend: {times: 2, by: 20m}
  reveal: {classes: [pii.email, card], stages: [{from: [group:sre-leads], need: 1}]}
approve:
  - if: '!("pii" in req.labels.data_class)'
    stages:
      - all_of: [{from: [group:privacy], need: 1}, {from: [group:payments-leads], need: 1}]
      - any_of: [{from: [group:sre-leads], need: 1}, {from: [group:payments-leads], need: 2}]
  - if: '!req.live'
    auto: true
    grant: {duration: {max: 40m}, limits: {lines: 700}, extend: {times: 1, by: 10m}}
  - otherwise: true
    stages: [{from: [group:sre-leads, group:payments-leads], need: 1}]
"""

TRACE = """\
api: loglease/v1
kind: Guardrail
id: asks-privacy
applies: {sources: [prod-logs], labels: {service: [card-api, card-db]}}
if: '!("dev" in req.labels.env)'
caps: {queries: 400}
require: {stage: {from: [group:privacy], need: 1}}
"""

WATCHED = """\
api: loglease/v1
kind: Guardrail
id: watched
mode: observe
applies: {sources: [staging-logs]}
deny: true
"""

UNMASKED = """\
api: loglease/v1
kind: AccessPolicy
id: unmasked
who: {any_of: [group:sre]}
scopes: [{sources: [staging-logs], labels: {env: dev}, lookback: 1h}]
when: req.labels.data_class.all(x, x != "?")
grant: {duration: {max: 10m}, redaction: raw}
approve: [{otherwise: true, stages: [{from: [group:sre-leads], need: 1}]}]
"""

VAULT = """\
api: loglease/v1
kind: AccessPolicy
id: vault
exclusive: true
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], labels: {service: [vault, safe]}, lookback: 5h}]
grant: {duration: {max: 15m}, redaction: strict}
approve: [{otherwise: true, stages: [{from: [group:sre-leads], need: 1}]}]
"""

TEXT = "---\n".join((*ORGANISATION, CARDS, TRACE, WATCHED, UNMASKED, VAULT))


@dataclass(frozen=True)
class Change:
    """One text that stands for another, once in the whole bundle, and the lines that this makes.

    Attributes:
        mirrors: whether the way back says the opposite, and the same of what is undecided.
    """

    old: str
    new: str
    lines: tuple[str, ...]
    mirrors: bool = True

    def applied(self, text: str) -> str:
        return text.replace(self.old, self.new)


def change(old: str, new: str, *lines: str, mirrors: bool = True) -> Change:
    return Change(old, new, lines, mirrors)


SCOPE = "labels: {env: prod, data_class: internal}"
PRIVACY = "{from: [group:privacy], need: 1}, {from: [group:payments-leads], need: 1}"
BOTH = "1 of group:payments-leads and 1 of group:privacy"
LAST = "    stages: [{from: [group:sre-leads, group:payments-leads], need: 1}]"

CHANGES = (
    # whom a policy is for
    change("any_of: [group:engineering]", "any_of: [group:engineering, group:sre]",
           "WIDENS staging-open who.any_of + group:sre"),
    change("any_of: [group:payments-eng, group:sre]", "any_of: [group:payments-eng]", "NARROWS cards who.any_of - group:sre"),
    change("kinds: [human, agent]", "kinds: [human]", "NARROWS cards who.kinds - agent"),
    change("none_of: [group:contractors, group:privacy]", "none_of: [group:contractors]",
           "WIDENS cards who.none_of - group:privacy"),
    change("id: sre-prod", "id: sre-prod\ndiscoverable: true", "WIDENS sre-prod discoverable false -> true"),
    # stand-ins
    change("any_of: [group:payments-leads]\nnone_of: [group:contractors]",
           "any_of: [group:payments-leads]\nnone_of: [group:contractors]\nstand_ins: {from: [group:sre-leads], max: 7d}",
           "WIDENS payments-approvers stand_ins + group:sre-leads for 7d"),
    # what live grants feel of a change
    change("grant: {duration: {max: 15m}, redaction: strict}", "grant: {duration: {max: 15m}, redaction: strict, on_change: cut}",
           "NARROWS vault grant.on_change finish -> cut"),
    # scopes
    change("sources: [prod-logs, staging-logs], labels", "sources: [staging-logs], labels",
           "NARROWS cards scopes[0].sources - prod-logs"),
    change(SCOPE, "labels: {env: prod, data_class: [internal, public]}",
           'WIDENS sre-prod scopes[0].labels {data_class="internal",env="prod"} -> {data_class=~"internal|public",env="prod"}'),
    change("env: [staging, dev]", "env: [staging, prod]",
           'WIDENS staging-open scopes[0].labels {env=~"dev|staging"} -> {env=~"prod|staging"}', mirrors=False),
    change("level_from: info", "level_from: debug", "WIDENS sre-prod scopes[0].level_from info -> debug"),
    change("level_from: info", "level_from: trace", "WIDENS sre-prod scopes[0].level_from info -> trace"),
    change("contains: [order]", "contains: [order, 'card order']",
           "NARROWS cards scopes[0].contains 'order' -> 'card order', 'order'"),
    change("contains: [order]", "contains: [border, ship]",
           "NARROWS cards scopes[0].contains 'order' -> 'border', 'ship'"),
    change("contains: [order]", "contains: [ship]", "WIDENS cards scopes[0].contains 'order' -> 'ship'", mirrors=False),
    change("lookback: 6h", "lookback: 1d", "WIDENS sre-prod scopes[0].lookback 6h -> 1d"),
    change("lookback: 24h\n    live: true", "lookback: 24h",
           "NARROWS payments-prod-debug scopes[0].live true -> false"),
    # what is asked
    change("reason: {min: 20}", "reason: {min: 10}", "WIDENS payments-prod-debug ask.reason.min 20 -> 10"),
    change("\n  ticket: {tracker: tickets, key: 'PAY-[0-9]{1,6}'}", "",
           "WIDENS payments-prod-debug ask.ticket - PAY-[0-9]{1,6} of tickets"),
    change("key: 'PAY-[0-9]{1,6}'", "key: 'PAY-[0-9]{1,5}'",
           "UNDECIDED payments-prod-debug ask.ticket PAY-[0-9]{1,6} of tickets -> PAY-[0-9]{1,5} of tickets"),
    change("when: '!req.live || req.lookback <= duration(\"6h\")'\n", "",
           'WIDENS cards when - !req.live || req.lookback <= duration("6h")'),
    change('duration("6h")', 'duration("5h")',
           'UNDECIDED cards when !req.live || req.lookback <= duration("6h") -> !req.live || req.lookback <= duration("5h")'),
    # what is granted
    change("duration: {default: 20m, max: 90m}", "duration: {default: 10m, max: 90m}",
           "NARROWS cards grant.duration.default 20m -> 10m"),
    change("default: 30m, max: 2h", "default: 30m, max: 3h", "WIDENS payments-prod-debug grant.duration.max 2h -> 3h"),
    change("activate_within: 3h", "activate_within: 9h", "WIDENS cards grant.activate_within 3h -> 9h"),
    change("  idle_timeout: 15m\n", "", "WIDENS cards grant.idle_timeout 15m -> none"),
    change("  activate_within: 8h", "  activate_within: 8h\n  single_use: true",
           "NARROWS payments-prod-debug grant.single_use false -> true"),
    change("  activate_within: 8h", "  activate_within: 8h\n  bind: [network]",
           "NARROWS payments-prod-debug grant.bind + network"),
    change("  activate_within: 8h", "  activate_within: 8h\n  audit: published",
           "NARROWS payments-prod-debug grant.audit + published"),
    change("  activate_within: 8h", "  activate_within: 8h\n  pseudonyms: team-day",
           "WIDENS payments-prod-debug grant.pseudonyms grant -> team-day"),
    change("limits: {lines: 200000, bytes: 500MB}", "limits: {lines: 200000, bytes: 500MB, subjects: 50}",
           "NARROWS payments-prod-debug grant.limits.subjects none -> 50"),
    change("limits: {lines: 200000, bytes: 500MB}", "limits: {lines: 200001}",
           "WIDENS payments-prod-debug grant.limits.lines 200,000 -> 200,001",
           "WIDENS payments-prod-debug grant.limits.bytes 500MB -> none"),
    change("{queries: 500, queries_per_min: 60, tails: 2}", "{queries: 500, queries_per_min: 6, tails: 1}",
           "NARROWS cards grant.limits.queries_per_min 60 -> 6", "NARROWS cards grant.limits.tails 2 -> 1"),
    change("redaction: secrets\n", "redaction: pii-default\n", "NARROWS cards grant.redaction secrets -> pii-default"),
    change("redaction: secrets\n", "redaction: odd\n", "UNDECIDED cards grant.redaction secrets -> odd"),
    change("redaction: secrets\n", "redaction: secrets@1\n", "UNDECIDED cards grant.redaction secrets -> secrets@1"),
    change("redaction: raw", "redaction: secrets", "UNDECIDED unmasked grant.redaction raw -> secrets", mirrors=False),
    change("bytes: 500MB}\n  redaction: pii-default", "bytes: 500MB}\n  redaction: raw",
           "WIDENS payments-prod-debug grant.redaction pii-default -> raw", mirrors=False),
    change("  reveal: {classes: [pii.email, card], stages: [{from: [group:sre-leads], need: 1}]}\n", "",
           "NARROWS cards grant.reveal - card, pii.email: 1 of group:sre-leads"),
    change("classes: [pii.email, card]", "classes: [pii]", "WIDENS cards grant.reveal.classes + pii",
           "NARROWS cards grant.reveal.classes - card"),
    change("classes: [pii.email, card]", "classes: [pii.email, pii.email.work, card]"),
    change("card], stages: [{from: [group:sre-leads], need: 1}]}", "card], stages: [{from: [group:sre-leads], need: 2}]}",
           "NARROWS cards grant.reveal.stages[0].need 1 -> 2"),
    change("  extend: {times: 2, by: 20m}\n", "  extend: {times: 3, by: 10m}\n",
           "WIDENS cards grant.extend.times 2 -> 3", "NARROWS cards grant.extend.by 20m -> 10m"),
    change("bytes: 500MB}\n  redaction: pii-default", "bytes: 500MB}\n  redaction: pii-default\n  extend: {times: 1, by: 1h}",
           "WIDENS payments-prod-debug grant.extend + 1 by 1h"),
    change(", extend: {times: 1, by: 10m}", "", "WIDENS cards approve[1].grant.extend - 1 by 10m"),
    # who has to agree
    change("from: [approvers:payments-approvers], need: 1", "from: [approvers:payments-approvers, group:sre-leads], need: 1",
           "WIDENS payments-prod-debug approve[0].stages[0].from + group:sre-leads"),
    change("from: [approvers:payments-approvers], need: 1", "from: [approvers:payments-approvers], need: 2",
           "NARROWS payments-prod-debug approve[0].stages[0].need 1 -> 2"),
    change("from: [approvers:payments-approvers], need: 1}", "from: [approvers:payments-approvers], need: 1}\n"
           "      - {from: [group:privacy], need: 1}",
           "NARROWS payments-prod-debug approve[0].stages 1 of approvers:payments-approvers -> "
           "1 of approvers:payments-approvers; then 1 of group:privacy"),
    change("from: [approvers:payments-approvers], need: 1",
           "from: [approvers:payments-approvers], need: 1, escalate: {after: 30m, to: [group:sre-leads]}",
           "WIDENS payments-prod-debug approve[0].stages[0].escalate + after 30m also group:sre-leads"),
    change(f"{PRIVACY}]", f"{PRIVACY}]\n        escalate: {{after: 1h, to: [group:sre]}}",
           f"WIDENS cards approve[0].stages[0] {BOTH} -> {BOTH}, after 1h also group:sre"),
    change("from: [approvers:payments-approvers], need: 1", "from: [approvers:payments-approvers], need: 1, remind: 10m"),
    # who is told
    change("grant: {duration: {max: 40m}, limits: {lines: 700}, extend: {times: 1, by: 10m}}",
           "grant: {duration: {max: 40m}, limits: {lines: 700}, extend: {times: 1, by: 10m}}\n    notify: [group:privacy]",
           "NARROWS cards approve[1].notify + group:privacy"),
    change("caps: {queries: 400}", "caps: {queries: 400}\nadd: {notify: [group:sre-leads]}",
           "NARROWS asks-privacy add.notify + group:sre-leads"),
    change("auto: true}]", "stages: [{from: [group:sre-leads], need: 1}]}]",
           "NARROWS staging-open approve[0].stages automatic -> 1 of group:sre-leads"),
    change(PRIVACY, "{from: [group:privacy], need: 1}",
           f"WIDENS cards approve[0].stages[0] {BOTH} -> 1 of group:privacy"),
    change(PRIVACY, "{from: [group:privacy, group:sre-leads], need: 2}",
           f"UNDECIDED cards approve[0].stages[0] {BOTH} -> 2 of group:privacy, group:sre-leads"),
    change("{from: [group:sre-leads], need: 1}, {from: [group:payments-leads], need: 2}",
           "{from: [group:sre-leads], need: 1}, {from: [group:payments-leads], need: 1}",
           "WIDENS cards approve[0].stages[1] 2 of group:payments-leads or 1 of group:sre-leads -> "
           "1 of group:payments-leads or 1 of group:sre-leads"),
    change("- if: '!req.live'", "- if: '!req.live && !req.break_glass'",
           "UNDECIDED cards approve[1].if !req.live -> !req.live && !req.break_glass"),
    change("  - otherwise: true\n" + LAST, "  - if: req.live\n    stages: [{from: [group:privacy], need: 3}]\n"
           "  - otherwise: true\n" + LAST, "UNDECIDED cards approve if"),
    change("grant: {duration: {max: 40m}, limits: {lines: 700}, extend: {times: 1, by: 10m}}", "grant: {limits: {lines: 800}}",
           "WIDENS cards approve[1].grant.duration.max 40m -> none", "WIDENS cards approve[1].grant.limits.lines 700 -> 800",
           "WIDENS cards approve[1].grant.extend - 1 by 10m"),
    change("max: 40m}, limits", "max: 40m}, redaction: strict, limits",
           "NARROWS cards approve[1].grant.redaction none -> strict"),
    change("max: 40m}, limits", "max: 40m}, single_use: true, activate_within: 1h, idle_timeout: 5m, limits",
           "NARROWS cards approve[1].grant.activate_within none -> 1h",
           "NARROWS cards approve[1].grant.single_use false -> true",
           "NARROWS cards approve[1].grant.idle_timeout none -> 5m"),
    change("max: 40m}, limits", "max: 40m}, bind: [network], limits", "NARROWS cards approve[1].grant.bind + network"),
    change("max: 40m}, limits", "max: 40m}, pseudonyms: grant, limits",
           "NARROWS cards approve[1].grant.pseudonyms + grant"),
    change("pending_max: 4h", "pending_max: 2h", "NARROWS payments-prod-debug pending_max 4h -> 2h"),
    # guardrails
    change("caps: {duration: 4h, lookback: 7d, lines: 1000000, bytes: 2GB}", "caps: {duration: 5h, lookback: 6d, bytes: 1GiB}",
           "WIDENS org-floor caps.duration 4h -> 5h", "NARROWS org-floor caps.lookback 7d -> 6d",
           "WIDENS org-floor caps.lines 1,000,000 -> none", "NARROWS org-floor caps.bytes 2GB -> 1GiB"),
    change("at_least: {redaction: secrets}\n", "at_least: {redaction: secrets}\nadd: {bind: [network]}\n",
           "NARROWS org-floor add.bind + network"),
    change("at_least: {redaction: secrets}\n", "at_least: {redaction: secrets, audit: witnessed}\n",
           "NARROWS org-floor at_least.audit + witnessed"),
    change("at_least: {redaction: secrets}\n", "at_least: {redaction: secrets, pseudonyms: team-day}\n",
           "NARROWS org-floor at_least.pseudonyms + team-day"),
    change("at_least: {redaction: secrets}\n", "", "WIDENS org-floor at_least.redaction secrets -> none"),
    change("at_least: {redaction: secrets}", "at_least: {redaction: pii-default}",
           "NARROWS org-floor at_least.redaction secrets -> pii-default"),
    change("at_least: {redaction: secrets}", "at_least: {redaction: odd}",
           "UNDECIDED org-floor at_least.redaction secrets -> odd"),
    change("labels: {data_class: restricted}", "labels: {data_class: [restricted, pii]}",
           'NARROWS no-restricted applies.labels {data_class="restricted"} -> {data_class=~"pii|restricted"}'),
    change("labels: {data_class: restricted}", "labels: {data_class: pii}",
           'WIDENS no-restricted applies.labels {data_class="restricted"} -> {data_class="pii"}', mirrors=False),
    change("applies: {sources: [prod-logs],", "applies: {sources: [prod-logs, staging-logs],",
           "NARROWS asks-privacy applies.sources + staging-logs"),
    change("applies: {sources: [prod-logs],", "applies: {", "NARROWS asks-privacy applies.sources prod-logs -> every source"),
    change("if: '!(\"dev\" in req.labels.env)'\n", "", 'NARROWS asks-privacy if - !("dev" in req.labels.env)'),
    change("if: '!(\"dev\" in req.labels.env)'", "if: req.live", 'UNDECIDED asks-privacy if !("dev" in req.labels.env) -> req.live'),
    change("require: {stage: {from: [group:privacy], need: 1}}", "require: {stage: {from: [group:privacy], need: 2}}",
           "NARROWS asks-privacy require.stage.need 1 -> 2"),
    change("require: {stage: {from: [group:privacy], need: 1}}\n", "", "WIDENS asks-privacy require.stage - 1 of group:privacy"),
    change("caps: {queries: 400}\n", "caps: {queries: 400}\ndeny: true\n", "NARROWS asks-privacy deny false -> true"),
    change("id: asks-privacy", "id: asks-privacy\neven_break_glass: false",
           "WIDENS asks-privacy even_break_glass true -> false"),
    change("mode: observe", "mode: enforce", "NARROWS watched mode observe -> enforce"),
    change("mode: observe\napplies: {sources: [staging-logs]}", "mode: observe\napplies: {all_streams: true}"),
    change("---\n" + TRACE, "", "WIDENS asks-privacy guardrail - "),
    change("---\n" + WATCHED, ""),
    # approver sets
    change("any_of: [group:payments-leads]\n", "any_of: [group:payments-leads, group:sre-leads]\n",
           "WIDENS payments-approvers any_of + group:sre-leads"),
    change("any_of: [group:payments-leads]\nnone_of: [group:contractors]\n", "any_of: [group:payments-leads]\n",
           "WIDENS payments-approvers none_of - group:contractors"),
    change("any_of: [group:payments-leads]\n", "any_of: [group:payments-leads]\nat_least: 2\n",
           "NARROWS payments-approvers at_least 1 -> 2"),
    # whole policies, and what exclusive ones keep from others
    change("---\n" + UNMASKED, "", "NARROWS unmasked policy - group:sre: "),
    change("id: unmasked", "id: unmasked-dev", "NARROWS unmasked policy - group:sre: ", "WIDENS unmasked-dev policy + group:sre: "),
    change("id: sre-prod", "id: sre-prod\nexclusive: true", "WIDENS sre-prod exclusive false -> true", mirrors=False),
    change("exclusive: true\nwho", "who",
           'WIDENS vault exclusive - {service=~"safe|vault"} on prod-logs, now left to sre-prod'),
    change("labels: {service: [vault, safe]}", "labels: {service: vault}",
           'WIDENS vault exclusive - {service=~"safe|vault"} on prod-logs, now left to sre-prod',
           'NARROWS vault scopes[0].labels {service=~"safe|vault"} -> {service="vault"}', mirrors=False),
    change("lookback: 5h", "lookback: 7h", "WIDENS vault scopes[0].lookback 5h -> 7h"),
    change("---\n" + VAULT, "", "NARROWS vault policy - group:sre: ",
           'WIDENS vault exclusive - {service=~"safe|vault"} on prod-logs, now left to sre-prod', mirrors=False),
    # what names mean
    change("data_class: [public, internal, pii, restricted], service", "data_class: [public, internal, pii, restricted, card], service",
           "UNDECIDED Catalog labels.data_class [internal, pii, public, restricted] -> [card, internal, pii, public, restricted], "
           "which conditions read"),
    change("odd: []}", "odd: [secrets]}", "UNDECIDED Catalog redaction.odd [] -> [secrets]"),
    change("strict: [pii-default], odd: []}", "strict: [pii-default], odd: [], none-at-all: []}"),
    # what decides nothing
    change("title: Card services", "title: Cards"),
    change("owner: group:payments-leads", "owner: group:payments-leads\nreview_by: 2027-05-01"),
    change("help: Restricted logs", "help: No restricted logs"),
)  # fmt: skip


@cache
def bundle_with(*changes: Change) -> Bundle:
    text = TEXT
    for one in dict.fromkeys(changes):
        text = one.applied(text)
    return bundle_of(text)


def lines_of(found: tuple[Difference, ...]) -> list[str]:
    return [f"{one.verdict} {one.document} {one.text}" for one in found]


def said(old: Bundle, new: Bundle, *, cheaper: bool = False) -> list[str]:
    """Return the lines of a comparison; cheaper ways are about pairs of policies, and stand for themselves."""
    return lines_of(tuple(one for one in differences(old, new) if (one.verdict is Verdict.CHEAPER) == cheaper))

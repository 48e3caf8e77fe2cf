"""What separates two bundles, and that nothing is called narrower unless it is."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from tests.policy.changes import CARDS, CHANGES, TEXT, Change, bundle_with, change, lines_of, said
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    DIRECTORY,
    EVERYONE,
    FLOOR,
    MARIA,
    NOW,
    PAYMENTS,
    PROFILES,
    SRE,
    STAGING,
    bundle_of,
    person,
    scope_of,
    wish_of,
)
from tests.volume import volume

from loglease.model.access_request import Wish
from loglease.model.ids import GrantId
from loglease.model.limits import Limits
from loglease.model.offer import Escalation, Joint, Offer, Slots, Stage
from loglease.model.principal import Principal, directory_of
from loglease.model.reveal import Reveal
from loglease.model.scope import Level
from loglease.policy import Bundle, ProfileInfo, decide
from loglease.policy.difference import Difference, Verdict, differences, overall
from loglease.policy.difference.plans import are_harder, is_harder
from loglease.policy.documents import AccessPolicy, ScopeRule
from loglease.policy.problems import At
from loglease.policy.profiles import is_as_strict

OPPOSITE = {"WIDENS": "NARROWS", "NARROWS": "WIDENS", "UNDECIDED": "UNDECIDED"}
SHOWN = [f"{one.old[:40]!r} becomes {one.new[:40]!r}" for one in CHANGES]


@pytest.mark.parametrize("change", CHANGES, ids=SHOWN)
def test_each_change_says_what_it_means(change: Change) -> None:
    assert TEXT.count(change.old) == 1, "the change is made in one place"
    lines = said(bundle_with(), bundle_with(change))
    assert [line[: len(wanted)] for line, wanted in zip(lines, change.lines, strict=True)] == list(change.lines)


@pytest.mark.parametrize("change", CHANGES, ids=SHOWN)
def test_the_way_back_says_the_opposite(change: Change) -> None:
    there, back = (
        [line.partition(" ")[0] for line in said(*pair)]
        for pair in ((bundle_with(), bundle_with(change)), (bundle_with(change), bundle_with()))
    )
    mirrored = Counter(OPPOSITE[verdict] for verdict in there) == Counter(back)
    assert mirrored == change.mirrors
    assert not change.mirrors or len(back) == len(change.lines)


def test_a_bundle_does_not_differ_from_itself_nor_from_its_layout() -> None:
    bundle = bundle_with()
    assert differences(bundle, bundle) == ()
    spread = bundle_of("# first\n\n" + TEXT.replace("id: cards\n", "id: cards  # credit\n\n"))
    assert differences(bundle, spread) == ()
    assert differences(bundle, replace(spread, hash="f" * 64)) == (), "nor where the hash does not say it first"
    assert overall(()) is Verdict.SAME


def test_a_difference_says_where_it_stands() -> None:
    route = next(one for one in CHANGES if one.lines == ("NARROWS cards approve[1].grant.redaction none -> strict",))
    (found,) = differences(bundle_with(), bundle_with(route))
    line = next(
        number for number, text in enumerate(route.applied(TEXT).splitlines(), 1) if text == "  - if: '!req.live'"
    )
    assert found.at == At("policies/main.yaml", line, 5, found.at.width if found.at else 0)
    assert found.as_json() == {
        "verdict": "NARROWS",
        "kind": "AccessPolicy",
        "document": "cards",
        "place": "approve[1].grant.redaction",
        "old": "none",
        "new": "strict",
        "file": "policies/main.yaml",
        "line": line,
        "column": 5,
    }
    gone = differences(bundle_with(), bundle_of(TEXT.replace("---\n" + CARDS, "")))
    assert [one.at for one in gone if one.document == "cards"] == [
        next(one.at for one in bundle_with().policies if one.id == "cards")
    ]


def test_the_gravest_verdict_counts() -> None:
    found = [Difference(verdict=one, kind="", document="", place="") for one in Verdict]
    assert overall(found) is Verdict.WIDENS
    assert overall(found[1:]) is Verdict.CHEAPER
    assert overall(found[3:]) is Verdict.NARROWS


# Scopes: entries are compared wherever they stand.


def entries(*entries: str) -> Bundle:
    scopes = "\n".join(f"  - {{sources: [prod-logs], lookback: 6h, {one}}}" for one in entries)
    return bundle_of(
        CATALOG,
        SRE.replace(
            "scopes: [{sources: [prod-logs], labels: {env: prod, data_class: internal}, level_from: info, lookback: 6h}]",
            f"scopes:\n{scopes}",
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "verdicts"),
    [
        (["labels: {env: prod}", "labels: {env: dev}"], ["labels: {env: dev}", "labels: {env: prod}"], []),
        (["labels: {env: prod}"], ["labels: {env: prod}", "labels: {env: dev}"], ["WIDENS"]),
        (["labels: {env: prod}", "labels: {env: dev}"], ["labels: {env: prod}"], ["NARROWS"]),
        (["labels: {env: [prod, dev]}"], ["labels: {env: [prod, dev]}", "labels: {env: dev}"], []),
        (["labels: {env: [prod, dev]}", "labels: {env: dev}"], ["labels: {env: [prod, dev]}"], []),
        (["labels: {env: [prod, dev]}"], ["labels: {env: prod}", "labels: {env: dev}"], ["NARROWS"]),
        (["labels: {env: prod}", "labels: {env: dev}"], ["labels: {env: [prod, dev]}"], ["WIDENS"]),
        (["all_streams: true", "labels: {env: dev}"], ["all_streams: true", "labels: {env: prod}"], []),
        (["labels: {service: {prefix: a}}", "labels: {env: dev}"],
         ["labels: {service: {prefix: ab}}", "labels: {service: ac, env: prod}"], ["NARROWS", "NARROWS"]),
        (["all_streams: true, level_from: info", "labels: {env: dev}, level_from: error"],
         ["all_streams: true, level_from: warn", "labels: {env: dev}, level_from: warn"], ["NARROWS"]),
        (["all_streams: true, level_from: info", "labels: {env: dev}, level_from: debug"],
         ["all_streams: true, level_from: info", "labels: {env: [dev, prod]}, level_from: info"], ["NARROWS"]),
        (["all_streams: true, level_from: trace"], ["all_streams: true"], []),
        (["all_streams: true, contains: [order, 'card order']"], ["all_streams: true, contains: ['card order']"], []),
    ],
)  # fmt: skip
def test_entries_are_compared_with_all_others(old: list[str], new: list[str], verdicts: list[str]) -> None:
    assert [line.partition(" ")[0] for line in said(entries(*old), entries(*new))] == verdicts


# Plans: harder means that whoever completes it has completed the other one.


def block(names: str, need: int = 1) -> Slots:
    return Slots(tuple(names.split()), need)


def stage(*blocks: Slots, joint: Joint = Joint.ALL) -> Stage:
    return Stage(blocks, joint)


@pytest.mark.parametrize(
    ("harder", "easier"),
    [
        (stage(block("a")), stage(block("a b"))),
        (stage(block("a", 2)), stage(block("a"))),
        (stage(block("a"), block("a")), stage(block("a b", 2))),
        (stage(block("a"), block("b")), stage(block("b"))),
        (stage(block("a"), block("b")), stage(block("a"), block("b"), joint=Joint.ANY)),
        (stage(block("a"), block("b", 2), joint=Joint.ANY), stage(block("a b"))),
        (stage(block("a"), block("b"), joint=Joint.ANY), stage(block("a"), block("b"), block("c"), joint=Joint.ANY)),
    ],
)
def test_a_stage_is_harder_where_its_slots_cover_the_others(harder: Stage, easier: Stage) -> None:
    assert is_harder(harder, easier)
    assert is_harder(harder, harder)
    assert not is_harder(easier, harder)


def test_an_escalation_is_harder_where_it_adds_fewer_people_and_later() -> None:
    plain, early, late, more = (
        replace(stage(block("a")), escalate=also)
        for also in (None, Escalation(60, ("b",)), Escalation(120, ("b",)), Escalation(120, ("b", "c")))
    )
    assert is_harder(plain, early)
    assert not is_harder(early, plain)
    assert is_harder(late, early)
    assert not is_harder(early, late)
    assert is_harder(late, more)
    assert not is_harder(more, early)
    assert is_harder(replace(early, remind_s=60), early)
    assert is_harder(early, replace(early, remind_s=60))


def test_an_escalation_that_changes_says_how() -> None:
    def with_escalation(also: str) -> Bundle:
        return bundle_with(change("from: [approvers:payments-approvers], need: 1",
                                  f"from: [approvers:payments-approvers], need: 1, escalate: {also}"))  # fmt: skip

    place = "payments-prod-debug approve[0].stages[0].escalate"
    old, new = with_escalation("{after: 30m, to: [group:sre]}"), with_escalation("{after: 10m, to: [group:sre-leads]}")
    assert said(old, new) == [
        f"WIDENS {place}.after 30m -> 10m", f"WIDENS {place}.to + group:sre-leads", f"NARROWS {place}.to - group:sre",
    ]  # fmt: skip


def test_one_slot_covers_one_other() -> None:
    assert not is_harder(stage(block("a"), block("c")), stage(block("a b"), block("a b")))
    assert not is_harder(stage(block("a"), joint=Joint.ANY), stage(block("b"), joint=Joint.ANY))


def test_stages_keep_their_order() -> None:
    one, two = stage(block("a")), stage(block("b"))
    assert are_harder((one, two), (two,))
    assert are_harder((one, two, one), (one, one))
    assert not are_harder((two, one), (one, two))
    assert not are_harder((stage(block("a"), block("b")),), (one, two)), "one stage may be completed in any order"


# Exclusive policies: what they take away from others comes back.


def test_an_exclusive_policy_that_goes_opens_what_it_kept_from_others() -> None:
    exclusive = bundle_of(CATALOG, SRE + "exclusive: true\n", STAGING)
    with_rival = SRE.replace("id: sre-prod", "id: sre-rest").replace(
        "data_class: internal", "data_class: [internal, pii]"
    )
    both = bundle_of(CATALOG, SRE + "exclusive: true\n", with_rival)
    opened = 'WIDENS sre-prod exclusive - {data_class="internal",env="prod"} on prod-logs, now left to sre-rest'
    assert said(exclusive, bundle_of(CATALOG, STAGING))[0].startswith("NARROWS sre-prod policy - ")
    assert len(said(exclusive, bundle_of(CATALOG, STAGING))) == 1
    assert opened in said(both, bundle_of(CATALOG, with_rival))
    assert said(both, bundle_of(CATALOG, SRE, with_rival)) == [opened]
    assert said(exclusive, bundle_of(CATALOG, SRE, STAGING)) == ["NARROWS sre-prod exclusive true -> false"]
    less = bundle_of(CATALOG, SRE.replace("env: prod", "env: prod, service: cart") + "exclusive: true\n", with_rival)
    assert said(both, less)[0] == opened
    assert said(less, both)[0].startswith("WIDENS sre-prod scopes[0].labels ")


def test_a_policy_that_becomes_exclusive_may_get_past_another_one() -> None:
    rival = SRE.replace("id: sre-prod", "id: sre-rest") + "exclusive: true\n"
    found = said(bundle_of(CATALOG, SRE, rival), bundle_of(CATALOG, SRE + "exclusive: true\n", rival))
    assert found == ["WIDENS sre-prod exclusive false -> true"]


# Cheaper ways.


def cheaper(old: Bundle, new: Bundle) -> list[str]:
    return said(old, new, cheaper=True)


OPEN = """\
api: loglease/v1
kind: AccessPolicy
id: sre-open
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], labels: {env: [prod, dev]}, lookback: 1h}]
grant: {duration: {max: 1h}, redaction: strict}
approve: [{otherwise: true, auto: true}]
"""
OPENS = (
    "CHEAPER sre-open overlaps sre-prod: automatic instead of 1 approval, for group:sre on "
    '{data_class="internal",env="prod"} on prod-logs'
)
FIRST = bundle_of(CATALOG, SRE)


def test_a_policy_that_undercuts_another_one_is_named() -> None:
    assert cheaper(FIRST, bundle_of(CATALOG, SRE, OPEN)) == [OPENS]
    closed = OPEN.replace("auto: true", "stages: [{from: [group:sre-leads], need: 1}]")
    assert cheaper(FIRST, bundle_of(CATALOG, SRE, closed)) == []
    assert cheaper(bundle_of(CATALOG, SRE, closed), bundle_of(CATALOG, SRE, OPEN)) == [OPENS]
    dearer = SRE.replace("need: 1", "need: 2")
    assert cheaper(bundle_of(CATALOG, SRE, closed), bundle_of(CATALOG, dearer, closed)) == [
        OPENS.replace("automatic instead of 1 approval", "1 approval instead of 2 approvals")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("group:sre]", "group:sre-leads]"),  # somebody may be in both groups
        ("group:sre]", "group:sre, group:privacy]"),
        ("group:sre]", "group:everybody]"),
        ("env: [prod, dev]", "service: {prefix: pay-}"),
    ],
)
def test_an_overlap_of_people_and_streams_is_enough(old: str, new: str) -> None:
    (found,) = cheaper(FIRST, bundle_of(CATALOG, SRE, OPEN.replace(old, new)))
    assert found.startswith("CHEAPER sre-open overlaps sre-prod: automatic instead of 1 approval, for ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("env: [prod, dev]", "env: dev"),
        ("sources: [prod-logs]", "sources: [staging-logs]"),
        ("any_of: [group:sre]", "kinds: [agent], any_of: [group:sre]"),
        ("any_of: [group:sre]", "any_of: [group:privacy], none_of: [group:sre]"),
    ],
)
def test_where_nobody_has_the_choice_nothing_is_cheaper(old: str, new: str) -> None:
    assert cheaper(FIRST, bundle_of(CATALOG, SRE, OPEN.replace(old, new))) == []


def test_names_of_single_principals_mean_two() -> None:
    one, other = (text.replace("group:sre]", "user:lee]", 1) for text in (SRE, OPEN))
    assert len(cheaper(bundle_of(CATALOG, one), bundle_of(CATALOG, one, other))) == 1
    assert cheaper(bundle_of(CATALOG, one), bundle_of(CATALOG, one, other.replace("user:lee", "user:maria"))) == []


def test_what_was_cheaper_before_is_not_said_again() -> None:
    old = bundle_of(CATALOG, SRE, OPEN)
    assert cheaper(old, bundle_of(CATALOG, SRE, OPEN.replace("env: [prod, dev]", "env: prod, service: cart"))) == []
    assert cheaper(old, bundle_of(CATALOG, SRE.replace("level_from: info", "level_from: debug"), OPEN)) == []
    wider = SRE.replace("data_class: internal", "data_class: [internal, pii]")
    assert cheaper(old, bundle_of(CATALOG, wider, OPEN)) == [
        OPENS.replace('{data_class="internal"', '{data_class=~"internal|pii"')
    ]


def test_a_way_that_became_cheaper_still_is_said_again() -> None:
    two, three = (SRE.replace("need: 1", f"need: {need}") for need in (2, 3))
    one = OPEN.replace("auto: true", "stages: [{from: [group:sre-leads], need: 1}]")
    old = bundle_of(CATALOG, two, one)
    assert cheaper(old, bundle_of(CATALOG, two, OPEN)) == [OPENS.replace("1 approval", "2 approvals")]
    assert cheaper(old, bundle_of(CATALOG, three, one)) == [
        OPENS.replace("automatic instead of 1 approval", "1 approval instead of 3 approvals")
    ]


def test_whoever_has_a_name_that_both_share_is_named_once() -> None:
    names = ("group:sre]", "group:sre, group:privacy]")
    (found,) = cheaper(FIRST, bundle_of(CATALOG, SRE.replace(*names, 1), OPEN.replace(*names)))
    assert ", for group:privacy, group:sre on {" in found


def test_under_the_same_conditions_the_same_routes_are_compared() -> None:
    rule = "approve: [{if: '!req.live', auto: true}, {otherwise: true, stages: [{from: [group:sre-leads], need: 1}]}]\n"
    one, other = (text[: text.index("approve")] + rule for text in (SRE, OPEN))
    assert cheaper(bundle_of(CATALOG, one), bundle_of(CATALOG, one, other)) == []
    harder = one.replace("need: 1", "need: 2")
    assert cheaper(bundle_of(CATALOG, harder), bundle_of(CATALOG, harder, other)) == [
        OPENS.replace("automatic instead of 1 approval", "1 approval instead of 2 approvals")
    ]


def test_what_is_kept_away_or_masked_is_no_cheaper_way() -> None:
    exclusive = SRE + "exclusive: true\n"
    assert cheaper(bundle_of(CATALOG, exclusive), bundle_of(CATALOG, exclusive, OPEN)) == []
    raw = SRE.replace("pii-default", "raw")
    assert cheaper(bundle_of(CATALOG, raw), bundle_of(CATALOG, raw, OPEN)) == []
    dearer = raw.replace("id: sre-prod", "id: sre-raw").replace("need: 1", "need: 2")
    assert len(cheaper(bundle_of(CATALOG, raw), bundle_of(CATALOG, raw, dearer))) == 1


# What names mean.


def test_words_of_a_label_matter_where_a_condition_reads_it() -> None:
    new_word = CATALOG.replace("env: [prod,", "env: [prod, qa,")
    reads = SRE + "when: '!(\"dev\" in req.labels.env)'\n"
    assert said(bundle_of(CATALOG, reads), bundle_of(new_word, reads)) == [
        "UNDECIDED Catalog labels.env [dev, prod, staging] -> [dev, prod, qa, staging], which conditions read"
    ]
    opened = CATALOG.replace("env: [prod, staging, dev]", "env: string")
    assert said(bundle_of(CATALOG, reads), bundle_of(opened, reads)) == [
        "UNDECIDED Catalog labels.env [dev, prod, staging] -> string, which conditions read"
    ]
    assert said(bundle_of(CATALOG, SRE), bundle_of(new_word, SRE)) == []
    (found,) = differences(bundle_of(CATALOG, reads), bundle_of(opened, reads))
    assert found.as_json() == {
        "verdict": "UNDECIDED",
        "kind": "Catalog",
        "document": "Catalog",
        "place": "labels.env",
        "old": "[dev, prod, staging]",
        "new": "string",
        "about": "which conditions read",
    }


def test_a_profile_that_stands_above_two_kinds_proves_nothing() -> None:
    above = CATALOG.replace("odd: []}", "odd: [], top: [strict, odd]}")
    old, new = (bundle_of(above, FLOOR.replace("redaction: secrets", f"redaction: {one}")) for one in ("strict", "top"))
    assert said(old, new) == ["UNDECIDED org-floor at_least.redaction strict -> top"]
    assert said(bundle_of(above), new)[0].startswith("UNDECIDED org-floor guardrail + ")
    assert said(bundle_of(above), old)[0].startswith("NARROWS org-floor guardrail + ")
    some = FLOOR.replace("redaction: secrets", "redaction: top")
    everywhere = bundle_of(above, some)
    here = bundle_of(above, some.replace("all_streams: true", "sources: [prod-logs], labels: {env: prod}"))
    assert said(here, everywhere) == [
        "UNDECIDED org-floor applies.sources prod-logs -> every source",
        'UNDECIDED org-floor applies.labels {env="prod"} -> {}',
    ]
    live = bundle_of(above, some + "if: req.live\n")
    assert said(live, everywhere) == ["UNDECIDED org-floor if - req.live"]
    assert said(everywhere, live) == ["WIDENS org-floor if + req.live"]


def test_a_profile_above_two_kinds_may_indeed_open_something() -> None:
    above = CATALOG.replace("odd: []}", "odd: [], top: [strict, odd]}")
    profiles = {**PROFILES, "top": ProfileInfo("top", "1", frozenset({"strict", "odd"}))}
    rails = [FLOOR.replace("secrets", "strict"), FLOOR.replace("secrets", "odd").replace("floor", "other")]
    old = bundle_of(above, STAGING, *rails)
    new = bundle_of(above, STAGING, *rails, FLOOR.replace("secrets", "top").replace("floor", "third"))
    asked = wish(selector='{env="dev"}', source="staging-logs")
    before, after = (decide(one, asked, MARIA, directory=DIRECTORY, now=NOW, profiles=profiles) for one in (old, new))
    assert (len(before.offers), len(after.offers)) == (0, 1)
    assert said(old, new)[0].startswith("UNDECIDED org-third guardrail + ")


def test_a_version_that_a_server_may_lack_proves_nothing() -> None:
    pinned, plain = (SRE.replace("pii-default", one) for one in ("pii-default@7", "strict"))
    assert said(bundle_of(CATALOG, pinned), bundle_of(CATALOG, plain)) == [
        "UNDECIDED sre-prod grant.redaction pii-default@7 -> strict"
    ]
    assert said(FIRST, bundle_of(CATALOG, SRE.replace("pii-default", "strict@2"))) == [
        "NARROWS sre-prod grant.redaction pii-default -> strict@2"
    ]


def test_a_profile_that_is_declared_between_others_changes_nothing() -> None:
    between = CATALOG.replace("pii-default: [secrets],", "pii-default: [between], between: [secrets],")
    assert said(FIRST, bundle_of(between, SRE)) == []


CALENDAR = """\
api: loglease/v1
kind: Facts
id: main
calendars:
  office: {zone: Europe/Berlin, days: [mon, tue], hours: ["08:00-18:00"]}
"""


def test_a_calendar_that_changed_is_undecided() -> None:
    old, new = (bundle_of(CATALOG, one) for one in (CALENDAR, CALENDAR.replace("mon, tue", "mon")))
    (found,) = differences(old, new)
    assert (found.verdict, found.kind, found.place) == (Verdict.UNDECIDED, "Facts", "calendars.office.days")
    assert said(old, bundle_of(CATALOG)) == []


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterPolicy(AccessPolicy):
    colour: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterStage(Stage):
    colour: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterEntry(ScopeRule):
    colour: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterBundle(Bundle):
    colour: str | None = None


def of_later(later: type, one: object, **more: object) -> object:
    known = (each.name for each in fields(one) if each.init)  # type: ignore[arg-type]
    return later(**{name: getattr(one, name) for name in known}, **more)


def test_a_field_that_no_rule_knows_is_undecided() -> None:
    (policy,) = FIRST.policies
    grey, green = (
        replace(FIRST, hash=colour, policies=(of_later(LaterPolicy, policy, colour=colour),))  # type: ignore[arg-type]
        for colour in ("grey", "green")
    )
    assert lines_of(differences(grey, green)) == ['UNDECIDED sre-prod colour "grey" -> "green"']
    plain, later = (of_later(LaterBundle, replace(FIRST, hash=one or "-"), colour=one) for one in (None, "blue"))
    assert lines_of(differences(plain, later)) == ['UNDECIDED Bundle colour + "blue"']  # type: ignore[arg-type]
    (old,) = policy.routes[0].stages
    new = of_later(LaterStage, old, colour="red")
    assert isinstance(new, Stage)
    assert not is_harder(new, old)
    routes = (replace(policy.routes[0], stages=(new,)),)
    found = differences(FIRST, replace(FIRST, hash="red", policies=(replace(policy, routes=routes),)))
    assert [one.verdict for one in found] == [Verdict.UNDECIDED]
    red, blue = (of_later(LaterEntry, policy.scopes[0], colour=one) for one in ("red", "blue"))
    before, after = (
        replace(FIRST, hash=str(len(scopes)), policies=(replace(policy, scopes=scopes),))  # type: ignore[arg-type]
        for scopes in ((red,), (red, blue))
    )
    assert [one.verdict for one in differences(before, after)] == [Verdict.WIDENS], "no other entry has that of it"


# The oracle: decide with both bundles.


def wish(*, cls: str | None = None, policy: str = "cards", profile: str | None = None, **more: object) -> Wish:
    scope = {name: more.pop(name) for name in ("source", "hours", "live", "level", "contains") if name in more}
    found = wish_of(scope_of(more.pop("selector"), profile=profile, **scope), **more)  # type: ignore[arg-type]
    if cls is None:
        return found
    reveal = Reveal(
        grant=GrantId("grt_1"), policy=policy, asked_at=NOW, token="⟦card⟧", cls=cls, source="prod-logs", labels=(),
        event_ns=NOW * 1000, line_sha256="0" * 64, span=1,
    )  # fmt: skip
    return replace(found, reveal=reveal)


def both(one: Wish, other: Wish) -> Wish:
    return replace(one, scopes=one.scopes + other.scopes)


PAY = '{env="prod",service="pay-api",data_class="internal"}'
CARD = '{env="prod",service="card-api",data_class="internal"}'
WISHES = (
    wish(selector=PAY),
    wish(selector=PAY, live=True, duration_s=None),
    wish(selector=PAY, ticket=None, reason="cards fail once more"),
    wish(selector=PAY, reason="for a check", duration_s=20000),
    wish(selector=PAY, hours=12, level=Level.INFO, profile="secrets"),
    wish(selector=PAY, profile="raw"),
    wish(selector=PAY, profile="strict", level=Level.TRACE, hours=4),
    wish(selector='{env="prod",data_class="internal"}', level=Level.INFO, hours=5),
    wish(selector='{env="prod",data_class="public"}', level=Level.INFO, hours=5),
    wish(selector='{env="prod",service="pay-api",data_class="pii"}'),
    wish(selector='{env="staging"}', source="staging-logs", hours=24 * 6.5, duration_s=18000),
    wish(selector='{env="dev",data_class="public"}', source="staging-logs", hours=0.5, profile="raw", level=None),
    wish(selector='{env="dev",data_class="card"}', source="staging-logs", hours=0.5, profile="raw", level=None),
    wish(selector='{env="dev",data_class="public"}', source="staging-logs", hours=0.5, level=None),
    wish(selector='{env="prod",service="card-api"}', source="staging-logs", level=Level.WARN, contains=("order",)),
    wish(selector=CARD, level=Level.WARN, contains=("border", "shipping"), duration_s=None),
    wish(selector=CARD, level=Level.WARN, contains=("card order",), profile="odd"),
    wish(selector=CARD, level=Level.WARN, contains=("order",), cls="pii.email"),
    wish(selector=CARD, level=Level.WARN, contains=("order",), cls="card"),
    wish(selector=CARD, level=Level.WARN, contains=("order",), cls="pii.name"),
    wish(selector='{service="card-api",data_class="pii"}', level=Level.WARN, contains=("order",), duration_s=10000),
    wish(selector='{env="dev",service="card-db",data_class="pii"}', level=Level.ERROR, contains=("order",)),
    wish(selector='{service="shop-a",data_class="pii"}', source="staging-logs", hours=5.5, live=True, level=None),
    wish(selector='{service="shop-a"}', source="staging-logs", hours=5.5, live=True, level=None),
    wish(selector='{service="shop-a",env="staging",data_class="pii"}', source="staging-logs", hours=30, level=None),
    wish(selector='{service=~"shop-.*",data_class=~"pii|card"}', source="staging-logs", level=None, profile="pii-default"),
    wish(selector='{env="staging",service="shop-a",data_class="card"}', source="staging-logs", limits=Limits(lines=5)),
    wish(selector='{env="prod",service="cart",data_class="internal"}', level=Level.INFO),
    wish(selector='{env="prod",service="safe",data_class="internal"}', level=Level.INFO, hours=4),
    wish(selector='{env="prod",service="vault",data_class="internal"}', level=Level.INFO, hours=4),
    both(wish(selector='{env="dev"}', source="staging-logs"), wish(selector='{env="staging"}', source="staging-logs")),
    both(wish(selector=CARD, level=Level.INFO), wish(selector='{env="prod",service="safe",data_class="internal"}')),
    both(wish(selector=PAY, level=Level.INFO), wish(selector='{env="prod",data_class="internal",service="safe"}')),
)  # fmt: skip
ASKING = (*EVERYONE, person("eva", "sre", "engineering", "privacy"), person("con", "payments-eng", "contractors"))
DIRECTORIES = (
    DIRECTORY,
    directory_of((*ASKING, person("pat", "payments-leads"), person("ann", "sre-leads", "privacy"))),
)


@cache
def offers(bundle: str, number: int, asks: int, directory: int) -> dict[str, Offer]:
    """Return what each policy offers, whichever place it takes among the offers that are shown."""
    chosen: Wish = WISHES[number]
    who: Principal = ASKING[asks]
    found = decide(BUNDLES[bundle], chosen, who, directory=DIRECTORIES[directory], now=NOW, profiles=PROFILES)
    return {one.policy.id: one.offer for one in found.policies if one.offer is not None}


BUNDLES: dict[str, Bundle] = {}


def is_no_better(new: Offer, old: Offer) -> bool:
    """Say whether an offer gives nothing that another one does not give, at no lower price."""
    (ours,), (theirs,) = ({scope.profile or "" for scope in offer.terms.scopes} for offer in (new, old))
    idle = (new.shape.idle_timeout_s or 10**9, old.shape.idle_timeout_s or 10**9)
    return (
        old.terms.contains(new.terms)
        and is_as_strict(ours.partition("@")[0], theirs.partition("@")[0], PROFILES)
        and new.need >= old.need
        and new.shape.single_use >= old.shape.single_use
        and new.shape.network_bound >= old.shape.network_bound
        and new.shape.ack.strength >= old.shape.ack.strength
        and new.shape.activate_within_s <= old.shape.activate_within_s
        and new.shape.review_within_s <= old.shape.review_within_s
        and idle[0] <= idle[1]
    )


def gains(old: Bundle, new: Bundle, directories: Iterable[int] = range(len(DIRECTORIES))) -> dict[str, str]:
    """Return the policies by which somebody gains something in the new bundle, with one example of each."""
    for one in (old, new):
        BUNDLES[one.hash] = one
    found: dict[str, str] = {}
    for number, asks, directory in itertools.product(range(len(WISHES)), range(len(ASKING)), directories):
        before, after = (offers(one.hash, number, asks, directory) for one in (old, new))
        for name, offer in after.items():
            if name not in before or not is_no_better(offer, before[name]):
                found[name] = f"{ASKING[asks].name}, wish {number}"
    return found


def unproved(old: Bundle, new: Bundle) -> set[str]:
    """Return the policies by which somebody may gain something as far as the comparison says; all, where that is so."""
    open_to = [one for one in differences(old, new) if one.verdict in (Verdict.WIDENS, Verdict.UNDECIDED)]
    if any(one.kind != "AccessPolicy" or one.place == "exclusive" for one in open_to):
        return {one.id for one in new.policies}
    return {one.document for one in open_to}


@pytest.mark.parametrize("change", CHANGES, ids=SHOWN)
def test_nobody_gains_by_what_is_called_narrower(change: Change) -> None:
    for old, new in itertools.permutations((bundle_with(), bundle_with(change))):
        assert gains(old, new).keys() <= unproved(old, new)


@pytest.mark.volume
def test_the_oracle_sees_what_widens() -> None:
    ways = [pair for one in CHANGES for pair in itertools.permutations((bundle_with(), bundle_with(one)))][
        :: volume(5, 1)
    ]
    widening = [pair for pair in ways if any(one.verdict is Verdict.WIDENS for one in differences(*pair))]
    seen = sum(bool(gains(*pair)) for pair in widening)
    assert seen >= 0.6 * len(widening), f"{seen} of {len(widening)}"


def goes_together(changes: list[Change]) -> bool:
    """Say whether a bundle may hold all of them: nobody can be counted where nobody has a pseudonym."""
    text = "".join(one.new for one in changes)
    return not ("subjects: 50" in text and "redaction: raw" in text)


SEVERAL = st.lists(st.sampled_from(CHANGES), max_size=4)


@given(both=SEVERAL, old=SEVERAL, new=SEVERAL, directory=st.sampled_from(range(len(DIRECTORIES))))
@settings(max_examples=volume(20, 60))
def test_nobody_gains_by_several_changes_beyond_what_is_said(
    both: list[Change], old: list[Change], new: list[Change], directory: int
) -> None:
    assume(goes_together([*both, *old]) and goes_together([*both, *new]))
    one, other = (bundle_with(*both, *changes) for changes in (old, new))
    allowed = unproved(one, other)
    event(f"{len(other.policies) - len(allowed)} policies are proved")
    assert gains(one, other, (directory,)).keys() <= allowed


STANDING_IN = "stand_ins: {from: [group:sre-leads], max: 7d}\n"
KEEPING = "  keep: {when: '!req.live', every: 60s, otherwise: suspend}\n"


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (STANDING_IN, "", ["NARROWS payments-approvers stand_ins - group:sre-leads for 7d"]),
        ("[group:sre-leads], max", "[group:sre-leads, group:sre], max",
         ["WIDENS payments-approvers stand_ins.from + group:sre"]),
        ("max: 7d}", "max: 8d}", ["WIDENS payments-approvers stand_ins.max 7d -> 8d"]),
        (KEEPING, "", ["WIDENS payments-prod-debug grant.keep - !req.live, else suspend"]),
        ("'!req.live', every", "'req.live', every", ["UNDECIDED payments-prod-debug grant.keep.when !req.live -> req.live"]),
        ("every: 60s", "every: 2m", ["WIDENS payments-prod-debug grant.keep.every 1m -> 2m"]),
        ("otherwise: suspend", "otherwise: revoke",
         ['UNDECIDED payments-prod-debug grant.keep.otherwise "suspend" -> "revoke"']),
    ],
)  # fmt: skip
def test_stand_ins_and_what_has_to_stay_true_are_compared_both_ways(old: str, new: str, lines: list[str]) -> None:
    text = f"{CATALOG}---\n{PAYMENTS}---\n{APPROVERS}"
    text = text.replace("  redaction: pii-default\n", f"  redaction: pii-default\n{KEEPING}") + STANDING_IN
    assert text.count(old) == 1
    before, after = bundle_of(text), bundle_of(text.replace(old, new))
    assert said(before, after) == lines
    assert [one.partition(" ")[0] for one in said(after, before)] == [OPPOSITE[one.partition(" ")[0]] for one in lines]


DECLARED = """\
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.score: {type: int, from: rota, max_age: 60s}
  ctx.net: {type: [corp, other], from: gateway}
risk:
  - {id: network, add: 50, if: ctx.net == "other"}
"""


@pytest.mark.parametrize(
    ("old", "new", "when", "lines"),
    [
        ("max_age: 60s", "max_age: 61s", "ctx.score < 5", ["UNDECIDED Facts facts.ctx.score.max_age_s 60 -> 61"]),
        ("from: rota", "from: staff", "ctx.score < 5", ['UNDECIDED Facts facts.ctx.score.provider "rota" -> "staff"']),
        ("max_age: 60s", "max_age: 61s", "ctx.risk < 60", []),
        ("[corp, other]", "[corp, other, vpn]", "ctx.risk < 60",
         ['UNDECIDED Facts facts.ctx.net.type {"longest": 256, "words": ["corp", "other"]} -> {"longest": 256, "words": ["corp", "other", "vpn"]}']),
        ("add: 50", "add: 70", "ctx.risk < 60",
         ['UNDECIDED Facts risk 50 if ctx.net == "other" -> 70 if ctx.net == "other", which conditions read']),
        ("add: 50", "add: 70", "ctx.score < 5", []),
        ("id: network", "id: net", "ctx.risk < 60", []),
    ],
)  # fmt: skip
def test_a_fact_that_changed_is_undecided_where_a_condition_reads_it(
    old: str, new: str, when: str, lines: list[str]
) -> None:
    assert DECLARED.count(old) == 1
    policy = SRE + f"when: {when}\n"
    before, after = (bundle_of(CATALOG, one, policy) for one in (DECLARED, DECLARED.replace(old, new)))
    assert before.hash != after.hash
    assert said(before, after) == lines
    assert len(said(after, before)) == len(lines)

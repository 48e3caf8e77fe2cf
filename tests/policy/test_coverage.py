"""What tests try of a bundle, and what they never do."""

from __future__ import annotations

from tests.policy.world import CATALOG, EMERGENCY, FLOOR, bundle_of

from loglease.policy import Bundle, load, run_tests
from loglease.policy.conditions import compiled
from loglease.policy.coverage import Coverage, Gap, Share, covered
from loglease.policy.problems import At
from loglease.policy.roots import Readable

SHORT = """\
api: loglease/v1
kind: AccessPolicy
id: short
who: {any_of: [group:sre]}
scopes: [{sources: [prod-logs], all_streams: true, lookback: 6h}]
grant: {duration: {max: 1h}, redaction: pii-default}
when: '!req.live && req.lookback <= duration("2h")'
approve:
  - if: req.duration <= duration("10m")
    auto: true
  - if: req.level_from == "trace" || size(req.sources) > 1
    stages: [{from: [group:privacy], need: 1}]
  - otherwise: true
    stages: [{from: [group:sre-leads], need: 1}]
"""
OTHER = (
    SHORT.replace("id: short", "id: other").replace("[group:sre]", "[group:contractors]").replace("when:", "# when:")
)
RAIL = """\
api: loglease/v1
kind: Guardrail
id: staging-only
applies: {sources: [staging-logs]}
if: req.live
deny: true
"""
TEST = """\
api: loglease/v1
kind: PolicyTest
id: short
now: 2026-11-23T09:30:00Z
people: {lee: {groups: [sre]}, sam: {groups: [sre-leads]}, priya: {groups: [privacy]}}
scopes:
  late: {source: prod-logs, all_streams: true, level_from: info, from: -1h}
  early: {source: prod-logs, all_streams: true, level_from: info, from: -3h}
cases:
"""


def case(scope: str, duration: str, outcome: str) -> str:
    return (
        f"  - {{it: x, ask: {{as: lee, scope: {scope}, for: {duration}, reason: why}}, want: {{outcome: {outcome}}}}}\n"
    )


def coverage(*cases: str, documents: tuple[str, ...] = (SHORT, OTHER, RAIL)) -> Coverage:
    files = {"a.yaml": "---\n".join((CATALOG, *documents)).encode()}
    if cases:
        files["a.test.yaml"] = (TEST + "".join(cases)).encode()
    bundle = load(files)
    assert isinstance(bundle, Bundle), "\n".join(one.render() for one in bundle)
    results = run_tests(bundle)
    assert [one.render() for one in results if not one.ok] == []
    return covered(bundle, results)


def missing(share: Share) -> list[str]:
    return [one.what for one in share.gaps]


def test_without_tests_nothing_is_covered() -> None:
    found = coverage()
    assert missing(found.policies) == ["other is never offered", "short is never offered"]
    assert (found.routes.covered, found.routes.total) == (0, 6)
    assert (found.leaves.covered, found.leaves.total) == (0, 9)
    assert "short when: req.live is never true and never false" in missing(found.leaves)
    assert "guardrail staging-only: req.live is never true and never false" in missing(found.leaves)


def test_a_route_is_covered_by_an_offer_and_a_leaf_by_both_answers() -> None:
    found = coverage(case("late", "5m", "auto"), case("late", "1h", "review"), case("early", "1h", "deny"))
    assert missing(found.policies) == ["other is never offered"]
    assert missing(found.routes)[3:] == ["short route 2 is never taken"]
    assert [one for one in missing(found.leaves) if one.startswith("short")] == [
        "short when: req.live is never true",
        'short route 2: req.level_from == "trace" is never true',
        "short route 2: size(req.sources) > 1 is never true",
    ]


def test_a_route_behind_the_one_that_is_taken_is_not_asked() -> None:
    found = coverage(case("late", "5m", "auto"))
    assert "short route 2: size(req.sources) > 1 is never true and never false" in missing(found.leaves)


def test_a_denied_case_covers_leaves_and_no_route() -> None:
    found = coverage(case("early", "5m", "deny"))
    assert found.routes.covered == 0
    assert 'short when: req.lookback <= duration("2h") is never true' in missing(found.leaves)


def test_a_guardrail_is_asked_where_the_scopes_overlap() -> None:
    deny = case("staging", "5m", "deny")
    scopes = TEST.replace("scopes:\n", "scopes:\n  staging: {source: staging-logs, all_streams: true, from: -1h}\n")
    files = {"a.yaml": f"{CATALOG}---\n{RAIL}".encode(), "a.test.yaml": (scopes + deny).encode()}
    bundle = load(files)
    assert isinstance(bundle, Bundle)
    found = covered(bundle, run_tests(bundle))
    assert missing(found.leaves) == ["guardrail staging-only: req.live is never true"]


def test_what_is_not_there_is_covered() -> None:
    found = covered(bundle_of(CATALOG, FLOOR), [])
    assert found.reaches(100)
    assert found.render() == "coverage: policies 0/0, routes 0/0, leaves 0/0"


def test_each_kind_has_to_reach_the_percentage() -> None:
    gap = Gap(At("a.yaml", 3, 1), "x is never offered")
    whole, half = Share(2, ()), Share(2, (gap,))
    assert Coverage(whole, whole, whole).reaches(100)
    assert Coverage(whole, half, whole).reaches(50)
    assert not Coverage(whole, whole, half).reaches(51)
    assert Coverage(half, whole, whole).render() == (
        "coverage: policies 1/2, routes 2/2, leaves 2/2\n  a.yaml:3:1: x is never offered"
    )
    assert Coverage(half, whole, whole).as_json()["policies"] == {
        "covered": 1, "total": 2, "missing": [{"file": "a.yaml", "line": 3, "column": 1, "what": "x is never offered"}]
    }  # fmt: skip


def test_leaves_are_what_and_or_and_not_are_made_of() -> None:
    text = (
        '!(req.live || req.duration < duration("1h")) && req.labels.env.all(x, x == "dev" || x == "prod") && !!req.live'
    )
    found = compiled(text, Readable(catalog=bundle_of(CATALOG).catalog).asked())
    assert [one.text for one in found.leaves] == [
        "req.live", 'req.duration < duration("1h")', 'req.labels.env.all(x, x == "dev" || x == "prod")', "req.live"
    ]  # fmt: skip
    assert [one.text for one in compiled("req.live", Readable(catalog=bundle_of(CATALOG).catalog).asked()).leaves] == [
        "req.live"
    ]


FACTS = """\
api: loglease/v1
kind: Facts
id: main
facts:
  ctx.net: {type: [corp, other], from: gateway}
  ctx.ticket: {type: record, optional: true, from: tracker, max_age: 60s, fields: {state: [open, closed]}}
  approver.age: {type: duration, from: identity}
risk:
  - {id: network, add: 50, if: ctx.net == "other"}
"""
LATER = (
    SHORT.replace("when:", "# when:")
    .replace(
        "grant: {",
        "ask: {ticket: {tracker: tickets, key: 'T-1', state: [open]}}\ngrant: {keep: {when: ctx.risk < 40}, ",
    )
    .replace("approve:", 'approver_when: approver.age < duration("1h")\napprove:')
)
EMERGENCY_WHEN = EMERGENCY.replace("grant: {duration", 'when: ctx.net != "other"\ngrant: {duration')


def later(*cases: str, then: str = "") -> list[str]:
    ask = "ask: {as: lee, scope: late, reason: r, ticket: T-1}"
    asks = "".join(
        f"  - {{it: x, {ask}, facts: {{{facts}}}, want: {{outcome: {outcome}}}{then if outcome == 'review' else ''}}}\n"
        for facts, _, outcome in (one.rpartition(" -> ") for one in cases)
    )
    found = coverage(asks, documents=(FACTS, LATER))
    return [one for one in missing(found.leaves) if " route " not in one]


OPEN, SHUT = "ctx.ticket: {state: open}", "ctx.ticket: {state: closed}"
APPROVED = "{do: approve, by: sam, want: approved}, {do: activate, want: active}"


def test_tickets_and_risk_count_too() -> None:
    asked = [f"ctx.net: corp, {OPEN} -> review", f"ctx.net: other, {SHUT} -> deny"]
    assert later(asked[0])[:3] == [
        'risk network: ctx.net == "other" is never true',
        "short ask.ticket.state: has(ctx.ticket) is never false",
        'short ask.ticket.state: ctx.ticket.state in ["open"] is never false',
    ]
    assert later(*asked)[0] == "short ask.ticket.state: has(ctx.ticket) is never false"


def test_what_is_asked_after_the_request_counts_where_a_case_goes_on_so_far() -> None:
    asked = f"ctx.net: corp, {OPEN}, approver.age: 5m -> review"
    keep, approver = "short keep.when: ctx.risk < 40", 'short approver_when: approver.age < duration("1h")'
    assert later(asked)[3:] == [f"{keep} is never true and never false", f"{approver} is never true and never false"]
    then = f", then: [{APPROVED}, {{do: read, want: served}}]"
    assert later(asked, then=then)[3:] == [f"{keep} is never false", f"{approver} is never false"]
    late = "{facts: {approver.age: 1h}, do: approve, by: sam, want: refused}, {facts: {approver.age: 5m}}"
    then = f", then: [{late}, {APPROVED}, {{do: read, want: served}}, {{facts: {{ctx.net: other}}, do: read, want: refused}}]"
    assert later(asked, then=then)[3:] == []


def test_asking_again_counts_like_asking() -> None:
    asked = f"ctx.net: corp, {OPEN} -> review"
    assert 'risk network: ctx.net == "other" is never true' in later(asked)
    again = later(asked, then=", then: [{facts: {ctx.net: other}, do: ask, want: review}]")
    assert 'risk network: ctx.net == "other" is never true' not in again


def test_what_an_older_bundle_decided_counts_nothing() -> None:
    files = {"a.yaml": f"{CATALOG}---\n{SHORT}".encode(), "a.test.yaml": (TEST + case("late", "5m", "auto")).encode()}
    bundle, older = load(files), bundle_of(CATALOG, SHORT.replace("10m", "20m"))
    assert isinstance(bundle, Bundle)
    assert covered(bundle, run_tests(bundle)).routes.covered == 1
    assert covered(bundle, run_tests(bundle, asked_under=older)).routes.covered == 0


def test_what_cannot_be_had_covers_nothing() -> None:
    assert 'risk network: ctx.net == "other" is never true and never false' in later(f"{OPEN} -> review")


def test_the_condition_of_an_emergency_counts() -> None:
    people = TEST.replace("facts", "").replace("cases:\n", "facts: {ctx.net: corp}\ncases:\n")
    ask = "ask: {as: lee, scope: late, for: 5m, reason: everything is on fire and nobody is there, break_glass: true}"
    scopes = people.replace("all_streams: true", "labels: {env: prod, data_class: internal}")
    case = f"  - {{it: x, {ask}, want: {{outcome: break_glass}}}}\n"
    files = {"a.yaml": f"{CATALOG}---\n{FACTS}---\n{EMERGENCY_WHEN}".encode(), "a.test.yaml": (scopes + case).encode()}
    bundle = load(files)
    assert isinstance(bundle, Bundle), "\n".join(one.render() for one in bundle)
    results = run_tests(bundle)
    assert [one.render() for one in results if not one.ok] == []
    found = covered(bundle, results)
    assert [one for one in missing(found.leaves) if one.startswith("prod")] == [
        'prod-emergency when: ctx.net != "other" is never false'
    ]


def test_a_gap_is_shown_where_the_leaf_stands() -> None:
    gaps = coverage(case("late", "5m", "auto"), documents=(SHORT,)).leaves.gaps
    line = f"{CATALOG}---\n{SHORT}".split("\n")[gaps[1].at.line - 1]
    assert gaps[1].what == 'short when: req.lookback <= duration("2h") is never false'
    assert line[gaps[1].at.column - 1 :].startswith("req.lookback <=")
    assert gaps[1].at.width == len('req.lookback <= duration("2h")')

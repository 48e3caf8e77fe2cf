"""What tests try of a bundle, and what they never do."""

from __future__ import annotations

from tests.policy.world import CATALOG, FLOOR, bundle_of

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
    return covered(bundle, [one.decision for one in results])


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
    found = covered(bundle, [one.decision for one in run_tests(bundle)])
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

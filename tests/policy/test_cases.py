"""Policy tests as documents: they pass, they fail with a reason, and wrong ones do not load."""

from __future__ import annotations

import pytest
from tests.policy.world import CATALOG, EXAMPLE_TEST, ORGANISATION, PROFILES, SRE

from loglease.policy import Bundle, CaseResult, Problem, Severity, load, run_tests
from loglease.policy.cases import failures, too_slow


def loaded(test: str) -> Bundle | list[Problem]:
    return load({"a.yaml": "---\n".join(ORGANISATION).encode(), "a.test.yaml": test.encode()})


def results_of(test: str) -> tuple[CaseResult, ...]:
    bundle = loaded(test)
    assert isinstance(bundle, Bundle), [one.render() for one in bundle]
    return run_tests(bundle)


def test_good_tests_pass() -> None:
    results = results_of(EXAMPLE_TEST)
    assert [one.render() for one in results] == [
        "ok     payments  waits for one review",
        "ok     payments  needs a ticket",
        "ok     payments  staging is open",
        "ok     payments  agents get nothing",
    ]


def test_tests_do_not_change_the_hash_and_silence_the_warning() -> None:
    with_tests = loaded(EXAMPLE_TEST)
    without = load({"a.yaml": "---\n".join(ORGANISATION).encode()})
    assert isinstance(with_tests, Bundle)
    assert isinstance(without, Bundle)
    assert with_tests.hash == without.hash
    assert len(with_tests.warnings) == len(without.warnings) - 1


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("duration: 2h, redaction", "duration: 1h, redaction", "want duration 1h, got 2h"),
        ("redaction: pii-default, stages", "redaction: strict, stages", "want redaction strict, got pii-default@1"),
        ("stages: 1}", "stages: 2}", "want 2 stages, got 1"),
        ("outcome: review", "outcome: auto", "want outcome auto, got review by Debug logs of payment services"),
        ("policy: payments-prod-debug", "policy: sre-prod", "want an offer of sre-prod, got payments-prod-debug"),
        ("for: 2h, ticket: PAY-7", "for: 2h", "want an offer of payments-prod-debug, got none"),
    ],
)
def test_failures_say_what_was_different(old: str, new: str, difference: str) -> None:
    assert old in EXAMPLE_TEST
    failed = [one for one in results_of(EXAMPLE_TEST.replace(old, new, 1)) if not one.ok]
    assert len(failed) == 1
    assert difference in failed[0].differences[0]
    assert failed[0].render().startswith("FAIL   payments  waits for one review\n       want ")
    assert "a.test.yaml:18:5" in failed[0].render()


def test_a_denial_is_explained() -> None:
    failed = results_of(EXAMPLE_TEST.replace("want: {outcome: deny}", "want: {outcome: review}", 1))[1]
    assert failed.differences == ("want outcome review, got deny: A ticket is missing.",)


def test_a_version_that_a_document_pins_is_there() -> None:
    pinned = [one.replace("redaction: pii-default\n", "redaction: pii-default@7\n") for one in ORGANISATION]
    test = EXAMPLE_TEST.replace("redaction: pii-default,", "redaction: pii-default@7,")
    bundle = load({"a.yaml": "---\n".join(pinned).encode(), "a.test.yaml": test.encode()})
    assert isinstance(bundle, Bundle)
    assert [one.differences for one in run_tests(bundle)] == [(), (), (), ()]


def test_a_servers_profiles_can_be_used() -> None:
    bundle = loaded(EXAMPLE_TEST.replace("redaction: pii-default,", "redaction: pii-default@7,"))
    assert isinstance(bundle, Bundle)
    assert all(one.ok for one in run_tests(bundle, PROFILES))
    assert not run_tests(bundle)[0].ok


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("as: maria", "as: mario", "P302"),
        ("scope: api,", "scope: web,", "P302"),
        ("policy: payments-prod-debug", "policy: payments", "P302"),
        ("outcome: review", "outcome: maybe", "P115"),
        ("outcome: review", "outcom: review", "P110"),
        ("stages: 1", "stages: x", "P114"),
        ("now: 2026-11-23T09:30:00Z\n", "", "P111"),
        ("now: 2026-11-23T09:30:00Z", "now: today", "P114"),
        ("now: 2026-11-23T09:30:00Z", "now: [1]", "P114"),
        ("from: -2h", "from: soon", "P114"),
        ("from: -2h", "from: -2h, to: -3h", "P100"),
        ("to: -1m", "to: -3h", "P114"),
        ("groups: [payments-leads]", "groups: [payment-leads]", "P302"),
        ("kind: agent", "kind: robot", "P115"),
        ("source: prod-logs", "source: prod", "P302"),
        ("    source: prod-logs\n", "", "P111"),
        ("contains: [order]", "all_streams: true", "P118"),
        ("redaction: pii-default", "redaction: none", "P302"),
        ("id: payments\n", "id: payments\nfacts: {ctx.on_call: true}\n", "P302"),
        ("id: payments\n", "id: payments\nnever: []\n", "P119"),
        ("- it: needs a ticket\n", "- it: needs a ticket\n    fault: [ctx.on_call]\n", "P302"),
        ("- it: needs a ticket\n", "- it: needs a ticket\n    absent: [ctx.ticket]\n", "P302"),
        ("    want: {outcome: deny}\n", "", "P111"),
    ],
)
def test_wrong_tests_do_not_load(old: str, new: str, code: str) -> None:
    assert old in EXAMPLE_TEST
    found = loaded(EXAMPLE_TEST.replace(old, new, 1))
    assert not isinstance(found, Bundle)
    assert code in [one.code for one in found if one.severity is Severity.ERROR]


def test_people_have_managers() -> None:
    managed = SRE.replace("group:sre-leads", "'relation:manager'")
    people = "people:\n  lee: {groups: [sre], manager: omar}\n  omar: {manager: lee}\n  zoe: {groups: [sre]}\n"
    test = EXAMPLE_TEST[: EXAMPLE_TEST.index("people:")] + people + EXAMPLE_TEST[EXAMPLE_TEST.index("scopes:") :]
    case = "  - {it: IT, ask: {as: WHO, scope: api, reason: trying}, want: {outcome: WANT}}\n"
    test = test[: test.index("cases:")].replace("level_from: debug\n", "level_from: info\n") + "cases:\n"
    test += case.replace("IT", "waits").replace("WHO", "lee").replace("WANT", "review")
    test += case.replace("IT", "asks nobody").replace("WHO", "zoe").replace("WANT", "deny")
    files = {"main.yaml": f"{CATALOG}---\n{managed}".encode(), "one.test.yaml": test.encode()}
    bundle = load(files)
    assert isinstance(bundle, Bundle), bundle
    assert [one.render() for one in run_tests(bundle, PROFILES) if not one.ok] == []
    wrong = load(files | {"one.test.yaml": test.replace("manager: omar", "manager: nobody").encode()})
    assert isinstance(wrong, list)
    assert "P302" in [one.code for one in wrong]


def test_a_live_scope_follows() -> None:
    bundle = loaded(EXAMPLE_TEST.replace("from: -2h\n", "from: -2h\n    live: true\n"))
    assert isinstance(bundle, Bundle)
    assert bundle.tests[0].scopes["api"].window.live
    assert run_tests(bundle)[0].ok


def test_a_catalog_alone_runs_no_tests() -> None:
    bundle = load({"a.yaml": CATALOG.encode()})
    assert isinstance(bundle, Bundle)
    assert run_tests(bundle) == ()


def test_failures_are_problems_where_the_case_stands() -> None:
    results = results_of(EXAMPLE_TEST.replace("stages: 1}", "stages: 2}", 1))
    [failure] = failures(results)
    assert (failure.code, str(failure.at)) == ("P512", "a.test.yaml:18:5")
    assert failure.message == "the test 'waits for one review' fails: want 2 stages, got 1"
    assert (
        too_slow(30).render()
        == "bundle:1:1: error[P513] the tests take more than 30 seconds\n  = help: have fewer of them"
    )

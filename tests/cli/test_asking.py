from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, problem
from tests.cli.resources import BOB, OFFER, OFFERS, REQUEST, SCOPE, grant_shown, request_shown

SELECTOR = '{service="pay-api"}'
EXPLAINED = {
    "outcome": "deny",
    "bundle": {"revision": 7, "hash": f"sha256:{'0123456789abcdef' * 4}"},
    "engine": 1,
    "asked": {"by": "alice", "scopes": [{"words": "x"}], "duration": "PT2H"},
    "offers": [],
    "guardrails": [],
    "policies": [
        {"id": "p", "offer": False, "steps": [{"step": "scope", "ok": False, "text": "outside\u202e", "fix": "narrow"}]}
    ],
    "narrow_to": [],
    "next": ["narrow"],
}
REVIEW = {"id": "rev_1", "reviewer": BOB, "verdict": "approve", "comment": "", "digest": "ab" * 32}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("POST", "/offers", OFFERS)
    server.on("GET", "/grants", {"items": []})
    server.on("GET", "/sources", {"items": [{"id": "files"}]})
    server.on("POST", "/requests", request_shown())


def test_an_offer_says_from_where_alone_it_could_be_used(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/offers", {**OFFERS, "offers": [{**OFFER, "network_bound": True, "network": "corp"}]})
    assert ", only from network corp" in cli("request", SELECTOR, "--reason", "checkout fails", "--dry-run").out


def test_an_offer_says_what_becomes_linkable(cli: Cli, server: FakeServer) -> None:
    draft = ("request", SELECTOR, "--reason", "checkout fails", "--dry-run")
    assert "Linkable" not in cli(*draft).out
    server.on("POST", "/offers", {**OFFERS, "offers": [{**OFFER, "pseudonyms": "team-day"}]})
    assert f"equal pseudonyms in all grants of {OFFER['policy']}" in " ".join(cli(*draft).out.split())


def test_an_offer_says_what_whoever_reads_waits_for(cli: Cli, server: FakeServer) -> None:
    draft = ("request", SELECTOR, "--reason", "checkout fails", "--dry-run")
    assert "Recorded" not in cli(*draft).out
    for audit, words in (("published", "before a signed head"), ("witnessed", "before witnesses have cosigned")):
        server.on("POST", "/offers", {**OFFERS, "offers": [{**OFFER, "audit": audit}]})
        assert f"Recorded nothing is shown {words}" in " ".join(cli(*draft).out.split())


def test_a_selector_is_enough(cli: Cli, server: FakeServer) -> None:
    assert cli("request", SELECTOR, "--reason", "checkout fails", "--wait", "0").code == 10
    (call,) = server.sent("POST", "/requests")
    assert call.body == {
        "scopes": [
            {
                "source": "files",
                "selector": SELECTOR,
                "all_streams": False,
                "window": {"lookback_s": 3_600, "live": True},
                "contains": [],
            }
        ],
        "reason": "checkout fails",
    }


def test_each_flag_narrows_what_it_names(cli: Cli, server: FakeServer) -> None:
    words = ["--source", "loki", "--from", "2026-11-23T09:00:00Z", "--to", "2026-11-23T10:00:00Z", "--level", "warn"]
    words += ["--contains", "timeout", "--contains", "500", "--profile", "strict", "--for", "10m", "--ticket", "PAY-1"]
    words += ["--limit-lines", "100", "--limit-bytes", "1MiB", "--reason", "why", "--wait", "0", "--offer", "1"]
    cli("request", SELECTOR, *words)
    body = server.sent("POST", "/requests")[0].body
    scope = body["scopes"][0]
    assert scope["window"] == {"live": False, "from_ns": "1795424400000000000", "to_ns": "1795428000000000000"}
    assert (scope["level_from"], scope["contains"], scope["profile"]) == ("warn", ["timeout", "500"], "strict")
    assert (body["duration_s"], body["ticket"], body["offer"]) == (600, "PAY-1", 1)
    assert body["limits"] == {"lines": 100, "bytes": 1 << 20}


def test_a_window_is_counted_back_by_the_server_and_live_only_if_said(cli: Cli, server: FakeServer) -> None:
    cli("request", SELECTOR, "--window", "2h", "--wait", "0")
    cli("request", SELECTOR, "--window", "2h", "--live", "--wait", "0")
    windows = [call.body["scopes"][0]["window"] for call in server.sent("POST", "/requests")]
    assert windows == [{"live": False, "lookback_s": 7_200}, {"live": True, "lookback_s": 7_200}]


def test_all_streams_is_said_in_so_many_words(cli: Cli, server: FakeServer) -> None:
    cli("request", "--all-streams", "--wait", "0")
    scope = server.sent("POST", "/requests")[0].body["scopes"][0]
    assert (scope["selector"], scope["all_streams"]) == ("{}", True)


def test_like_starts_from_an_earlier_request(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown(ticket="PAY-1"))
    cli("request", "--like", REQUEST, "--level", "error", "--wait", "0")
    body = server.sent("POST", "/requests")[0].body
    assert (body["reason"], body["ticket"], body["duration_s"]) == ("checkout fails", "PAY-1", 1_800)
    assert body["scopes"][0]["window"] == {"lookback_s": 3_600, "live": True}
    assert body["scopes"][0]["level_from"] == "error"


def test_a_dry_run_asks_nobody(cli: Cli, server: FakeServer) -> None:
    found = cli("request", SELECTOR, "--dry-run")
    assert found.code == 0
    assert "1 approval of leads, answer within 30m   <- taken" in found.out
    assert not server.sent("POST", "/requests")
    server.on("POST", "/offers", {"offers": [], "explanation": ["No policy is for you."], "words": "x"})
    server.on("POST", "/policies/explain", EXPLAINED)
    refused = cli("request", SELECTOR, "--dry-run")
    assert (refused.code, refused.err) == (6, "")
    assert refused.out.startswith("DENIED  bundle 7 sha256:0123456789ab…  engine 1\n asked       alice: x, for 2h\n")
    assert "   no  scope   outside\\u202e  -> ask for less\n" in refused.out
    assert refused.out.endswith(" next        narrow\n")
    assert server.sent("POST", "/policies/explain")[0].body == server.sent("POST", "/offers")[-1].body
    assert json.loads(cli("request", SELECTOR, "--dry-run", "--output", "json").out)["offers"] == []


def test_what_a_grant_covers_already_is_not_asked_for_again(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown()]})
    found = cli("request", SELECTOR, "--reason", "again")
    assert found.code == 0
    assert "Nobody was asked." in found.out
    assert not server.sent("POST", "/requests")
    assert cli("request", SELECTOR, "--new", "--wait", "0").code == 10
    server.on("POST", "/offers", {"offers": [], "explanation": ["A reason is missing."], "words": "x"})
    assert "Nobody was asked." in cli("request", SELECTOR, "--from", "2026-11-23T09:50:00Z", "--live").out


@pytest.mark.parametrize(
    "held",
    [
        {"state": "suspended"},
        {"scopes": [{**SCOPE, "selector": '{service="pay-api",env="prod"}'}]},
        {"scopes": [{**SCOPE, "level_from": "error"}]},
        {"scopes": [{**SCOPE, "profile": "strict@1"}]},
        {"scopes": [{**SCOPE, "window": {**SCOPE["window"], "live": False, "to_ns": "1795426900000000000"}}]},
    ],
)
def test_a_grant_that_allows_less_covers_nothing(cli: Cli, server: FakeServer, held: dict[str, object]) -> None:
    server.on("GET", "/grants", {"items": [grant_shown(**held)]})
    assert cli("request", SELECTOR, "--wait", "0").code == 10


def test_waiting_ends_with_the_approval_and_says_what_to_do(
    cli: Cli, server: FakeServer, no_sleep: Callable[[], float]
) -> None:
    approved = request_shown(state="approved", grant=grant_shown()["id"], decided_by=BOB, reviews=[REVIEW])
    server.on("GET", f"/requests/{REQUEST}", request_shown(), request_shown(), approved)
    server.on("GET", f"/grants/{grant_shown()['id']}", grant_shown(state="scheduled"))
    found = cli("request", SELECTOR)
    assert found.code == 0
    assert "Approved   by bob@example.com\n" in found.out
    assert f"loglease logs --grant {grant_shown()['id']}" in found.out
    assert "0 of 1 approvals" in found.err
    assert found.err.count("\n") == 1, "a plain line at most every ten seconds"
    assert no_sleep() > 0


@pytest.mark.parametrize(("state", "word"), [("denied", "Denied"), ("expired", "Expired"), ("cancelled", "Cancelled")])
def test_no_is_an_answer_with_its_own_exit_code(
    cli: Cli, server: FakeServer, no_sleep: Callable[[], float], state: str, word: str
) -> None:
    denial = {**REVIEW, "verdict": "deny", "comment": "use staging"}
    reviews = [denial] if state == "denied" else []
    server.on("GET", f"/requests/{REQUEST}", request_shown(state=state, reviews=reviews))
    found = cli("request", SELECTOR)
    assert found.code == 1
    assert word in found.out
    assert ("use staging" in found.out) is (state == "denied")


def test_ctrl_c_leaves_the_request_pending(cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("loglease.cli.waiting.time.sleep", interrupted)
    found = cli("request", SELECTOR)
    assert found.code == 130
    assert f"{REQUEST} stays pending. Withdraw it: loglease cancel {REQUEST}" in found.err
    assert not server.sent("POST", f"/requests/{REQUEST}/cancel")


def test_a_server_that_restarts_meanwhile_does_not_end_the_wait(
    cli: Cli, server: FakeServer, no_sleep: Callable[[], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = problem(503, "draining", "The server is stopping.")
    server.on("GET", f"/requests/{REQUEST}", request_shown(), away, away, request_shown(state="cancelled"))
    assert cli("request", SELECTOR).code == 1
    assert no_sleep() > 0
    monkeypatch.setattr("loglease.cli.waiting.AWAY_S", -1)
    server.on("GET", f"/requests/{REQUEST}", away)
    found = cli("request", SELECTOR)
    assert found.code == 2
    assert f"{REQUEST} stays pending." in found.err


def test_after_the_wait_it_is_still_pending(cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown())
    found = cli("request", SELECTOR, "--wait", "1s", "--output", "json")
    assert (found.code, json.loads(found.out)["state"]) == (10, "pending")


def test_an_automatic_grant_needs_no_waiting(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/offers", {**OFFERS, "offers": [{**OFFER, "outcome": "auto", "plans": [], "need": 0}]})
    server.on("POST", "/requests", request_shown(state="approved", grant=grant_shown()["id"], eligible=[]))
    server.on("GET", f"/grants/{grant_shown()['id']}", grant_shown())
    found = cli("request", SELECTOR)
    assert found.code == 0
    assert "Approved   by policy" in found.out
    assert "no approval" in found.out


def test_a_refusal_shows_its_three_parts(cli: Cli, server: FakeServer) -> None:
    steps = [{"text": "loglease admin user add bob@example.com"}]
    server.on("POST", "/requests", problem(422, "no_eligible_approver", "Nobody but you.", rule="default", next=steps))
    found = cli("request", SELECTOR)
    assert found.code == 6
    assert found.err == (
        "error: Nobody but you. [no_eligible_approver]\nrule: default\n"
        "next: loglease admin user add bob@example.com\ntrace: 4bf9\n"
    )


def test_cancel_withdraws(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/requests", {"items": [request_shown()]})
    server.on("POST", f"/requests/{REQUEST}/cancel", request_shown(state="cancelled"))
    assert cli("cancel", "@last").out == f"{REQUEST} is cancelled.\n"
    assert server.sent("GET", "/requests")[0].query["mine"] == "true"


NEEDS_REASON = {"offers": [], "explanation": ["The reason has 0 characters."], "code": "reason_required", "words": "x"}
NEEDS_TICKET = {"offers": [], "explanation": ["A ticket is missing."], "code": "ticket_required", "words": "x"}


def test_a_terminal_is_asked_for_what_is_missing_and_sees_the_offer_before_it_is_sent(
    cli: Cli, server: FakeServer
) -> None:
    too_short = {**NEEDS_REASON, "explanation": ["The reason has 3 characters; the policy asks for 10 or more."]}
    server.on("POST", "/offers", NEEDS_REASON, too_short, NEEDS_TICKET, OFFERS)
    found = cli("request", SELECTOR, "--wait", "0", terminal=True, stdin="why\ncheckout fails\nPAY-1\ny\n")
    assert found.code == 10
    (call,) = server.sent("POST", "/requests")
    assert (call.body["reason"], call.body["ticket"]) == ("checkout fails", "PAY-1")
    assert found.err.count("Why, for the people who decide: ") == 2
    assert "asks for 10 or more" in found.err
    assert found.err.index("Ticket: ") < found.err.index("Send this request? [y/N] ")
    assert "Offer 1" in found.out


@pytest.mark.parametrize(("answers", "code"), [("checkout fails\nn\n", 1), ("\n", 2), ("", 2)])
def test_nothing_is_sent_without_an_answer_and_a_yes(cli: Cli, server: FakeServer, answers: str, code: int) -> None:
    server.on("POST", "/offers", NEEDS_REASON, OFFERS)
    found = cli("request", SELECTOR, terminal=True, stdin=answers)
    assert found.code == code
    assert not server.sent("POST", "/requests")


def test_streams_and_source_are_asked_for_too(cli: Cli, server: FakeServer) -> None:
    sources = [{"id": "files", "labels": ["service"]}, {"id": "loki", "labels": []}]
    server.on("GET", "/sources", {"items": sources})
    found = cli("request", "--reason", "why", "--wait", "0", terminal=True, stdin=f"{SELECTOR}\nloki\ny\n")
    assert found.code == 10
    assert "files: labels service\n" in found.err
    scope = server.sent("POST", "/requests")[0].body["scopes"][0]
    assert (scope["selector"], scope["source"]) == (SELECTOR, "loki")


@pytest.mark.parametrize("how", [{}, {"terminal": True, "LOGLEASE_NO_INPUT": "1"}])
def test_nobody_is_asked_where_nobody_answers(cli: Cli, server: FakeServer, how: dict[str, Any]) -> None:
    server.on("POST", "/offers", NEEDS_REASON)
    server.on("POST", "/requests", problem(422, "reason_required", "The reason has 0 characters."))
    found = cli("request", SELECTOR, **how)
    assert (found.code, "The reason has 0 characters. [reason_required]" in found.err) == (6, True)
    assert "Why" not in found.err
    assert cli("request", **how).code == 2


def test_all_that_is_said_is_sent_without_a_question(cli: Cli, server: FakeServer) -> None:
    found = cli("request", SELECTOR, "--reason", "checkout fails", "--wait", "0", terminal=True)
    assert (found.code, "[y/N]" in found.err) == (10, False)

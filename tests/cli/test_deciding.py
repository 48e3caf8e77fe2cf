from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, problem
from tests.cli.resources import ALICE, BOB, GRANT, REQUEST, WORDS, request_shown, terms

DIGEST = terms()["digest"]
REVIEWS = f"/requests/{REQUEST}/reviews"
GIVEN = {"id": "rev_1", "request": REQUEST, "reviewer": BOB, "verdict": "approve", "digest": DIGEST, "comment": ""}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("GET", f"/requests/{REQUEST}", request_shown())
    server.on("GET", "/requests", {"items": [request_shown()]})
    server.on("GET", f"/requests/{REQUEST}/terms", terms())
    approved = request_shown(state="approved", approvals=1)
    server.on("POST", REVIEWS, {"review": GIVEN, "request": approved, "grant": GRANT})


def test_what_is_decided_is_shown_in_order_and_its_digest_sent(cli: Cli, server: FakeServer) -> None:
    found = cli("approve", "@last", "--comment", "fine", stdin="y\n", terminal=True)
    assert found.code == 0
    order = ["Who", "Would get", "Reason", "Risks", "Policy", "Needs", "May decide", "Digest", "Approved", "Grant"]
    places = [found.out.index(name) for name in order]
    assert places == sorted(places)
    assert "Alice <alice@example.com>, human" in found.out
    assert "warn and above of service pay-api" in found.out, "from the digested bytes, not from the summary"
    (call,) = server.sent("POST", REVIEWS)
    assert call.headers["if-match"] == f'"{DIGEST}"'
    assert call.body == {"verdict": "approve", "comment": "fine"}
    assert call.headers["idempotency-key"]
    assert server.sent("GET", "/requests")[0].query["needs"] == "my-review"


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "maybe\n"])
def test_anything_but_yes_decides_nothing(cli: Cli, server: FakeServer, answer: str) -> None:
    found = cli("approve", REQUEST, stdin=answer, terminal=True)
    assert (found.code, server.sent("POST", REVIEWS)) == (1, [])
    assert found.err.endswith("Nothing was decided.\n")


def test_without_a_terminal_nobody_is_asked(cli: Cli, server: FakeServer) -> None:
    for words in (["approve", REQUEST], ["approve", REQUEST, "--no-input"]):
        found = cli(*words, stdin="y\n")
        assert (found.code, server.sent("POST", REVIEWS)) == (2, [])
        assert found.err == (
            "error: Approve exactly this? There is no terminal to ask on. [input_needed]\n"
            "next: Repeat the command with --yes.\n"
        )


def test_no_input_asks_not_even_on_a_terminal(cli: Cli, server: FakeServer) -> None:
    assert cli("approve", REQUEST, stdin="y\n", terminal=True, LOGLEASE_NO_INPUT="1").code == 2
    assert not server.sent("POST", REVIEWS)


def test_forged_terms_are_neither_shown_nor_decided(cli: Cli, server: FakeServer) -> None:
    answer = terms()
    answer["terms"] = answer["terms"].replace("pay-api", "pay-all")
    server.on("GET", f"/requests/{REQUEST}/terms", answer)
    found = cli("approve", REQUEST, "--yes")
    assert (found.code, found.out, server.sent("POST", REVIEWS)) == (1, "", [])
    assert "[terms_forged]\nnext: Decide nothing. Tell the operators.\n" in found.err


def test_terms_of_another_request_are_not_decided(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/requests/{REQUEST}/terms", terms(request="req_01AAAAAAAAAAAAAAAAAAAAAAAA"))
    assert cli("approve", REQUEST, "--yes").code == 8
    assert not server.sent("POST", REVIEWS)


def test_an_expected_digest_is_compared_here(cli: Cli, server: FakeServer) -> None:
    found = cli("approve", REQUEST, "--yes", "--digest", "00" * 32)
    assert (found.code, server.sent("POST", REVIEWS)) == (8, [])
    assert f"The request has the digest {DIGEST}, not the one you expect. [digest_mismatch]" in found.err
    assert cli("approve", REQUEST, "--yes", "--digest", f"{DIGEST[:8]} {DIGEST[8:]}".upper()).code == 0


def test_a_narrowing_is_sent_and_its_result_shown(cli: Cli, server: FakeServer) -> None:
    narrowed = {**GIVEN, "narrowed": [{}], "words": "error and above"}
    server.on("POST", REVIEWS, {"review": narrowed, "request": request_shown(state="approved"), "grant": GRANT})
    found = cli("approve", REQUEST, "--yes", "--narrow", "level=error live=no", "--for", "10m")
    assert server.sent("POST", REVIEWS)[0].body["narrow"] == {
        "level_from": "error",
        "window": {"live": False, "from_ns": "1795426800000000000"},
        "duration_s": 600,
    }
    assert "Narrowed   error and above" in found.out


def test_a_late_decision_says_who_decided_when(cli: Cli, server: FakeServer) -> None:
    decided = request_shown(state="denied", decided_by=BOB, decided_at="2026-11-23T09:50:00.000000Z")
    server.on("GET", f"/requests/{REQUEST}", decided)
    found = cli("approve", REQUEST, "--yes")
    assert (found.code, server.sent("POST", REVIEWS)) == (8, [])
    assert f"{REQUEST} is already denied by bob@example.com at 2026-11-23 09:50:00 UTC." in found.err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (403, "self_review", 6),
        (403, "reviewer_not_eligible", 6),
        (409, "request_not_pending", 8),
        (412, "digest_mismatch", 8),
        (422, "narrowing_not_subset", 6),
        (401, "step_up_required", 11),
        (503, "audit_unavailable", 2),
    ],
)
def test_what_the_server_refuses_ends_with_its_exit_code(
    cli: Cli, server: FakeServer, status: int, code: str, exit_code: int
) -> None:
    server.on("POST", REVIEWS, problem(status, code, "No."))
    assert cli("approve", REQUEST, "--yes").code == exit_code


def test_a_denial_needs_a_comment(cli: Cli, server: FakeServer) -> None:
    found = cli("deny", REQUEST, "--yes")
    assert (found.code, found.err) == (2, "error: --comment is missing. [input_needed]\nnext: Give --comment.\n")
    server.on("POST", REVIEWS, {"review": {**GIVEN, "verdict": "deny"}, "request": request_shown(state="denied")})
    assert cli("deny", REQUEST, stdin="too wide\ny\n", terminal=True).code == 0
    assert server.sent("POST", REVIEWS)[0].body == {"verdict": "deny", "comment": "too wide"}


def test_json_holds_the_answer_alone(cli: Cli) -> None:
    found = cli("approve", REQUEST, "--yes", "--output", "json")
    assert json.loads(found.out)["grant"] == GRANT
    assert found.err == ""


def test_a_program_that_asks_is_a_risk_and_foreign_text_is_inert(cli: Cli, server: FakeServer) -> None:
    agent = {**ALICE, "kind": "agent", "name": "bot\x1b]0;x\x07"}
    server.on("GET", f"/requests/{REQUEST}", request_shown(requester=agent, words=WORDS))
    server.on("GET", f"/requests/{REQUEST}/terms", terms("please\x1b[31m [bold]click[/bold]\u202e"))
    found = cli("approve", REQUEST, "--yes")
    assert "Asked by a program: alice@example.com is an account of kind agent." in found.out
    assert "please\\x1b[31m [bold]click[/bold]\\u202e" in found.out
    assert "\x1b" not in found.out


def test_what_a_newer_policy_demands_is_said_before_deciding(cli: Cli, server: FakeServer) -> None:
    leads = {"joint": "all_of", "blocks": [{"approvers": ["group:leads"], "need": 2}]}
    more = request_shown(need=2, plans=[*request_shown()["plans"], {"origin": "privacy", "stages": [leads]}])
    server.on("GET", f"/requests/{REQUEST}", more)
    server.on("GET", f"/requests/{REQUEST}/timeline", {"items": []})
    for words in (["approve", REQUEST, "--yes"], ["requests", REQUEST]):
        found = cli(*words)
        assert "0 of 2" in found.out
        assert "2 approvals of leads" in found.out

"""One masked value on the command line: asking for it with a line as it was printed, and seeing it once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, problem
from tests.cli.resources import GRANT, OFFERS, REQUEST, grant_shown, request_shown, terms

from loglease.cli.errors import TermsForged
from loglease.cli.terms import checked_terms
from loglease.model.digest import commitment, sha256_hex

TOKEN = "⟦email:q3f7k2p9xa⟧"
RECORD = {
    "type": "line",
    "ts": "1795424400000000000",
    "time": "2026-11-23T09:00:00.000000000Z",
    "labels": {"service": "pay-api"},
    "metadata": {"detected_level": "info"},
    "line": f"login of {TOKEN}",
}
REVEAL = {"grant": GRANT, "token": TOKEN, "class": "pii.email"}
SENT = {"ts": RECORD["ts"], "labels": RECORD["labels"], "line": RECORD["line"]}


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("POST", "/offers", OFFERS)
    server.on("POST", "/requests", request_shown(reveal=REVEAL))


def ask(cli: Cli, *more: str, **given: Any) -> Any:
    return cli("request", "--reveal", f"{GRANT}:{TOKEN}", "--reason", "whose login", "--wait", "0", *more, **given)


@pytest.mark.parametrize("from_stdin", [False, True])
def test_a_line_as_it_was_printed_is_enough(cli: Cli, server: FakeServer, *, from_stdin: bool) -> None:
    text = json.dumps(RECORD)
    found = ask(cli, "--line", "-", stdin=text + "\n") if from_stdin else ask(cli, "--line", text)
    assert found.code == 10
    (call,) = server.sent("POST", "/requests")
    assert call.body == {"reveal": {"grant": GRANT, "token": TOKEN, "line": SENT}, "reason": "whose login"}
    assert "idempotency-key" in call.headers


def test_span_class_and_ticket_are_passed_on(cli: Cli, server: FakeServer) -> None:
    ask(cli, "--line", json.dumps(RECORD), "--span", "2", "--class", "pii.email", "--ticket", "PAY-7")
    body = server.sent("POST", "/requests")[0].body
    assert (body["reveal"]["span"], body["reveal"]["class"], body["ticket"]) == (2, "pii.email", "PAY-7")


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ([], ""),
        (["--line", "not json"], ""),
        (["--line", '{"ts":"1"}'], ""),
        (["--line", "[]"], ""),
        (["--line", "-"], ""),
        (["--line", "-"], "{}\n{}\n"),
        (["--line", json.dumps(RECORD), "--window", "2h"], ""),
        (["--line", json.dumps(RECORD), "--live"], ""),
    ],
)
def test_what_names_no_line_or_more_than_one_is_not_sent(
    cli: Cli, server: FakeServer, words: list[str], stdin: str
) -> None:
    assert ask(cli, *words, stdin=stdin).code == 2
    assert not server.sent("POST", "/requests")


def test_a_reveal_without_a_token_says_how_it_is_written(cli: Cli) -> None:
    found = cli("request", "--reveal", GRANT, "--line", json.dumps(RECORD))
    assert (found.code, "TOKEN" in found.err) == (2, True)


def test_use_prints_the_value_alone_and_asks_for_it_once(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown(state="scheduled", reveal=REVEAL))
    server.on("POST", f"/g/{GRANT}/reveal", {"value": "bob@a.example"}, problem(403, "grant_ended", "It is used."))
    found = cli("use", GRANT)
    assert (found.code, found.out) == (0, "bob@a.example\n")
    assert len(server.sent("POST", f"/g/{GRANT}/reveal")) == 1
    assert not server.sent("POST", f"/grants/{GRANT}/activate")
    assert cli("use", GRANT).code == 9


def test_use_prints_json_and_no_control_characters(cli: Cli, server: FakeServer) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown(reveal=REVEAL))
    server.on("POST", f"/g/{GRANT}/reveal", {"value": "a\u001b[2J"})
    assert "\x1b" not in cli("use", GRANT).out
    assert json.loads(cli("use", GRANT, "--output", "json").out) == {"value": "a\u001b[2J"}


def test_a_grant_to_reveal_is_none_to_read_with(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown(state="scheduled", reveal=REVEAL)]})
    assert cli("logs").code == 7


@pytest.mark.parametrize(
    ("status", "code", "exit_code"), [(409, "line_not_available", 8), (401, "step_up_required", 11)]
)
def test_what_the_gateway_refuses_has_its_exit_code(
    cli: Cli, server: FakeServer, status: int, code: str, exit_code: int
) -> None:
    server.on("GET", f"/grants/{GRANT}", grant_shown(reveal=REVEAL))
    server.on("POST", f"/g/{GRANT}/reveal", problem(status, code, "No."))
    assert cli("use", GRANT).code == exit_code


def revealing(**line: Any) -> dict[str, Any]:
    """Return the answer of /terms of a reveal."""
    whole = terms()
    body = json.loads(whole["terms"])
    reference = {
        "source": "files",
        "labels": [["service", "pay-api"]],
        "event_ns": RECORD["ts"],
        "line_sha256": "ab" * 32,
        "span": 1,
        "token": TOKEN,
    }
    clear = json.dumps(reference | line)
    sealed = commitment(bytes.fromhex("44" * 16), clear.encode())
    reveal = {"grant": GRANT, "class": "pii.email", "pseudonym": TOKEN, "line_c": sealed}
    for part in ("offer", "wish"):
        body[part]["reveal"] = reveal
    text = json.dumps(body)
    private = {**whole["private"], "line_c": ["44" * 16, clear]}
    return {**whole, "terms": text, "digest": sha256_hex(text.encode()), "private": private}


def test_whoever_decides_reads_from_the_digested_bytes_which_value_it_is() -> None:
    shown = checked_terms(revealing())
    assert shown.request == REQUEST
    assert shown.words == shown.asked
    assert shown.words == (
        f"ONE VALUE of class pii.email, once: what stands behind {TOKEN}, token 1 of the line of 2026-11-23 "
        f"09:00:00.000000000 UTC of service pay-api from files, as it was served under {GRANT}"
    )
    assert shown.risks()[0] == "One masked value is shown as it was logged."


def test_a_line_that_is_not_the_digested_one_is_not_shown() -> None:
    for forge in ("pseudonym", "clear", "hidden", "one-sided"):
        answer = revealing()
        body = json.loads(answer["terms"])
        if forge == "pseudonym":
            answer = revealing(token="⟦email:aaaaaaaaaa⟧")
        elif forge == "clear":
            answer["private"]["line_c"][1] = answer["private"]["line_c"][1].replace("pay-api", "cart")
        elif forge == "hidden":
            del answer["private"]["line_c"]
        else:
            del body["offer"]["reveal"]
            text = json.dumps(body)
            answer |= {"terms": text, "digest": sha256_hex(text.encode())}
        with pytest.raises(TermsForged):
            checked_terms(answer)

"""`loglease audit who-saw`: what is sent, what is shown, and that the value is nowhere but in the body."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import Call, FakeServer

PATH = "/audit/who-saw"
GRANT = "grt_01JD8R0000000000000000000A"
OTHER = "grt_01JD8R0000000000000000000B"
EMAIL = "jane.doe@example.com"
NOON = 1_763_805_600_000_000_000


def person(account: str) -> dict[str, str]:
    return {"principal": "prn_01JD8R0000000000000000000A", "subject": "sub_a", "account": account}


def grant(grant_id: str, account: str, *found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "grant": grant_id,
        "request": "req_01JD8R0000000000000000000A",
        "principal": person(account),
        "profiles": ["pii-default@1"],
        "policy": "ordinary",
        "basis": "review",
        "approvers": [person("ivo"), person("chen")],
        "found": list(found),
        **more,
    }


def found(how: str, *indices: int, lines: int = 41, why: str | None = None, **more: Any) -> dict[str, Any]:
    shown = {
        "how": how,
        "sessions": ["ses_01JD8R0000000000000000000A"],
        "records": len(indices),
        "lines": lines,
        "first_ns": str(NOON),
        "last_ns": str(NOON + 449_000_000_000),
        "indices": list(indices),
        **more,
    }
    return shown if why is None else {**shown, "why": why}


def answer(*grants: dict[str, Any], unsearchable: Any = (), **more: Any) -> dict[str, Any]:
    shown = {
        "question": {},
        "first_index": 0,
        "size": 100_000,
        "min_index": 0,
        "grants": list(grants),
        "unsearchable": list(unsearchable),
        "not_indexed": "What no rule masked is not indexed.",
        **more,
    }
    return {"answer": shown, "sha256": "0" * 64, "entry": "ent_01JD8R0000000000000000000A"}


def test_the_value_travels_in_the_body_alone_and_the_answer_is_a_table(cli: Cli, server: FakeServer) -> None:
    server.on(
        "POST",
        PATH,
        answer(
            grant(GRANT, "maria", found("served", 88213, 88219, 88230)),
            grant(OTHER, "ci-agent", found("possible", 90412, lines=256, why="crash"), approvers=[], basis="auto"),
            unsearchable=[{"why": "profile_raw", "profile": "raw@1", "grants": [GRANT, OTHER]}],
        ),
    )
    shown = cli(
        "audit", "who-saw", "--selector", '{app="pay"}', "--since", "2025-11-22T00:00:00Z", "--class", "email",
        "--value-stdin", stdin=f"{EMAIL}\n",
    )  # fmt: skip
    assert shown.code == 0, shown.err
    (call,) = server.sent("POST", PATH)
    assert call.body == {
        "selector": '{app="pay"}',
        "since_ns": "1763769600000000000",
        "value": {"class": "email", "text": EMAIL},
        "first_index": 0,
        "limit": 1_000,
    }
    assert EMAIL not in call.path + str(call.query) + str(call.headers)
    assert EMAIL not in shown.out + shown.err
    head, first, second, third = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert head == "GRANT WHO HOW BATCHES LINES EVENTS PROFILE APPROVED BY ENTRIES"
    assert first == (
        f"{GRANT} maria served 3 batches 41 lines 2025-11-22 10:00:00–10:07:29 pii-default@1 ivo, chen"
        " #88213 #88219 #88230"
    )
    assert second == (
        f"{OTHER} ci-agent possible: session ended by a crash 1 batch ≤256 lines 2025-11-22 10:00:00–10:07:29"
        " pii-default@1 auto #90412"
    )
    assert third == "unsearchable: 2 grants with profile raw@1"
    assert "What no rule masked is not indexed." in shown.err
    assert "recorded as ent_01JD8R0000000000000000000A" in shown.err


def test_all_asks_until_there_is_no_more_and_adds_up(cli: Cli, server: FakeServer) -> None:
    server.on(
        "POST",
        PATH,
        answer(grant(GRANT, "maria", found("served", *range(4))), next_index=7),
        answer(grant(GRANT, "maria", found("served", *range(7, 10), lines=1, last_ns=str(NOON)))),
    )
    shown = cli("audit", "who-saw", "--selector", '{app="pay"}', "--all", "--certain")
    assert [call.body["first_index"] for call in server.sent("POST", PATH)] == [0, 7]
    assert server.calls[-1].body["hows"] == ["served", "revealed"]
    row = " ".join(shown.out.splitlines()[1].split())
    assert "7 batches 42 lines" in row
    assert row.endswith("#0 #1 #2 #3 #7 and 2 more")


def test_one_question_says_that_there_may_be_more(cli: Cli, server: FakeServer) -> None:
    server.on("POST", PATH, answer(next_index=7, min_index=256))
    shown = cli("audit", "who-saw", "--until", "2h", "--limit", "5")
    assert shown.out == ""
    assert "Nobody, as far as the records" in shown.err
    assert "from entry #7 on: add --all" in shown.err
    assert "below #256 were pruned" in shown.err
    assert server.calls[-1].body["limit"] == 5


def test_json_has_each_answer_with_its_digest(cli: Cli, server: FakeServer) -> None:
    parts = [answer(grant(GRANT, "maria", found("derived", 3, why="samples")), next_index=7), answer()]
    server.on("POST", PATH, *parts)
    shown = cli("audit", "who-saw", "--pseudonym", "email:aaaaaaaaaa", "--grant", GRANT, "--all", "--output", "json")
    assert json.loads(shown.out) == {"answers": parts}
    assert server.calls[-1].body["pseudonym"] == {"grant": GRANT, "pseudonym": "email:aaaaaaaaaa"}


def test_a_value_is_asked_for_where_there_is_a_terminal(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: EMAIL)
    seen: list[Call] = []

    def reply(call: Call) -> dict[str, Any]:
        seen.append(call)
        return answer(grant(GRANT, "maria", found("revealed", 3, first_ns=str(NOON), last_ns=str(NOON))))

    server.on("POST", PATH, reply)
    assert cli("audit", "who-saw", "--class", "email", terminal=True).code == 0
    assert seen[0].body["value"]["text"] == EMAIL


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        ((), "", "Who saw what?"),
        (("--class", "email"), "", "--value-stdin"),
        (("--class", "email", "--value-stdin"), "", "holds no value"),
        (("--value-stdin",), EMAIL, "Of which class"),
        (("--pseudonym", "email:aaaaaaaaaa"), "", "without its grant"),
        (("--grant", GRANT), "", "without its grant"),
        (("--class", "email", "--pseudonym", "x", "--grant", GRANT), "", "two questions"),
        (("--since", "yesterday"), "", "neither a time"),
    ],
)
def test_what_is_no_question_is_not_sent(
    cli: Cli, server: FakeServer, words: tuple[str, ...], stdin: str, said: str
) -> None:
    shown = cli("audit", "who-saw", *words, stdin=stdin)
    assert shown.code == 2
    assert said in shown.err
    assert EMAIL not in shown.err
    assert server.sent("POST", PATH) == []

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Cli
from tests.cli.fake_server import Call, FakeServer, Reply, problem
from tests.cli.resources import (
    BOB,
    GRANT,
    REQUEST,
    SESSION,
    grant_shown,
    line,
    ndjson,
    revoked_grant,
    session_shown,
    sse,
    usage,
)

from loglease.cli.commands.reading import whole_query
from loglease.cli.endings import CUT, ENDINGS, FINE, LOST, ending_of
from loglease.cli.lines import Tally, line_text
from loglease.model.session import CloseWhy
from loglease.model.unsafe_text import is_unsafe

HELD = {"kind": "suspension", "cause": "person", "reason": "look", "by": BOB, "since": "2026-11-23T10:00:00.000000Z"}
LOCKED = {"kind": "lock", "cause": "person", "reason": "left", "since": "2026-11-23T10:00:00.000000Z"}
LOGS = f"/g/{GRANT}/logs"
MASKED = "timeout user=⟦email:q3f7k2p9xa⟧ card ⟦card …1111⟧ to ⟦email⟧"


def end(reason: str, lines: int = 1) -> dict[str, Any]:
    return {"type": "end", "reason": reason, "lines": lines}


def answer(*records: dict[str, Any]) -> Reply:
    return Reply(ndjson(*records), media_type="application/x-ndjson")


def tail(*pieces: bytes, reset: bool = False) -> Reply:
    return Reply(pieces=lambda: iter(pieces), reset=reset, media_type="text/event-stream")


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": [grant_shown()]})
    server.on("GET", f"/grants/{GRANT}", grant_shown())
    server.on("GET", f"/grants/{GRANT}/usage", usage(session_shown()))
    server.on("GET", LOGS, answer(line(MASKED, level="error"), end("complete")))


def test_the_only_usable_grant_is_read_and_summed_up(cli: Cli, server: FakeServer) -> None:
    found = cli("logs")
    assert found.code == 0
    assert found.out == f"2026-11-23T09:40:00.123456Z pay-api error {MASKED}\n"
    assert "you may read until 09:40:00 UTC" in found.err
    assert "1 lines, " in found.err
    assert "masked: card 1, email 2 · budget left 990 lines" in found.err
    (call,) = server.sent("GET", LOGS)
    assert call.query == {"query": "{}", "start": "1795426800000000000", "limit": "1000", "direction": "backward"}
    assert call.headers["accept"] == "application/x-ndjson"


def test_times_limit_and_direction_go_to_the_gateway(cli: Cli, server: FakeServer) -> None:
    cli("logs", '|= "x"', "--since", "15m", "--limit", "5", "--forward", "--grant", GRANT)
    cli("logs", "--from", "2026-11-23T09:00:00Z", "--to", "2026-11-23T10:00:00Z")
    first, second = (call.query for call in server.sent("GET", LOGS))
    assert first == {"query": '{} |= "x"', "since": "900s", "limit": "5", "direction": "forward"}
    assert (second["start"], second["end"]) == ("1795424400000000000", "1795428000000000000")


def test_a_terminal_shows_that_a_long_query_still_runs(cli: Cli, server: FakeServer) -> None:
    records = (
        {"type": "progress", "elapsed_s": 5},
        {"type": "progress", "elapsed_s": 70},
        line("found"),
        end("complete"),
    )
    server.on("GET", LOGS, answer(*records))
    found = cli("logs", terminal=True)
    assert server.sent("GET", LOGS)[0].query["progress"] == "true"
    assert [text for text in found.err.splitlines() if "reading" in text] == [
        "still reading, 5s …",
        "still reading, 1m10s …",
    ]
    assert [text.split()[-1] for text in found.out.splitlines()] == ["found"]
    assert cli("logs", "--jsonl").out.count("\n") == 1
    assert "progress" not in server.sent("GET", LOGS)[1].query


def test_jsonl_is_for_programs(cli: Cli) -> None:
    found = cli("logs", "--jsonl")
    assert json.loads(found.out) == {
        "ts": "1795426800123456789",
        "labels": {"service": "pay-api"},
        "line": MASKED,
        "masked": {"email": 2, "card": 1},
    }


def test_line_ends_inside_a_line_do_not_end_its_record(cli: Cli, server: FakeServer) -> None:
    text = "a\x85b\u2028c\x0bd\x1ee"
    server.on("GET", LOGS, answer(line(text), end("complete")))
    assert json.loads(cli("logs", "--jsonl").out)["line"] == text


def test_records_may_come_in_any_pieces(cli: Cli, server: FakeServer) -> None:
    whole = ndjson(line("one ü"), line("two"), end("complete", 2))
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    server.on("GET", LOGS, Reply(pieces=lambda: iter(pieces), media_type="application/x-ndjson"))
    assert [json.loads(one)["line"] for one in cli("logs", "--jsonl").out.splitlines()] == ["one ü", "two"]


def test_log_text_cannot_take_over_a_terminal_or_pass_for_another_entry(cli: Cli, server: FakeServer) -> None:
    hostile = "a\x1b[2J\r\x9b31m\u202e\n2026-11-23T09:40:00.000000Z pay-api forged"
    server.on("GET", LOGS, answer(line(hostile), end("complete")))
    found = cli("logs", terminal=True)
    assert "a\\x1b[2J\\x0d\\x9b31m\\u202e\n    2026-11-23" in found.out
    assert not any(is_unsafe(character) for character in found.out if character != "\n")


def test_no_escape_is_for_pipes(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, answer(line("a\x1b[2J"), end("complete")))
    refused = cli("logs", "--no-escape", terminal=True)
    assert (refused.code, refused.out, server.sent("GET", LOGS)) == (2, "", [])
    assert "a\x1b[2J\n" in cli("logs", "--no-escape").out


def test_the_limit_is_told_when_it_is_reached(cli: Cli) -> None:
    assert "The limit of 1 lines was reached" in cli("logs", "--limit", "1").err


@pytest.mark.parametrize(("grants", "code", "error"), [([], 7, "not_found"), ([1, 2], 8, "grant_ambiguous")])
def test_which_grant_has_to_be_clear(cli: Cli, server: FakeServer, grants: list[int], code: int, error: str) -> None:
    suspended = grant_shown(state="suspended", id=GRANT[:-1] + "Z")
    usable = [grant_shown(id=f"{GRANT[:-1]}{one}") for one in grants]
    server.on("GET", "/grants", {"items": [suspended, *usable] if usable else []})
    found = cli("logs")
    assert (found.code, f"[{error}]" in found.err) == (code, True)


def test_a_refusal_of_the_gateway_ends_with_its_code(cli: Cli, server: FakeServer) -> None:
    text = f"grant_ended: {GRANT} was revoked.\nNext: loglease request --like {REQUEST}\n"
    server.on("GET", LOGS, Reply(text, 403, media_type="text/plain"))
    found = cli("logs")
    assert found.code == 9
    assert found.err == f"error: {GRANT} was revoked. [grant_ended]\nnext: loglease request --like {REQUEST}\n"


def test_a_tail_says_who_revoked_when_why_and_what_it_got(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, tail(sse(line("one"), "r1"), sse(line("two"), "r2"), sse(end("revoked", 2))))
    server.on("GET", f"/grants/{GRANT}", grant_shown(), grant_shown(), revoked_grant())
    found = cli("tail", "--grant", GRANT)
    assert found.code == 9
    assert [text[-3:] for text in found.out.splitlines()] == ["one", "two"]
    assert found.err.endswith(
        f'revoked by bob@example.com at 10:02:11 UTC: "incident over"; 2 lines received in {SESSION}\n'
        f"next: loglease request --like {REQUEST}\n"
    )
    (call,) = server.sent("GET", LOGS)
    assert call.query == {"query": "{}", "since": "60s", "follow": "true"}
    assert call.headers["accept"] == "text/event-stream"


@pytest.mark.parametrize("reset", [True, False])
def test_a_tail_that_breaks_off_asks_the_grant_why(cli: Cli, server: FakeServer, reset: bool) -> None:
    server.on("GET", LOGS, tail(*([] if reset else [sse(line("one"), "r1")]), reset=reset))
    server.on("GET", f"/grants/{GRANT}", grant_shown(), grant_shown(), revoked_grant())
    found = cli("tail", "--grant", GRANT)
    assert found.code == 9
    words = 'revoked by bob@example.com at 10:02:11 UTC: "incident over"; {} lines received'
    assert words.format(0 if reset else 1) in found.err


@pytest.mark.parametrize(
    ("reason", "ended", "words"),
    [
        ("expired", {"state": "ended", "ended_why": "expired"}, "ended (expired)"),
        ("ended", {"state": "ended", "ended_why": "used"}, "ended (used)"),
        ("suspended", {"state": "suspended", "holds": [HELD]}, 'suspended by bob@example.com: "look"; 0 lines'),
        ("locked", {"state": "suspended", "holds": [LOCKED]}, 'locked by a lock on its person: "left"; 0 lines'),
        ("locked", {"state": "suspended", "holds": []}, "locked; "),
    ],
)
def test_every_cut_ends_with_nine(cli: Cli, server: FakeServer, reason: str, ended: dict[str, Any], words: str) -> None:
    server.on("GET", LOGS, tail(sse(end(reason, 0))))
    server.on("GET", f"/grants/{GRANT}", grant_shown(), grant_shown(), grant_shown(**ended))
    found = cli("tail", "--grant", GRANT)
    assert (found.code, words in found.err) == (9, True), found.err


def test_where_the_last_grant_ended_the_same_can_be_asked_for_again(cli: Cli, server: FakeServer) -> None:
    server.on("GET", "/grants", {"items": []}, {"items": [revoked_grant()]})
    found = cli("logs")
    assert found.code == 7
    assert "your newest was revoked by bob@example.com" in found.err
    assert f"next: loglease request --like {REQUEST}\n" in found.err


@pytest.mark.parametrize("words", [["logs"], ["tail"], ["logs", "--grant", GRANT]])
@pytest.mark.parametrize(
    ("hold", "said", "remedy"),
    [
        ({}, 'is suspended by bob@example.com: "look".', "Ask one of its approvers to resume it"),
        ({"by": None, "kind": "lock", "cause": "person"}, "by a lock on its person", "Ask an administrator to lift"),
    ],
)
def test_a_suspended_grant_is_said_to_be_suspended(
    cli: Cli, server: FakeServer, words: list[str], hold: dict[str, Any], said: str, remedy: str
) -> None:
    held = grant_shown(state="suspended", holds=[{**HELD, **hold}])
    server.on("GET", "/grants", {"items": [held]})
    server.on("GET", f"/grants/{GRANT}", held)
    found = cli(*words)
    assert found.code == 8
    assert f"error: {GRANT} is suspended by" in found.err
    assert said in found.err
    assert remedy in found.err
    assert not server.sent("GET", LOGS)


def test_all_that_came_is_no_notice(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, tail(sse(end("complete", 0))))
    found = cli("tail")
    assert found.code == 0
    assert "next:" not in found.err


@pytest.mark.parametrize("reason", [*sorted(set(CloseWhy) - FINE - CUT - {CloseWhy.DRAIN}), "some_day"])
def test_every_other_end_has_its_sentence_and_the_next_step(cli: Cli, server: FakeServer, reason: str) -> None:
    server.on("GET", LOGS, tail(sse(end(reason, 0))))
    found = cli("tail")
    what, step = ending_of(reason)
    assert found.code == 2
    assert f"{what} [{reason}]; 0 lines received" in found.err
    assert f"next: {step}\n" in found.err


def test_no_reason_of_a_session_is_without_a_sentence() -> None:
    assert set(CloseWhy) == FINE | CUT | (set(ENDINGS) - {LOST})


def test_a_server_that_restarts_is_gone_on_with_from_the_last_line(
    cli: Cli, server: FakeServer, no_sleep: Callable[[], float]
) -> None:
    seen: list[str | None] = []

    def stream(call: Call) -> Reply:
        seen.append(call.headers.get("last-event-id"))
        if len(seen) == 1:
            return tail(sse(line("one"), "r1"))
        if len(seen) == 2:
            return tail(sse(line("two"), "r2"), sse(end("drain", 1), "r2"))
        return tail(sse(line("three"), "r3"), sse(end("complete", 1)))

    server.on("GET", LOGS, stream)
    found = cli("tail", "--jsonl", "--limit", "5")
    assert found.code == 0
    assert [json.loads(text)["line"] for text in found.out.splitlines()] == ["one", "two", "three"]
    assert [call.query["limit"] for call in server.sent("GET", LOGS)] == ["5", "4", "3"]
    assert seen == [None, "r1", "r2"]
    assert found.err.count("going on from the last line") == 2
    assert no_sleep() > 0


def test_a_server_that_is_away_for_a_while_is_waited_for(
    cli: Cli, server: FakeServer, no_sleep: Callable[[], float]
) -> None:
    away = [problem(503, "draining", "The server is stopping.")] * 20
    server.on("GET", LOGS, tail(sse(line("one"), "r1")), *away, tail(sse(line("two"), "r2"), sse(end("complete", 1))))
    server.on("GET", f"/grants/{GRANT}", grant_shown(), *away, grant_shown())
    found = cli("tail", "--jsonl")
    assert found.code == 0
    assert [json.loads(text)["line"] for text in found.out.splitlines()] == ["one", "two"]
    assert found.err.count("The connection was lost; trying again.") == 1
    assert found.err.count("Connected again, going on from the last line.") == 1
    assert server.sent("GET", LOGS)[-1].headers["last-event-id"] == "r1"
    assert no_sleep() == 21


def test_a_server_that_stays_away_is_given_up(cli: Cli, server: FakeServer, no_sleep: Callable[[], float]) -> None:
    away = problem(503, "draining", "The server is stopping.")
    server.on("GET", LOGS, tail(sse(line("one"), "r1")), away)
    server.on("GET", f"/grants/{GRANT}", grant_shown(), away)
    assert cli("tail").code == 2
    assert no_sleep() == 60


def test_gaps_are_told(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, tail(sse({"type": "gap", "lines": 12}), sse(end("complete", 0))))
    assert "(12 lines left out: this reader did not keep up)" in cli("tail").err
    server.on("GET", LOGS, tail(sse({"type": "gap"}), sse(end("complete", 0))))
    assert "(the source lost lines here)" in cli("tail").err


def test_an_answer_that_is_no_record_is_said_to_be_none(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, Reply(b"<html>\n", media_type="text/html"))
    found = cli("logs")
    assert (found.code, "[unreachable]" in found.err) == (2, True)


def test_a_reader_that_goes_away_is_no_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_words: object) -> Iterator[None]:
        raise BrokenPipeError

    monkeypatch.setattr("loglease.cli.output.Output.raw", gone)
    assert cli("logs").code == 0


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("", "{}"),
        ('|= "a"', '{} |= "a"'),
        ('!= "a"', '{} != "a"'),
        (' {a="b"} ', '{a="b"}'),
        ("rate({}[1m])", "rate({}[1m])"),
    ],
)
def test_a_filter_alone_is_about_all_streams_of_the_scope(typed: str, sent: str) -> None:
    assert whole_query(typed) == sent


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=2))
def test_every_line_prints_harmlessly(text: str, labels: dict[str, str]) -> None:
    record = {**line(text), "labels": labels}
    shown = line_text(record, escape=True)
    assert not any(is_unsafe(character) for character in shown if character not in "\n\t")
    first, *others = shown.split("\n")
    assert first.startswith("2026-11-23T09:40:00.123456Z")
    assert all(other.startswith("    ") for other in others)
    Tally().add(record)


VECTOR = {
    "resultType": "vector",
    "result": [
        {"metric": {"pod": "a\u202e"}, "value": [1795426800.5, "2"]},
        {"metric": {"level": "error", "pod": "b"}, "value": [1795426800.5, "+Inf"]},
    ],
}
MATRIX = {
    "resultType": "matrix",
    "result": [{"metric": {"pod": "a"}, "values": [[1795426800, "1"], [1795426860, "3"]]}],
}


def test_numbers_are_a_small_table(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, Reply({"status": "success", "data": VECTOR, "warnings": ["not whole"]}))
    found = cli("logs", "sum by (pod) (count_over_time({}[5m]))")
    assert found.code == 0
    assert [line.split() for line in found.out.splitlines()] == [
        ["level", "pod", "VALUE"],
        ["a\\u202e", "2"],
        ["error", "b", "+Inf"],
    ]
    assert "not whole\n" in found.err
    assert "2 numbers · budget left" in found.err
    server.on("GET", LOGS, Reply({"status": "success", "data": MATRIX}))
    found = cli("logs", "rate({}[5m])", "--step", "1m")
    assert found.out == ("TIME                 pod  VALUE\n2026-11-23 09:40:00  a    1\n2026-11-23 09:41:00  a    3\n")
    assert server.sent("GET", LOGS)[-1].query["step"] == "60s"


def test_a_compressed_answer_is_read_likewise(cli: Cli, server: FakeServer) -> None:
    packed = gzip.compress(json.dumps({"status": "success", "data": VECTOR}).encode())
    reply = Reply(pieces=lambda: iter((packed[:9], packed[9:])), headers={"content-encoding": "gzip"})
    server.on("GET", LOGS, reply)
    assert "2 numbers" in cli("logs", "sum by (pod) (count_over_time({}[5m]))").err
    assert "gzip" in server.sent("GET", LOGS)[0].headers["accept-encoding"]
    cut = Reply(pieces=lambda: iter((packed[:-20],)), headers={"content-encoding": "gzip"}, reset=True)
    server.on("GET", LOGS, cut)
    assert cli("logs", "sum by (pod) (count_over_time({}[5m]))").code != 0


def test_numbers_for_programs(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, Reply({"status": "success", "data": VECTOR}))
    assert json.loads(cli("logs", "rate({}[5m])", "--output", "json").out) == VECTOR
    first, _ = cli("logs", "rate({}[5m])", "--jsonl").out.splitlines()
    assert json.loads(first) == {"ts": "1795426800500000000", "labels": {"pod": "a\u202e"}, "value": "2"}
    server.on("GET", LOGS, Reply({"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}))
    assert cli("logs", "1 + 1").out == "VALUE\n2\n"


def test_no_number_is_said(cli: Cli, server: FakeServer) -> None:
    server.on("GET", LOGS, Reply({"status": "success", "data": {"resultType": "vector", "result": []}}))
    found = cli("logs", "rate({}[5m])")
    assert (found.code, found.out, "There is no number" in found.err) == (0, "", True)


@pytest.mark.parametrize("body", [b"[]", b'{"data":{"resultType":"vector","result":[{}]}}', b"{"])
def test_an_answer_that_holds_no_numbers_is_not_ours(cli: Cli, server: FakeServer, body: bytes) -> None:
    server.on("GET", LOGS, Reply(body))
    found = cli("logs", "rate({}[5m])")
    assert (found.code, "is not what the gateway sends" in found.err) == (2, True)

"""Streams: borders, entries, limits, values; edits only; no token can be forged."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.redaction.corpus import (
    ENGINES,
    KEYS,
    LOOKALIKES,
    MARKER,
    lines,
    redacted,
    redactor,
    spaced,
    texts,
    undone,
    whole,
)
from tests.volume import volume

from loglease.redaction import Redacted, Withheld, profile_named, redactor_for
from loglease.redaction.scanning import MAX_LINE
from loglease.redaction.selftest import example_of

SAMPLE = b"\n".join(
    [
        b'{"user":"anna@example.com","password":"hunter2","card":4111111111111111}',
        b"plain line\r",
        b"a\x1b[31mb\x00\xff \xe2\x9f\xa6fake\xe2\x9f\xa7",
        b"-----BEGIN RSA PRIVATE KEY-----",
        b"MIIEpAIBAAKCAQEAabcdabcdabcdabcd",
        b"-----END RSA PRIVATE KEY-----",
        b"GET /?token%3Dq9X8w7V6u5T4s3Xy from 203.0.113.9",
        b"last without an end, mail bob@example.com",
    ]
)


@settings(max_examples=volume(50, 200), deadline=None)
@given(text=texts)
def test_output_is_the_input_with_some_ranges_replaced(text: bytes) -> None:
    result = whole(text)
    result.out.decode()
    assert undone(result, text)
    assert result.out.count(b"\n") == text.count(b"\n")
    assert all(one.end <= two.start for one, two in pairwise(result.spans))


@settings(max_examples=volume(25, 100), deadline=None)
@given(entries=st.lists(lines.filter(bool), min_size=1, max_size=6), end=st.sampled_from([b"", b"\n"]))
def test_entries_are_redacted_as_if_each_were_alone(entries: list[bytes], end: bytes) -> None:
    entries = [entry.replace(b"-----BEGIN", b"") + end for entry in entries]
    ends = [sum(map(len, entries[: place + 1])) for place in range(len(entries))]
    result = redactor().open().feed(b"".join(entries), ends)
    alone = [whole(entry).out for entry in entries]
    assert [bytes(entry) for entry, _ in result.entries()] == alone
    for entry, spans in result.entries():
        assert all(0 <= span.start < span.end <= len(entry) for span in spans)


def test_an_entry_may_hold_several_lines() -> None:
    text = b"Traceback\n password=hunter2\nend"
    result = redactor().open().feed(text, [len(text)])
    assert len(result.ends) == 1
    assert result.out == "Traceback\n password=⟦password⟧\nend".encode()


def test_empty_entries_stay_entries() -> None:
    stream = redactor().open()
    result = stream.feed(b"password=xyzpassword=xyz", [0, 12, 12, 24, 24])
    entries = [bytes(entry).decode() for entry, _ in result.entries()]
    assert entries == ["", "password=⟦password⟧", "", "password=⟦password⟧", ""]
    assert [bytes(entry) for entry, _ in stream.feed(b"", [0]).entries()] == [b""]


def test_without_ends_entries_are_lines() -> None:
    stream = redactor().open()
    result = stream.feed(b"one\ntwo\nthr")
    assert [bytes(entry) for entry, _ in result.entries()] == [b"one\n", b"two\n"]
    assert [bytes(entry) for entry, _ in stream.close().entries()] == [b"thr"]


def test_entries_follow_a_carried_line_as_one_of_their_own() -> None:
    stream = redactor().open()
    assert stream.feed(b"carried").out == b""
    assert [bytes(entry) for entry, _ in stream.feed(b"one", [3]).entries()] == [b"carried", b"one"]


@pytest.mark.parametrize("ends", [[], [2], [3, 2], [2, 1, 3], [4]])
def test_ends_that_do_not_fit_the_chunk_withhold_it(ends: list[int]) -> None:
    with pytest.raises(Withheld):
        redactor().open().feed(b"abc", ends)


@settings(max_examples=volume(37, 150), deadline=None)
@given(text=spaced)
def test_a_second_pass_over_our_own_text_changes_nothing(text: bytes) -> None:
    once = whole(text).out
    again = whole(once, tokens="keep")
    assert again.out == once


@pytest.mark.parametrize(
    "text",
    [
        b"dop_v1_7cced9041dff02cee737443e210471948d33296c87009e8a7f770d9106fd287dpassword=hunter2 user=a",
        b"sid=12\xff\xfe",
        b'token=q9X8w7V6u5T4s3{"password":null}',
        b'-----BEGIN RSA PRIVATE KEY----- {"user":"a","password":"hunter2"}\npassword=hunter2 user=a',
        b"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0.4111111111111111",
    ],
)
def test_what_a_first_pass_masks_makes_no_new_find_beside_it(text: bytes) -> None:
    once = whole(text).out
    assert whole(once, tokens="keep").out == once


def test_colour_directly_before_a_key_hides_nothing() -> None:
    for line in (b"\x1b[31mred\x1b[0mpassword=hunter2", b"\x1b[36mpassword=\x1b[0mhunter2 \x1b[36muser=\x1b[0mbob"):
        assert b"hunter2" not in redacted(line + b"\n")


@settings(max_examples=volume(25, 100), deadline=None)
@given(text=texts)
@example(text="⟦email:aaaaaaaaaa⟧ ⟦password⟧".encode())
def test_no_token_can_be_forged(text: bytes) -> None:
    result = whole(text)
    rest, at = b"", 0
    for span in result.spans:
        rest += result.out[at : span.start] + b"\0"
        at = span.end
    rest += result.out[at:]
    assert "⟦".encode() not in rest
    assert "⟧".encode() not in rest


@pytest.mark.parametrize("text", LOOKALIKES)
@pytest.mark.parametrize("profile", ["pii-default@1", "secrets@1"])
def test_look_alikes_survive(text: bytes, profile: str) -> None:
    assert redacted(text + b"\n", profile=profile) == text + b"\n"


def test_json_stays_json() -> None:
    line = (
        b'{"card":4111111111111111,"pin":4821,"n":[4111111111111111,7],'
        b'"m":"{\\"card\\":[4111111111111111]}","t":"saw [4111111111111111], 7"}'
    )
    found = json.loads(redacted(line + b"\n"))
    assert found["card"] == "⟦card …1111⟧"
    assert found["pin"] == "⟦otp⟧"
    assert found["n"] == ["⟦card …1111⟧", 7]
    assert json.loads(found["m"]) == {"card": ["⟦card …1111⟧"]}
    assert found["t"] == "saw [⟦card …1111⟧], 7"


@pytest.mark.attack("RD-03")
def test_a_line_over_the_limit_is_masked_whole_and_dropped_as_it_arrives() -> None:
    long = b"x" * (10 << 20)
    stream = redactor().open()
    out = b""
    for at in range(0, len(long), 1 << 16):
        out += stream.feed(long[at : at + (1 << 16)]).out
        assert stream._carried <= MAX_LINE + (1 << 16)
    result = stream.feed(b" password=hunter2\r\nnext\n")
    assert out == b""
    assert result.out == "⟦long-line⟧\r\nnext\n".encode()
    assert result.counters.long_lines == 1
    assert redacted(long + b" password=hunter2\r\nnext\n") == result.out


@pytest.mark.parametrize("size", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1])
def test_the_limit_is_the_same_however_the_line_arrives(size: int) -> None:
    text = b"a\n" + b"x" * size + b"\nb\n"
    parts = [text[at : at + 300_001] for at in range(0, len(text), 300_001)]
    stream = redactor().open()
    out = b"".join(stream.feed(part).out for part in parts) + stream.close().out
    assert out == redacted(text)
    assert ("⟦long-line⟧".encode() in out) is (size > MAX_LINE)


def test_binary_lines_are_masked_whole() -> None:
    assert redacted("päss=1".encode("utf-16-le") + b"\nok\n") == "⟦binary⟧\nok\n".encode()
    assert redacted(b"a much longer text with one \0 in it\n") == "a much longer text with one ␀ in it\n".encode()


def test_marked_lines_over_the_limit_are_masked_whole() -> None:
    assert redacted(b"%41" + b"x" * (64 << 10) + b"\n") == "⟦encoded-line⟧\n".encode()
    assert redacted(b"%2525252541 x\n") == "⟦encoded-line⟧\n".encode()


def test_a_line_with_too_many_finds_is_masked_whole() -> None:
    assert redacted(b"a@b.example " * 10_001 + b"\n") == "⟦line⟧\n".encode()


@pytest.mark.attack("RD-07")
def test_labels_and_metadata_are_redacted_by_name_and_by_form() -> None:
    one = redactor()
    assert one.value("db_password", b"hunter2").out == "⟦password⟧".encode()
    assert one.value("app", b"checkout").out == b"checkout"
    assert one.value("peer", b"203.0.113.9").out.startswith("⟦ip:".encode())
    assert one.value(None, b"anna@example.com").out.startswith("⟦email:".encode())
    assert one.value("x", b"").out == b""
    assert one.names("userPassword")
    assert one.names("X-API-Key")
    assert not one.names("compass")
    assert not one.names("password_reset_url")
    assert one.block_marks == (b"---- BEGIN SSH2 ", b"-----BEGIN ", b"-----BEGIN+", b"Private-Lines: ")


def test_a_value_that_a_name_gives_away_is_not_in_the_result() -> None:
    result = redactor().value("token", b"Ab3dEf6hIj9lMn2p")
    assert isinstance(result, Redacted)
    assert b"Ab3d" not in result.out
    assert [span.rule for span in result.spans] == ["credentials.generic-token"]


def test_several_profiles_apply_together() -> None:
    both = redactor_for(["secrets@1", "strict@1"], keys=None, marker=MARKER)
    assert both.open().feed(b"x bob@example.com\n").out == "x ⟦email⟧\n".encode()
    assert both.digest != redactor(profile="strict@1").digest


def test_raw_masks_nothing_and_neutralises_controls() -> None:
    raw = redactor_for(["raw@1"], keys=None, marker=MARKER)
    text = b"password=hunter2 \x1b[31m \xe2\x9f\xa6x\xe2\x9f\xa7 \xff\n"
    assert raw.open().feed(text).out == "password=hunter2 ␛ �x� �\n".encode()
    assert raw.block_marks == ()
    assert not raw.names("password")


def test_counters_hold_numbers_and_rule_ids_only() -> None:
    result = redactor().open().feed(b"a@b.example c@d.example\nok\n\x07\n")
    counters = result.counters
    assert (counters.engine, counters.lines, counters.lines_touched, counters.controls) == ("hyperscan", 3, 1, 1)
    assert counters.masks == {"pii-core.email": 2}
    assert counters.canaries == 1


def test_a_stream_is_pickled_without_keys_and_goes_on() -> None:
    stream = redactor().open()
    stream.feed(b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAabcd")
    data = pickle.dumps(stream)
    assert KEYS.pseudonym not in data
    again = pickle.loads(data)  # noqa: S301 - written two lines above
    with pytest.raises(Withheld):
        pickle.loads(data).feed(b"x\n")  # noqa: S301 - the same
    result = redactor().attach(again).feed(b"abcdabcd\n-----END RSA PRIVATE KEY-----\n")
    assert result.out == "⟦private-key⟧\n-----END RSA PRIVATE KEY-----\n".encode()


def test_threads_share_one_redactor() -> None:
    chunk = SAMPLE + b"\n"
    expected = redactor().open().feed(chunk * 50).out
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: redactor().open().feed(chunk * 50).out, range(24)))
    assert set(found) == {expected}


@pytest.mark.parametrize("engine", ENGINES)
def test_input_of_more_than_one_pass_is_redacted_to_its_end(engine: str) -> None:
    size = 3000 if engine == "python" else 30_000
    text = b"nothing to see on this line, number 12\n" * size + b"password=hunter2\n"
    result = redactor(engine).open().feed(text)
    assert result.out.endswith("password=⟦password⟧\n".encode())
    assert len(result.ends) == size + 1


def test_profiles_are_found_by_name_and_version() -> None:
    assert profile_named("default").pin == profile_named("pii-default@1").pin == "pii-default@1"
    assert example_of("a «b» c").ranges == ((2, 3),)

"""However the input is cut into chunks, output and spans are the same: on every engine, for every kind of byte."""

import base64
import os
import urllib.parse
from collections.abc import Sequence
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, lines, redactor, texts
from tests.volume import volume

KEY = base64.b64encode(bytes(range(256))).decode()
LINES = [
    b'{"user":"anna@example.com","password":"hunter2","card":4111111111111111}',
    b"plain line\r",
    b"\r",
    b"",
    b"a\x1b[31mb\x00\xff \xe2\x9f\xa6fake\xe2\x9f\xa7 \xe2\x82",
    b"p\0a\0s\0s\0w\0o\0r\0d\0=\0x\0",
    "ünï 日本 ｐａｓｓｗｏｒｄ：ｓｅｃｒｅｔ１ pass\u200bword=hunter2 😀".encode(),
    b"-----BEGIN RSA PRIVATE KEY-----\r",
    *(KEY[at : at + 64].encode() + b"\r" for at in range(0, len(KEY), 64)),
    b"-----END RSA PRIVATE KEY-----\r",
    b"GET /?token%3Dq9X8w7V6u5T4s3Xy from 203.0.113.9",
    b"state=" + urllib.parse.quote(base64.b64encode(b'{"email":"bob@example.com","password":"hunter2"}')).encode(),
    b"%2525252541 x",
    b"_\bp_\ba_\bs_\bs_\bw_\bo_\br_\bd=hunter2 AKIA\xc2\xadQ3EGT5R7NXWL2PCD",
    b"\xf0\x9f\x98",
    b"2026-07-31T10:00:00 stdout F " + KEY[:64].encode(),
]
ONE = b"\n".join(LINES)
SAMPLE = (ONE + b"\n" + b"x" * 300 + b"\n" + ONE).ljust(4000, b".") + b" last, mail bob@example.com"

Result = tuple[bytes, list[tuple[int, int, str, str]]]


def fed(chunks: Sequence[bytes], engine: str, entries: Sequence[Sequence[int]] | None = None) -> Result:
    stream, out, spans = redactor(engine).open(), b"", []
    results = [
        stream.feed(chunk) if entries is None else stream.feed(chunk, entries[number])
        for number, chunk in enumerate(chunks)
    ]
    for result in [*results, stream.close()]:
        spans += [(span.start + len(out), span.end + len(out), span.kind, span.rule) for span in result.spans]
        out += result.out
    return out, spans


def parts_of(text: bytes, places: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


# For the engine that serves by default, in four parts that may run side by side; some places for the others.
PLACES = [*(("hyperscan", first, 4) for first in range(4)), ("re2", 0, 16), ("python", 0, 257)]
# Every place is one in the lines of all kinds, in the long line behind them, and in the last one. In between the same lines
# come again and many dots: one place of many there, and all of them with REDACTION_CUTS=all.
AGAIN = range(len(ONE) + 310, 4000)
SHARE = 1 if os.environ.get("REDACTION_CUTS") == "all" else volume(35, 7)


@pytest.mark.volume
@pytest.mark.parametrize(("engine", "first", "step"), PLACES)
def test_each_single_cut_gives_the_same_output(engine: str, first: int, step: int) -> None:
    expected = fed([SAMPLE], engine)
    assert len(SAMPLE) >= 4000
    assert {rule for *_, rule in expected[1]} >= {
        "limit.binary",
        "limit.encoded-line",
        "secrets.private-key",
        "control",
    }
    for number, place in enumerate(range(first, len(SAMPLE), step)):
        if engine == "hyperscan" and place in AGAIN and number % SHARE:
            continue
        assert fed([SAMPLE[:place], SAMPLE[place:]], engine) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_byte_by_byte_gives_the_same_output(engine: str) -> None:
    text = SAMPLE if engine != "python" else ONE
    assert fed([text[at : at + 1] for at in range(len(text))], engine) == fed([text], engine)


def test_all_engines_give_the_same_output_for_the_sample() -> None:
    assert fed([SAMPLE], "hyperscan") == fed([SAMPLE], "re2") == fed([SAMPLE], "python")


@settings(max_examples=volume(30, 120), deadline=None)
@given(text=texts | st.binary(max_size=200), places=st.lists(st.integers(0, 400), max_size=8), engine=st.sampled_from(["hyperscan", "re2"]))  # fmt: skip
def test_any_cuts_give_the_same_output(text: bytes, places: list[int], engine: str) -> None:
    assert fed(parts_of(text, places), engine) == fed([text], engine)


kinds = st.sampled_from(LINES) | lines | st.binary(max_size=40)


@settings(max_examples=volume(30, 120), deadline=None)
@given(
    entries=st.lists(st.tuples(kinds, st.sampled_from([b"", b"\n", b"\r\n", b"\r"])).map(b"".join), min_size=1, max_size=8),
    places=st.sets(st.integers(1, 7)),
    engine=st.sampled_from(["hyperscan", "re2"]),
)  # fmt: skip
def test_any_groups_of_entries_give_the_same_output(entries: list[bytes], places: set[int], engine: str) -> None:
    borders = sorted({0, len(entries), *(place for place in places if place < len(entries))})
    groups = [entries[start:end] for start, end in pairwise(borders)]
    ends = [list(accumulate(map(len, group))) for group in groups]
    whole = fed([b"".join(entries)], engine, [list(accumulate(map(len, entries)))])
    assert fed([b"".join(group) for group in groups], engine, ends) == whole


@settings(max_examples=volume(20, 60), deadline=None)
@given(text=texts, places=st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_two_streams_that_take_turns_do_not_meet(text: bytes, places: list[int]) -> None:
    other = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAabcdabcdabcdabcd\n"
    one, two, out = redactor().open(), redactor().open(), b""
    for part in parts_of(text, places):
        two.feed(other)
        out += one.feed(part).out
    assert out + one.close().out == fed([text], "hyperscan")[0]

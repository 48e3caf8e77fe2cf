"""Strategies for redacted lines of every shape: JSON, logfmt, packed, plain, coloured, broken; with tokens in them."""

from __future__ import annotations

import json
import re

from hypothesis import strategies as st
from tests.logql.reference.lines import Record

SECOND = 10**9
BEGIN = 1_700_000_000 * SECOND
SPAN = 120 * SECOND
TOKEN = "⟦email:q3f7k2p9xa⟧"

# Decimals are such that binary numbers hold them exactly: then sums do not depend on the order of addition.
NUMBERS = ["0", "1", "42", "200", "500", "1.50", "1e3", "-3", "0.25", "7"]
DURATIONS = ["1.5s", "250ms", "2m", "1h0.5s", "-5s", "0"]
SIZES = ["1.5KB", "10KiB", "2MB", "512B", "3 kb", "1,024"]
ADDRESSES = ["10.0.0.7", "192.168.1.9", "fe80::1", "10.0.0.7:5432", "999.1.1.1"]
WORDS = [
    "GET",
    "err",
    "error",
    "Größe",
    "x y",
    "",
    "secret",
    "xsecret1",
    "a=b",
    'say "hi"',
    "back\\slash",
    "dot.ted",
    "tab\there",
    "é\n☃",
]
TOKENS = [TOKEN, "⟦ip⟧", f"to {TOKEN} cc ⟦ip⟧", f"{TOKEN}email"]

KEYS = [
    "status",
    "took",
    "size",
    "ip",
    "user",
    "msg",
    "level",
    "service",
    "trace_id",
    "dot.ted",
    "9lives",
    "é-x",
    " pad ",
]
words = st.sampled_from([*WORDS, *TOKENS])
scalars = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(DURATIONS),
    st.sampled_from(SIZES),
    st.sampled_from(ADDRESSES),
    words,
)


def redacted(text: str) -> str:
    """Mask a word, as a redactor would, where it stands for itself."""
    return re.sub(r"(?<![⟦\w])secret(?!\w)", "⟦secret⟧", text)


BY_KEY = {
    "status": st.sampled_from(NUMBERS),
    "took": st.sampled_from(DURATIONS),
    "size": st.sampled_from(SIZES),
    "ip": st.sampled_from(ADDRESSES),
}


@st.composite
def keyed(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a key and a value that mostly is of its kind."""
    key = draw(st.one_of(st.sampled_from(list(BY_KEY)), st.sampled_from(KEYS)))
    usual = BY_KEY.get(key, scalars)
    return key, draw(usual if draw(st.integers(0, 7)) else scalars)


@st.composite
def json_string(draw: st.DrawFn, text: str) -> str:
    """Write a string in one of the ways in which JSON can write it."""
    way = draw(st.integers(0, 3))
    if way == 0 and text:
        return '"' + "".join(f"\\u{ord(one):04X}" if ord(one) < 0x10000 else one for one in text) + '"'
    return json.dumps(text, ensure_ascii=way == 1)


@st.composite
def json_value(draw: st.DrawFn, text: str, depth: int) -> str:
    way = draw(st.integers(0, 9))
    if way == 0 and depth:
        return draw(json_object(depth - 1))
    if way == 1:
        return draw(st.sampled_from(["null", "true", "false", "[]", '[1, "a", {"user": 2}]', "{}", "[[1.50]]"]))
    if text in NUMBERS and way != 2:
        return text
    return draw(json_string(text))


@st.composite
def json_object(draw: st.DrawFn, depth: int = 2) -> str:
    members = draw(st.lists(keyed(), max_size=5))
    space = draw(st.sampled_from(["", " "]))
    written = [
        f"{draw(json_string(key)) if draw(st.integers(0, 9)) == 0 else json.dumps(key, ensure_ascii=False)}"
        f"{space}:{space}{draw(json_value(text, depth))}"
        for key, text in members
    ]
    return "{" + f",{space}".join(written) + "}"


@st.composite
def logfmt(draw: st.DrawFn) -> str:
    written = []
    for key, text in draw(st.lists(keyed(), max_size=6)):
        bare = text and not any(character <= " " or character in '="' for character in text)
        way = draw(st.integers(0, 9))
        value = text if bare and way > 1 else draw(json_string(text))
        if way == 0:
            value = draw(st.sampled_from(["", "a=b", '"open', 'x"y', '"closed"x', '"bad \\q"']))
        written.append(key if way == 1 and not value else f"{key}={value}")
    if draw(st.integers(0, 5)) == 0:
        written.append(draw(st.sampled_from(["alone", "=nokey", '"quoted"', "msg=a\tb"])))
    return " ".join(written)


@st.composite
def packed(draw: st.DrawFn) -> str:
    members = draw(st.lists(keyed(), max_size=3))
    written = [f"{json.dumps(key)}: {draw(json_value(text, 1))}" for key, text in members]
    if draw(st.integers(0, 3)):
        written.append(f'"_entry": {draw(json_string(draw(plain())))}')
    return "{" + ", ".join(draw(st.permutations(written))) + "}"


@st.composite
def plain(draw: st.DrawFn) -> str:
    form = draw(
        st.sampled_from(
            [
                '{ip} - {user} "GET /a?b=c" {status} {took}',
                "error: {word} failed after {took}",
                "an error: {word} failed, error: {took} failed",
                "{word}",
                "user={user} size={size}",
                "␛[31mred␛[0m {word} ␛[1;32m{status}",
                "a{word}b{word}",
                "line\n  at {word}",
                "",
            ]
        )
    )
    return form.format(
        ip=draw(st.sampled_from(ADDRESSES)),
        user=draw(words),
        status=draw(st.sampled_from(NUMBERS)),
        took=draw(st.sampled_from(DURATIONS)),
        size=draw(st.sampled_from(SIZES)),
        word=draw(words),
    )


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Draw JSON that ends too early, outside of a token, or goes on."""
    whole = draw(json_object())
    cut = whole[: draw(st.integers(0, len(whole)))]
    if cut.count("⟦") != cut.count("⟧"):
        cut = cut[: cut.rindex("⟦")]
    return draw(
        st.sampled_from(
            [
                cut,
                cut,
                whole + " x",
                whole + "}",
                whole.replace(":", "", 1),
                "[1]",
                "1",
                '"a"',
                '{"user": {"ip": "1",}, "msg": "2"}',
                '{"msg": "\\ud800", "level": "\\udc00\\ud83d\\ude00"}',
            ]
        )
    )


# What an escape hides is masked only once it has been read; the same letters within a longer word are not.
hidden = st.sampled_from(
    [
        '{"user": "\\u0073ecret", "msg": "xsecret1", "status": 200, "took": "1.5s"}',
        '{"user": {"msg": "a\\nsecret"}, "level": "xsecret1", "secre\\u0074": 1}',
        'user="secre\\u0074" msg=xsecret1 status=200 took=1.5s size=10KiB',
        '{"_entry": "user=\\"secre\\\\u0074\\" status=7", "user": "se\\u0063ret"}',
    ]
)
texts = st.one_of(json_object(), json_object(), json_object(), logfmt(), logfmt(), packed(), plain(), broken(), hidden)
streams = st.sampled_from(
    [
        {"service": "pay", "pod": "pay-1"},
        {"service": "pay", "pod": "pay-2", "level": "info"},
        {"service": "web", "status": "7"},
        {"service": TOKEN, "pod": "é"},
        {"pod": "10.0.0.9"},
    ]
)
metadata = st.one_of(
    st.just({}),
    st.just({}),
    st.sampled_from([{"trace_id": "abc"}, {"user": "⟦ip⟧", "took": "250ms"}, {"service": "meta"}, {"size": "10KiB"}]),
)


@st.composite
def record(draw: st.DrawFn) -> Record:
    # Times lie on the ends of windows often, and together at times.
    ns = BEGIN + draw(st.integers(0, 24)) * 5 * SECOND + draw(st.sampled_from([0, 0, 0, 1, -1, SECOND // 2]))
    return Record(ns, redacted(draw(texts)), draw(streams), draw(metadata))


records = st.lists(record(), min_size=1, max_size=14).map(lambda found: sorted(found, key=lambda one: one.ns))

"""Laws of what leaves: JSON stays JSON, tokens tell no length, no tail of a long value stays, controls are shown."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, EXAMPLES, KEYS, LOOKALIKES, MARKER, redacted, texts, whole
from tests.volume import volume

from loglease.redaction import TOKEN, Redacted, packs, parse_profile, redactor_for

KEYS_OF_JSON = st.sampled_from(["password", "user", "card", "pin", "token", "n", "e-mail", "ünï", 'a"b', "cvv", "list"])
PIECES = st.sampled_from([one.decode() for one in (*EXAMPLES, *LOOKALIKES) if one.isascii()])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**19)
    | st.sampled_from([4111111111111111, 5555555555554444, 4821, 123, 4.5])
    | PIECES
    | st.text(max_size=12)
    | st.sampled_from(["\\", "\\\\", "a\\", "password=\\", "password=a\\", 'a"b\\', 'say \\"x\\'])
    | st.lists(PIECES, max_size=3).map("\n".join)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS_OF_JSON, inner, max_size=4)
        | inner.map(json.dumps)
        | inner.map(lambda one: json.dumps(one, ensure_ascii=False))
    ),
    max_leaves=8,
)


def shape(found: Any) -> Any:
    """Return what of a document redaction must not change: how it is nested, and the keys that say nothing."""
    if isinstance(found, dict):
        return {"size": len(found), "values": [shape(value) for value in found.values()]}
    return [shape(value) for value in found] if isinstance(found, list) else None


@settings(max_examples=volume(75, 300), deadline=None)
@given(document=st.dictionaries(KEYS_OF_JSON, DOCUMENTS, max_size=5), ascii_only=st.booleans())
def test_json_still_parses_and_keeps_its_nesting(document: dict[str, Any], *, ascii_only: bool) -> None:
    line = json.dumps(document, ensure_ascii=ascii_only)
    out = redacted(line.encode("utf-8", "replace") + b"\n").decode()
    if "⟦encoded-line⟧" not in out:
        assert shape(json.loads(out)) == shape(json.loads(line))


@pytest.mark.parametrize(
    "line",
    [
        '{"user": ["PASSWORT=", "b"]}',
        '{"a":"password=","b":"c d"}',
        '["password=", 5]',
        '{"a":"your new password:"}',
        '{"a": "say \\"x\\" password=" , "b": 1}',
        '{"a": ["password=", null, true, -4.5e3], "b": "c"}',
        '{"user": ["PASSWORT=\'"], "card": "b"}',
        '  {"a":"password=\\"","b":"c d"}\r',
    ],
)
def test_no_find_leaves_the_json_string_in_which_it_begins(line: str) -> None:
    assert redacted(line.encode() + b"\n").decode() == line + "\n"


@pytest.mark.parametrize(
    "line",
    [
        r'{"password": null, "user": ["PASSWORT=\\", null], "card": "\"\\\"null\\\"\""}',
        r'{"password": ["\\", 0]}',
        r'{"password": ["\"", null]}',
        '{"user":-4068240801426, "b": [-4068240801426, 1.4068240801426e3]}',
        r'{"m":"{\"a\":\"token=\",\"b\":1}"}',
    ],
)
def test_backslashes_before_quotes_leave_json_as_it_was(line: str) -> None:
    assert shape(json.loads(redacted(line.encode() + b"\n"))) == shape(json.loads(line))


@pytest.mark.parametrize(
    "line",
    [
        'msg="set password="hunter2q" ok"',
        'x "y" password="}hunter2q,"',
        "password=', hunter2q'",
        '{"msg":"password=\'hunter2q"}',
        '{"msg":"password=\\"}hunter2q,\\""}',
    ],
)
def test_a_quote_behind_a_key_still_begins_a_value(line: str) -> None:
    assert "hunter2q" not in redacted(line.encode() + b"\n").decode()


def in_json(value: Any, levels: int) -> str:
    """Return a value as JSON in JSON, so many levels deep."""
    for _ in range(levels):
        value = {"m": json.dumps(value, ensure_ascii=False), "n": "x y"}
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("levels", range(3))
@pytest.mark.parametrize("value", ["\\", "a\\", "\\\\", "a\\\\", 'a"\\'])
def test_a_backslash_at_the_end_of_a_value_does_not_hide_where_it_ends(value: str, levels: int) -> None:
    bare = value.replace('"', "")
    out = redacted(in_json({"password": value, "a": f"password={bare}", "n": "x y"}, levels).encode() + b"\n").decode()
    assert out == in_json({"password": "⟦password⟧", "a": "password=⟦password⟧", "n": "x y"}, levels) + "\n"


def test_a_quote_behind_a_backslash_ends_a_value_of_another_key_too() -> None:
    line = '{"user":{},"email":"\\\\","x":"a b"} pass\\u0077ord=hunter2\n'
    assert redacted(line.encode()).decode() == line.replace("hunter2", "⟦password⟧")


@pytest.mark.parametrize("profile", ["pii-default@1", "strict@1"])
def test_a_token_tells_no_length(profile: str) -> None:
    tokens: dict[str, set[int]] = {}
    for size in (6, 7, 20, 300, 9_000, 70_000):
        for text in (
            f"password={'Qx7' * size}",
            f"by {'a' * min(size, 60)}@example.com",
            f"ghp_{'aB3dE5fG7hI9' * (size + 9)}",
        ):
            result = whole(text.encode(), profile=profile)
            for span in result.spans:
                tokens.setdefault(span.rule, set()).add(span.end - span.start)
    assert {rule for rule, sizes in tokens.items() if len(sizes) > 1} == set()
    assert len(tokens) >= 3


LONG_UNIT = b"Qx7zWp4LkT"
LONG = {
    "a password": b"password=" + LONG_UNIT * 10_000,
    "a quoted password": b'{"password":"' + b"Qx7zWp 4LkT" * 10_000 + b'"}',
    "an array": b'{"password":["' + LONG_UNIT * 10_000 + b'","' + LONG_UNIT * 2_000 + b'"]}',
    "an element": b"<password>" + b"Qx7zWp 4LkT" * 10_000 + b"</password>",
    "a token": b"ghp_" + LONG_UNIT * 10_000,
    "a signed token": b"eyJhbGciOiJIUzI1NiJ9." + LONG_UNIT * 10_000 + b"." + LONG_UNIT * 10_000,
    "a header": b"Authorization: Bearer " + LONG_UNIT * 10_000,
    "a cookie": b"Cookie: sid=" + LONG_UNIT * 10_000,
    "a URL": b"postgres://app:" + LONG_UNIT * 90 + b"@db.example/x",
    "base64": b"d=" + base64.b64encode(b"password=" + LONG_UNIT * 6_000),
    "hexadecimal": b"d=" + (b"password=" + LONG_UNIT * 6_000).hex().encode(),
    "percent": b"password%3D" + b"Qx7zW%41p4LkT" * 4_000,
    "a private key": b'{"k":"-----BEGIN EC PRIVATE KEY-----\\n'
    + LONG_UNIT * 10_000
    + b'\\n-----END EC PRIVATE KEY-----"}',
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("what", LONG)
def test_a_value_longer_than_every_limit_leaves_no_tail(what: str, engine: str) -> None:
    out = redacted(LONG[what] + b"\n", engine)
    assert len(out) < 200
    assert not re.search(rb"Qx7|7zW|%41|UXg3|515837", out)


@settings(max_examples=volume(25, 100), deadline=None)
@given(text=texts | st.binary(max_size=80) | st.text(max_size=60).map(lambda one: one.encode("utf-8", "replace")))
def test_no_control_character_leaves_whatever_the_profile(text: bytes) -> None:
    for profile in ("raw@1", "pii-default@1", "strict@1"):
        out = redacted(text + b"\n", profile=profile).decode()
        assert not re.search(
            r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]",
            out,
        )
        assert not re.search(r"\r(?!\n|\Z)", out)
        assert out.count("\n") == text.count(b"\n") + 1


def coloured(text: bytes) -> Redacted:
    profile = parse_profile(
        b"profile: colours\nversion: 1\npacks: [secrets@1, credentials@1]\ncontrols: keep-colour\nclasses: {}\n"
    )
    redactor = redactor_for(["colours@1"], keys=KEYS, marker=MARKER, profiles=[profile], packs=packs())
    return redactor.open().feed(text, [len(text)])


def test_colour_that_is_kept_hides_nothing_and_stays_around_what_is_masked() -> None:
    out = coloured(b"\x1b[31mERR\x1b[0m pass\x1b[1mword=hun\x1b[0mter2 \x1b[2Jx \x1b[36mok\x1b[0m").out
    assert out == "\x1b[31mERR\x1b[0m pass\x1b[1mword=⟦password⟧ ␛x \x1b[36mok\x1b[0m".encode()
    assert not [span for span in coloured(b"\x1b[31mERR\x1b[0m").spans if span.kind == "control"]


def test_a_mask_that_cuts_a_control_sequence_leaves_no_escape_character() -> None:
    for text in (
        b"\x1b[31mbob@example.com %41",
        b"%41\x1b[31mghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d\x1b[0m",
        b"a%20b\x1b[4111111111111111m",
    ):
        assert b"\x1b" not in redacted(text + b"\n")


@settings(max_examples=volume(25, 100), deadline=None)
@given(text=texts)
def test_text_outside_masks_holds_no_token(text: bytes) -> None:
    result = whole(text)
    at, rest = 0, b""
    for span in result.spans:
        rest += result.out[at : span.start] + b"\n"
        at = span.end
    assert not TOKEN.search(rest + result.out[at:])

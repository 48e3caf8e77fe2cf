"""Carriers and disguises: one password, address, card and token in many clothes."""

import base64
import html
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.redaction.corpus import redacted

from loglease.redaction.disguises import decoded, escape_views

PASSWORD, EMAIL, CARD = "hunter2Zq81", "anna.berg@example.com", "4111 1111 1111 1111"
AWS, GITHUB = "AKIAQ3EGT5R7NXWL2PCD", "ghp_" + "aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vWxYz1"
BY_KEY = "password=" + PASSWORD
VALUES = {
    "password": (BY_KEY, PASSWORD),
    "e-mail": (EMAIL, EMAIL),
    "card": (CARD, CARD),
    "aws": (AWS, AWS),
    "github": (GITHUB, GITHUB),
}

WRAPPED = {
    "percent": lambda text: "q=" + urllib.parse.quote(text, safe=""),
    "percent twice": lambda text: "q=" + urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "percent each": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "unicode": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "hexadecimal": lambda text: "".join(f"\\x{ord(char):02x}" for char in text),
    "octal": lambda text: "".join(f"\\{ord(char):03o}" for char in text),
    "decimal entity": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "hexadecimal entity": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    "json": lambda text: json.dumps({"msg": "got " + text + " there"}),
    "json in json": lambda text: json.dumps({"msg": json.dumps({"inner": text + " x"})}),
    "json twice": lambda text: json.dumps({"m": json.dumps({"m": json.dumps({"inner": text + " x"})})}),
    "zero width": lambda text: text[:3] + "\u200b" + text[3:-2] + "\u200b" + text[-2:],
    "soft hyphen": lambda text: text[:3] + "\u00ad" + text[3:],
    "colour": lambda text: text[:3] + "\x1b[31m" + text[3:-3] + "\x1b[0m" + text[-3:],
    "over-strike": lambda text: "".join(f"{char}\b{char}" for char in text),
    "combining": lambda text: "".join(char + "\u0301" for char in text),
    "full width": lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
    "base64": lambda text: "blob " + base64.b64encode((text + " padding password").encode()).decode(),
    "hex": lambda text: "blob " + ("x " + text + " token").encode().hex(),
}


@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.parametrize("what", VALUES)
def test_a_disguise_does_not_help(how: str, what: str) -> None:
    text, hidden = VALUES[what]
    raw = WRAPPED[how](text)
    out = redacted(raw.encode() + b"\n").decode()
    assert "⟦" in out
    assert hidden not in out
    assert WRAPPED[how](hidden) not in out
    if how not in {"base64", "hex"}:
        tail = hidden[-4:]
        assert WRAPPED[how](tail) not in out


CARRIERS = {
    "logfmt": "level=info password={} user=a",
    "json": '{{"level":"info","password":"{}","user":"a"}}',
    "json spaced": '{{"password" : "{}"}}',
    "yaml": "password: {}",
    "python": "{{'password': b'{}', 'a': 1}}",
    "element": "<db><password>{}</password></db>",
    "attribute": '<db password="{}" user="a"/>',
    "option": "mysql --password {} --host x",
    "option with =": "mysql --db-password={} --host x",
    "url": "postgres://app:{}@db.example.com:5432/x",
    "query": "GET /login?user=a&password={}&next=/ HTTP/1.1",
    "cookie": "Cookie: theme=dark; password={}; x=1",
    "sql": "CREATE USER bob IDENTIFIED BY '{}' REQUIRE SSL",
    "alter": "ALTER ROLE bob WITH PASSWORD '{}'",
    "camel": '{{"dbPassword":"{}"}}',
    "header": "X-Auth-Token: {}",
    "go": "{{Name:bob Password:{} Age:3}}",
    "ruby": '"password"=>"{}"',
    "no-break space": "password:\u00a0{}",
}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("value", [PASSWORD, "p%ss(w)rd!{x}", "s3cret-" * 40])
def test_a_key_names_its_value_in_every_carrier(carrier: str, value: str) -> None:
    if carrier == "go" and "}" in value:
        pytest.skip("a closing brace ends a Go structure")
    out = redacted(CARRIERS[carrier].format(value).encode() + b"\n").decode()
    assert value not in out
    assert value[-4:] not in out
    assert "⟦" in out


def test_html_names_are_undone() -> None:
    assert "anna" not in redacted(html.escape('<a href="mailto:anna&commat;example.com">').encode() + b"\n").decode()


@given(st.text(max_size=30))
def test_a_view_maps_every_range_into_the_raw_text(text: str) -> None:
    raw = urllib.parse.quote(text, safe="abc").encode() + b"\\n\\u0041"
    view = decoded(raw, None)
    assert view is not None
    assert view.text == text.encode() + b"\nA"
    for start in range(len(view.text)):
        first, last = view.raw_range(start, start + 1)
        assert 0 <= first < last <= len(raw)
    assert view.raw_range(0, len(view.text))[1] == len(raw)


def test_decoding_ends() -> None:
    assert escape_views(b"plain") == []
    assert escape_views(b"%25252541") is None
    assert [view.text for view in escape_views(b"%252541") or []] == [b"%2541", b"%41", b"A"]

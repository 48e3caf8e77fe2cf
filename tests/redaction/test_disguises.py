"""Carriers and disguises: one password, address, card and token in many clothes."""

import html
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.redaction.corpus import redacted

from loglease.redaction.disguises import escape_views

PASSWORD = "hunter2Zq81"

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
    view = (escape_views(raw) or [])[0]
    assert view.text == text.encode() + b"\nA"
    for start in range(len(view.text)):
        first, last = view.raw_range(start, start + 1)
        assert 0 <= first < last <= len(raw)
    assert view.raw_range(0, len(view.text))[1] == len(raw)


def test_decoding_ends() -> None:
    assert escape_views(b"plain") == []
    assert escape_views(b"%25252541") is None
    assert [view.text for view in escape_views(b"%252541") or []] == [b"%2541", b"%41", b"A"]

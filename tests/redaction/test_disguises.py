"""Carriers and disguises: one password, address, card and token in many clothes."""

import base64
import html
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, redacted

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


@pytest.mark.attack("RD-04")
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


@pytest.mark.attack("RD-04")
def test_decoding_ends() -> None:
    assert escape_views(b"plain") == []
    assert escape_views(b"%25252541") is None
    assert [view.text for view in escape_views(b"%252541") or []] == [b"%2541", b"%41", b"A"]


# Each of these once left a value to be read.
LEAKED = {
    "an address before another @": ("dial https://anna@example.com@db.example/x", "anna"),
    "a name space": ("<wsse:Password>hunter2</wsse:Password>", "hunter2"),
    "an element with attributes": ('<password type="text">hunter2</password>', "hunter2"),
    "a closed element with attributes": ('<password value="hunter2"/> tail', "hunter2"),
    "character data": ("<password><![CDATA[hun]t<er2]]></password>", "er2"),
    "plus for spaces": ("GET /pay?pan=4111+1111+1111+1111&x=1", "1111+1111"),
    "hyphens of typography": ("card 4111\u20111111\u20101111\u20131111", "1111\u2010"),
    "quotes of typography": ("password: “two words” end", "words"),
    "a quote in quoted-printable": ("note: =224111111111111111=22", "41111111"),
    "one code of quoted-printable": ("to anna=40example=2Ecom", "anna"),
    "a code point as Python writes it": ("pass\\xadword:\\xa0hunter2", "hunter2"),
    "a control character inside": ("pass\x01word=hunter2 AKIA\x7fQ3EGT5R7NXWL2PCD", "hunter2 EGT5R7"),
    "a carriage return inside": ("pass\rword=hunter2", "hunter2"),
    "a character set sequence": ("pass\x1b(Bword=hunter2", "hunter2"),
    "a title sequence": ("pass\x1b]0;x\x07word=hunter2", "hunter2"),
    "a sequence of C1": ("pass\u009b31mword=hunter2", "hunter2"),
    "colour in JSON before a key": ('{"m":"\\u001b[31mred\\u001b[0mpassword=hunter2"}', "hunter2"),
    "an escaped separator": ("password\\=hunter2", "hunter2"),
    "shell escapes": ("card 4111\\ 1111\\ 1111\\ 1111", "1111\\"),
    "escapes of a regular expression": ("anna\\.berg\\@example\\.com", "anna"),
    "%u": ("pass%u0077ord=hunter2", "hunter2"),
    "\\U": ("pass\\U00000077ord=hunter2", "hunter2"),
    "a variation selector": ("pass\ufe0fword=hunter2", "hunter2"),
    "digits of another script": ("card ৪১১১ ১১১১ ১১১১ ১১১১", "১"),
    "an over-strike written in JSON": ('{"m":"_\\bp_\\ba_\\bs_\\bs_\\bw_\\bo_\\br_\\bd=hunter2"}', "hunter2"),
    "an invisible character inside an escape": ("pass&#1\u200b19;ord=hunter2", "hunter2"),
    "over-strike inside an escape": ("pass\\_\bu_\b0_\b0_\b7_\b7ord=hunter2", "hunter2"),
    "a full-width over-strike": ("ｐａｓｓｗｏｒ＿\bｄ=hunter2", "hunter2"),
    "quoted-printable behind percent": ("q=pass%3D77ord%3D3Dhunter2", "hunter2"),
    "a run behind other characters": ("cb/x" + base64.b64encode(b"password=hunter2").decode(), "aHVudGVyM"),
    "a run in capitals": ("env " + base64.b64encode(b"DB_PASSWORD=hunter2").decode(), "aHVudGVyM"),
    "a run with escaped slashes": (
        '{"b":"aaa\\/' + base64.b64encode(b"~~~password=hunter2?").decode() + '"}',
        "W50ZXIy",
    ),
    "a percent-encoded run": (
        "s=" + urllib.parse.quote(base64.b64encode(b'{"password":"h>>>>hunter2"}').decode()),
        "W50ZX",
    ),
    "escapes inside a run": ("s=" + base64.b64encode(b"user=a&password%3Dhunter2&b=1").decode(), "W50ZX"),
    "a run of more than 8,192 characters": (
        "s=" + base64.b64encode(b"x " * 5000 + b"password=hunter2").decode(),
        "aHVudGVyM",
    ),
    "a private key inside a run": (
        "d: " + base64.b64encode(b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBkg\n").decode(),
        "CAQEE",
    ),
    "hexadecimal behind a letter": ("idf" + b"password=hunter2".hex(), b"hunter2".hex()),
}


@pytest.mark.parametrize("how", LEAKED)
@pytest.mark.parametrize("engine", ENGINES)
def test_what_once_leaked_is_masked(how: str, engine: str) -> None:
    text, hidden = LEAKED[how]
    out = redacted(text.encode() + b"\n", engine).decode()
    assert "⟦" in out
    assert all(part not in out for part in hidden.split(" "))


@pytest.mark.attack("RD-05", "RD-06")
def test_a_value_reads_the_same_in_every_disguise() -> None:
    plain = redacted(b"by a+b@example.com\n")
    for text in (b"by A+b@Example.COM", b"by a%2Bb%40example.com", b"by a+b&commat;example&period;com", b"by a\\x2bb@example.com",
                 "by ａ+b@example.com".encode(), "by a+b@exam\u00adple.com".encode(), b"by a+b@example.co%6D", b"by %61+b@example.com"):  # fmt: skip
        assert redacted(text + b"\n") == plain


@pytest.mark.parametrize(
    "line",
    [
        b"secret=4EFjCDgkF3OMtzkqi87h0xOXpuRGGuL bind=192.168.57.222",
        b"token=2FA60A82B9C687DFBA2E18371858CF13 ip=172.22.229.54 a=3D",
    ],
)
def test_a_number_behind_an_equals_sign_is_no_control_character(line: bytes) -> None:
    address = line.split(b" ")[1]
    assert address in redacted(line + b"\n")

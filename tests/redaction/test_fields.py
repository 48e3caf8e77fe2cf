"""The modes `fields` and `allow`: treatments by path, and lines of which only listed fields pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from tests.redaction.corpus import ENGINES, EXAMPLES, LOOKALIKES, MARKER, lines, undone
from tests.redaction.field_oracle import KEY, LINE, PAIR, Pairs, fits, leaves, of_json, of_logfmt, said, same
from tests.volume import volume

from loglease.redaction import Keys, ProfileInvalid, Redactor, Withheld, parse_profile, redactor_for, weaknesses
from loglease.redaction import packs as builtin_packs
from loglease.redaction.paths import PathInvalid, parse_path

PROFILES: tuple[dict[str, Any], ...] = (
    {"mode": "fields", "fields": {"user.email": "pseudonym", "headers.*": "mask", "**.note": "mask", "id": "keep"}},
    {"mode": "fields", "fields": {"**": "mask", "user": "pseudonym", "user.*": "keep", "list": "mask"}},
    {"mode": "fields", "fields": {"*.a": "pseudonym", "user.a": "mask", "user.**.a": "mask", "a": "pseudonym"}},
    {"mode": "allow", "allow": ["user.email", "note", "headers.*"]},
    {"mode": "allow", "allow": ["**.a", "list", "user.**"], "fields": {"user.id": "pseudonym", "list": "mask"}},
    {"mode": "allow", "allow": ["nothing.at.all"]},
)
PACKS = ("secrets", "credentials", "pii-core", "pii-eu", "pci", "network")


@cache
def made(number: int, engine: str = "auto", tokens: str = "neutralise", packs: tuple[str, ...] = ()) -> Redactor:
    return redactor_of({**PROFILES[number], "packs": packs}, engine=engine, tokens=tokens)


def redactor_of(*documents: dict[str, Any], engine: str = "auto", tokens: Any = "neutralise") -> Redactor:
    found = []
    for number, document in enumerate(documents):
        versions = {pack.name: pack.pin for pack in builtin_packs()}
        full = {"profile": f"p{number}", "version": 1, "classes": CLASSES, **document}
        full["packs"] = [versions[name] for name in full["packs"]]
        found.append(parse_profile(json.dumps(full).encode()))
    pins = [one.pin for one in found]
    return redactor_for(pins, keys=Keys(KEY), marker=MARKER, engine=engine, profiles=found, tokens=tokens)


CLASSES = {"pii": "pseudonym", "pii.ssn": "mask", "pci.card": {"partial": "last4"}, "net": "keep"}


def seen(redactor: Redactor, line: str) -> str:
    raw = line.encode()
    return redactor.open().feed(raw + b"\n", [len(raw) + 1]).out.decode().removesuffix("\n")


keys = st.sampled_from(
    (
        "user",
        "User",
        "email",
        "e-mail",
        "e_Mail",
        "user.email",
        "headers",
        "a",
        "id",
        "list",
        "note",
        "é",
        "",
        "x.a",
        'q"',
    )
)
texts = st.text(st.sampled_from("ab \"\\'é=,:{}[]\u0001"), max_size=6)
scalars = texts | st.integers(-(10**17), 10**17) | st.booleans() | st.none() | st.floats(allow_nan=False)
secrets = st.sampled_from([one.decode("utf-8", "replace") for one in EXAMPLES + LOOKALIKES])


def documents(of: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """Draw JSON as text: objects may repeat keys, and space stands anywhere."""
    gaps = st.sampled_from(("", "", " ", "\t"))

    @st.composite
    def written(draw: st.DrawFn, depth: int = 0) -> str:
        kind = draw(st.integers(0, 5)) if depth else draw(st.integers(0, 1))
        gap = draw(gaps)
        if depth < 4 and kind < 2:
            members = draw(st.lists(written(depth + 1), max_size=4))
            if kind == 0:
                ascii_ = draw(st.booleans())
                names = [json.dumps(draw(keys), ensure_ascii=ascii_) for _ in members]
                members = [f"{name}{gap}:{member}" for name, member in zip(names, members, strict=True)]
            inner = f"{gap},".join(members)
            return f"{gap}{{{inner}{gap}}}" if kind == 0 else f"{gap}[{inner}{gap}]"
        return gap + json.dumps(draw(of), ensure_ascii=draw(st.booleans()))

    return written()


@settings(max_examples=volume(37, 150))
@given(st.integers(0, len(PROFILES) - 1), documents(scalars))
def test_json_reads_as_the_oracle_says(number: int, line: str) -> None:
    expected = of_json(PROFILES[number], line)
    event(f"{PROFILES[number]['mode']}: {'changed' if expected != line else 'as it was'}")
    assert seen(made(number), line) == expected


@settings(max_examples=volume(30, 120))
@given(
    st.integers(0, len(PROFILES) - 1),
    st.lists(st.tuples(st.sampled_from(("user", "a", "x.a", "user.email", "id", "Note", "headers.x", "list")),
                       st.sampled_from(("", "v", '"a b"', '"q\\"r"', "'a b'", "`a b`", "5", "a,b=c", '""'))), min_size=1,
             max_size=6),
    st.sampled_from((" ", "  ", "\t")),
)  # fmt: skip
def test_logfmt_reads_as_the_oracle_says(number: int, pairs: list[tuple[str, str]], gap: str) -> None:
    line = gap.join(f"{key}={value}" for key, value in pairs)
    expected = of_logfmt(PROFILES[number], line)
    if PROFILES[number]["mode"] == "allow" and all(not value.strip("\"'`") for _, value in pairs):
        expected = LINE  # words without any value are no log line
    assert seen(made(number), line) == expected


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else 0


@settings(max_examples=volume(25, 100), suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(PROFILES) - 1), documents(secrets | scalars))
def test_json_stays_json_of_the_same_shape_and_only_listed_fields_pass(number: int, line: str) -> None:
    out = seen(made(number, packs=PACKS), line)
    profile = PROFILES[number]
    note(f"{line}\n{out}")
    if out == LINE:
        return
    pairs = json.loads(out, strict=False, object_pairs_hook=list)
    assert len(list(_flat(pairs))) == len(list(_flat(json.loads(line, strict=False, object_pairs_hook=list))))
    if profile["mode"] == "allow":
        found = leaves(json.loads(out, strict=False, object_pairs_hook=Pairs), [])
        assert [
            value for path, value in found if said(profile, path) == "hidden" and value not in ("⟦masked⟧", "")
        ] == []


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        yield "["
        for inner in value:
            yield from _flat(inner)
    elif isinstance(value, tuple):
        yield from _flat(list(value)[1:])
    else:
        yield 0


@settings(max_examples=volume(25, 50), suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(PROFILES) - 1), st.lists(lines | documents(secrets).map(str.encode), max_size=4), st.data())
def test_engines_and_cuts_make_no_difference(number: int, found: list[bytes], data: st.DataObject) -> None:
    raw = b"\n".join(found) + b"\n"
    wholes = []
    for engine in ENGINES:
        stream = made(number, engine, packs=PACKS).open()
        wholes.append(stream.feed(raw))
    assert wholes[0].out == wholes[1].out == wholes[2].out
    assert wholes[0].spans == wholes[1].spans == wholes[2].spans
    assert undone(wholes[0], raw)
    assert wholes[0].out.count(b"\n") == raw.count(b"\n")
    stream = made(number, packs=PACKS).open()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    parts = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert b"".join(stream.feed(part).out for part in parts) + stream.close().out == wholes[0].out
    again = made(number, tokens="keep", packs=PACKS).open().feed(wholes[0].out)
    assert again.out == wholes[0].out


@settings(max_examples=volume(30, 120))
@given(st.integers(3, 5), st.lists(st.sampled_from((
    b'{"user":', b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"zzSECRETzz", b"note=", b" ", b"=", b"'", b"x=", b"\xff",
    b"\r", b"1", b"`", b'"zzSECRETzz"', b'"a":', b"\x0b", b"\xc2\xa0",
)), max_size=12).map(b"".join))  # fmt: skip
def test_what_is_not_listed_never_passes_however_a_line_is_broken(number: int, line: bytes) -> None:
    out = made(number).open().feed(line + b"\n").out.decode().removesuffix("\n")
    profile = PROFILES[number]
    event("passes" if "SECRET" in out else "is masked")
    if out.strip()[:1] in ("{", "["):
        for path, value in leaves(json.loads(out, strict=False, object_pairs_hook=Pairs), []):
            assert "SECRET" not in str(value) or said(profile, path) is None
        return
    for key, value in PAIR.findall(out):
        assert "SECRET" not in value or said(profile, [same(one) for one in key.split(".")]) is None
    assert "SECRET" not in PAIR.sub("", out)


names = st.sampled_from(("a", "b", "user", "A-b"))


@settings(max_examples=volume(50, 200))
@given(
    st.lists(names | st.sampled_from(("*", "**")), min_size=1, max_size=5).map(".".join),
    st.lists(names.map(same), max_size=6),
)
def test_a_pattern_takes_as_much_of_a_path_as_it_can(pattern: str, path: list[str]) -> None:
    counts = [count for count in range(len(path) + 1) if fits(pattern, path[:count])]
    event(f"takes {len(counts)}")
    assert parse_path(pattern).reach(tuple(path)) == max(counts, default=-1)


@pytest.mark.parametrize("text", ["", ".", "a.", "a..b", "-", "a*", "***", "x.*y", "a." * 64 + "a", "a" * 257])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(PathInvalid):
        parse_path(text)


@cache
def by_fields() -> Redactor:
    return redactor_of({
        "mode": "fields", "packs": PACKS,
        "fields": {
            "user.email": {"partial": "domain"}, "user.name": "pseudonym", "trace_id": "keep", "headers": "mask",
            "headers.host": "keep", "login": "pseudonym", "**.password": "pseudonym", "ip": "pseudonym",
        },
    })  # fmt: skip


@cache
def allowing() -> Redactor:
    return redactor_of({"mode": "allow", "packs": PACKS, "allow": ["ts", "msg", "user.id", "tags"]})


@cache
def scanning() -> Redactor:
    return redactor_of({"mode": "scan", "packs": PACKS})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"user":{"email":"ann@example.com"}}', '{"user":{"email":"⟦email …@example.com⟧"}}'),
        ('{"USER":{"e-Mail":"ann@example.com"}}', '{"USER":{"e-Mail":"⟦email …@example.com⟧"}}'),
        ('{"us\\u0065r":{"em\\u0061il":"ann@example.com"}}', '{"us\\u0065r":{"em\\u0061il":"⟦email …@example.com⟧"}}'),
        ('{"user.email":"ann@example.com"}', '{"user.email":"⟦email …@example.com⟧"}'),
        ('{"user":[[{"email":"ann@example.com"}]]}', '{"user":[[{"email":"⟦email …@example.com⟧"}]]}'),
        ('{"user":{"email":"no address"}}', '{"user":{"email":"⟦field⟧"}}'),
        ("user.email=ann@example.com", "user.email=⟦email …@example.com⟧"),
        ('user.email="ann@example.com" x=1', 'user.email="⟦email …@example.com⟧" x=1'),
        ('{"headers":{"a":1,"b":["x",null,true],"c":"","host":"h"}}',
         '{"headers":{"a":"⟦field⟧","b":["⟦field⟧","⟦field⟧","⟦field⟧"],"c":"","host":"h"}}'),
        ('{"headers":"one","headers":"two"}', '{"headers":"⟦field⟧","headers":"⟦field⟧"}'),
        ('{"headers":-1.5e3 , "x":[1]}', '{"headers":"⟦field⟧" , "x":[1]}'),
        ('{"headers":"never closed', '{"headers":"⟦field⟧'),
        ('{"headers":"one"} {"headers":"two"}', '{"headers":"⟦field⟧"} {"headers":"⟦field⟧"}'),
        ('{"headers":"one" oops "headers":"two"', '{"headers":"⟦field⟧" oops "headers":"two"'),
        ('level=info headers="a b"c plain', 'level=info headers="⟦field⟧"c plain'),
        ('level=info headers=a"b c"d plain', "level=info headers=⟦field⟧ plain"),
        ('{"trace_id":"4111111111111111","card":"4111111111111111"}',
         '{"trace_id":"4111111111111111","card":"⟦card …1111⟧"}'),
        ('{"trace_id":4111111111111111}', '{"trace_id":4111111111111111}'),
        ('{"trace_id":"ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d"}', '{"trace_id":"⟦github-token⟧"}'),
        ('{"trace_id":"by ann@example.com"}', None),
        ('{"login":"by ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d"}', '{"login":"⟦github-token⟧"}'),
        ('{"db":{"password":"hunter2"}}', '{"db":{"password":"⟦password⟧"}}'),
        ("nothing structured, 4111111111111111", "nothing structured, ⟦card …1111⟧"),
        ("[" * 65, LINE),
        ('{"a":' * 65, LINE),
        ("a." * 65 + "=1", LINE),
    ],
)  # fmt: skip
def test_treatments_by_path(line: str, expected: str | None) -> None:
    out = seen(by_fields(), line)
    assert "ann@" not in out
    assert expected is None or out == expected


def test_a_pseudonym_by_path_is_the_one_of_the_class_and_equal_however_it_is_written() -> None:
    found = seen(by_fields(), '{"user":{"name":"ann@example.com"},"msg":"by ann@example.com"}')
    assert len(set(_tokens(found))) == 1
    plain, escaped = seen(by_fields(), '{"login":"Ann Bee"}'), seen(by_fields(), '{"login":"\\u0041nn B\\u0065e"}')
    assert _tokens(plain) == _tokens(escaped)
    assert _tokens(plain) != _tokens(seen(by_fields(), '{"login":"ann bee"}'))
    assert _tokens(plain) == [by_fields().value("login", b"Ann Bee").out.decode()]


def _tokens(text: str) -> list[str]:
    return [part.partition("⟧")[0].join("⟦⟧") for part in text.split("⟦")[1:]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"ts":1,"msg":"hi","x":2,"user":{"id":7,"name":"Ann"}}',
         '{"ts":1,"msg":"hi","x":"⟦masked⟧","user":{"id":7,"name":"⟦masked⟧"}}'),
        ('{"msg":{"inner":1},"tags":["a",["b",{"c":1}]]}', '{"msg":{"inner":"⟦masked⟧"},"tags":["a",["b",{"c":"⟦masked⟧"}]]}'),
        ('{"msg":"card 4111111111111111"}', '{"msg":"card ⟦card …1111⟧"}'),
        ('{"msg":"{\\"password\\":\\"hunter2\\"}"}', '{"msg":"{\\"password\\":\\"⟦password⟧\\"}"}'),
        ('{"x":"ghp_u8jzPde0IgxLd6GncfBAepfJBd0Kh8oOOL8d"}', '{"x":"⟦masked⟧"}'),
        ('ts=1 msg="a b" x=2 y="c d" z=', 'ts=1 msg="a b" x=⟦masked⟧ y="⟦masked⟧" z='),
        ("ts=1 word", LINE),
        ("plain words", LINE),
        ("2026-01-01 msg=x", LINE),
        ('{"msg":"x"} y', LINE),
        ('{"msg":"x"}{"msg":"y"}', LINE),
        ('{"msg":"x"', LINE),
        ('{"msg":"x",}', LINE),
        ("{'msg':'x'}", LINE),
        ('"x"', LINE),
        ("5", LINE),
        ('msg="never closed', LINE),
        ('msg=a"b', LINE),
        ("[" * 64 + "]" * 64, "[" * 64 + "]" * 64),
        ("[" * 65 + "]" * 65, LINE),
        ("", ""),
        ("\t", "\t"),
        ('[1,"x"]', '["⟦masked⟧","⟦masked⟧"]'),
    ],
)  # fmt: skip
def test_only_listed_fields_pass(line: str, expected: str) -> None:
    assert seen(allowing(), line) == expected
    assert seen(allowing(), line + "\r") == expected + "\r"


def test_labels_metadata_and_decoded_values_go_by_their_names() -> None:
    def value(redactor: Redactor, name: str, text: str) -> str:
        return redactor.value(name, text.encode()).out.decode()

    assert [value(allowing(), one, "v") for one in ("msg", "user_id", "user.id", "USER-ID")] == ["v"] * 4
    assert [value(allowing(), one, "v") for one in ("pod", "user", "user_id_x", "m" * 300)] == ["⟦masked⟧"] * 4
    assert value(allowing(), "pod", "") == ""
    assert value(allowing(), "msg", "{} by password=hunter2") == "{} by password=⟦password⟧"
    assert allowing().value(None, b"user_name").out == b"user_name"
    assert [allowing().names(one) for one in ("msg", "pod", "password")] == [False, True, True]
    assert [value(by_fields(), one, "v") for one in ("headers", "headers_x_y", "headershost", "pod")] == [
        "⟦field⟧", "v", "v", "v",
    ]  # fmt: skip
    assert value(by_fields(), "user_email", "ann@example.com") == "⟦email …@example.com⟧"
    assert value(by_fields(), "trace_id", "4111111111111111") == "4111111111111111"
    assert value(by_fields(), "trace_id", "password=hunter2") == "password=⟦password⟧"
    assert value(by_fields(), "login", "x password=hunter2") == "⟦field⟧"
    assert value(by_fields(), "db_password", "hunter2") == "⟦password⟧"
    assert [by_fields().names(one) for one in ("login", "trace_id", "pod", "user_email")] == [True, False, False, True]


def test_of_several_profiles_the_strictest_counts() -> None:
    conceding = {"mode": "fields", "packs": PACKS, "fields": {"user": {"partial": "domain"}, "id": "keep", "x": "mask"}}
    scanning = {"mode": "scan", "packs": PACKS}
    listing = {"mode": "allow", "packs": (), "allow": ["user", "id", "x"]}
    line = '{"user":"ann@example.com","id":"4111111111111111","x":"v","y":"w"}'
    alone = seen(redactor_of(conceding), line)
    assert alone == '{"user":"⟦email …@example.com⟧","id":"4111111111111111","x":"⟦field⟧","y":"w"}'
    both = redactor_of(conceding, scanning)
    assert "⟦email:" in seen(both, line)
    assert '"id":"⟦card …1111⟧","x":"⟦field⟧","y":"w"' in seen(both, line)
    assert "⟦email:" in both.value("user", b"ann@example.com").out.decode()
    every = redactor_of(conceding, scanning, listing)
    assert seen(every, line).endswith('"x":"⟦field⟧","y":"⟦masked⟧"}')
    assert seen(every, "plain") == LINE
    assert len({both.digest, every.digest, redactor_of(conceding).digest, redactor_of(scanning).digest}) == 4


def test_a_pseudonym_by_path_needs_a_key() -> None:
    document = {"profile": "x", "version": 1, "packs": [], "mode": "fields", "fields": {"a": "pseudonym"}}
    profile = parse_profile(json.dumps(document).encode())
    with pytest.raises(Withheld, match="key_missing"):
        redactor_for([profile.pin], keys=None, marker=MARKER, profiles=[profile])


@pytest.mark.parametrize(
    ("more", "line", "text"),
    [
        ("mode: fields", 4, "the mode fields needs `fields`"),
        ("mode: allow", 4, "the mode allow needs `allow`"),
        ("fields: {a: mask}", 4, "the mode scan takes no `fields`"),
        ("mode: fields\nallow: [a]\nfields: {a: mask}", 5, "the mode fields takes no `allow`"),
        ("mode: fields\nfields: [a]", 5, "`fields` is not a mapping"),
        ("mode: fields\nfields:\n  a: mask\n  b..c: mask", 7, "the path 'b..c' is none"),
        ("mode: fields\nfields:\n  a: hide", 6, "the treatment of a is unknown"),
        ("mode: fields\nfields:\n  a: {partial: half}", 6, "the treatment of a is unknown"),
        ("mode: allow\nallow:\n- a\n- 'b*'", 7, "the path 'b*' is none"),
        ("mode: allow\nallow: [1]", 5, "something that is no text"),
        ("mode: fields\nfields: {a: mask, a: keep}", 5, "twice"),
        ("mode: strict", 4, "`mode` is not one of"),
    ],
)
def test_a_mistake_in_a_profile_is_named_with_its_place(more: str, line: int, text: str) -> None:
    with pytest.raises(ProfileInvalid) as caught:
        parse_profile(f"profile: x\nversion: 1\npacks: []\n{more}\n".encode())
    [fault] = caught.value.faults
    assert text in fault.detail
    assert fault.line == line


def profile(**document: Any) -> Any:
    return parse_profile(json.dumps({"profile": "x", "version": 1, "packs": [], **document}).encode())


SCAN = profile()
TWO, ONE = profile(mode="allow", allow=["a", "b"]), profile(mode="allow", allow=["a"])
TREATED = profile(mode="allow", allow=["a"], fields={"a": "mask"})


@pytest.mark.parametrize(
    ("new", "old", "is_proved"),
    [(TWO, SCAN, True), (ONE, TWO, True), (TWO, ONE, False), (SCAN, ONE, False), (TREATED, ONE, False),
     (ONE, TREATED, False), (ONE, ONE, True), (profile(mode="fields", fields={"a": "mask"}), SCAN, False)],
)  # fmt: skip
def test_a_mode_counts_where_a_profile_has_to_be_provably_not_weaker(new: Any, old: Any, is_proved: bool) -> None:
    assert (weaknesses(new, old, ()) == []) is is_proved


def test_long_and_broken_lines_take_no_longer_than_they_are() -> None:
    """Each of these would take hours if anything in it were looked at again and again."""
    for line in ('{"a":"' + "\\" * 100_001, '{"a":[' + "1," * 60_000, "a='" * 60_000, 'a="' * 60_000, "[{" * 80_000,
                 '{"' + "a." * 100_000 + '":1}', "{" * 200_000, '{"a":' + " " * 200_000, "=" * 200_000):  # fmt: skip
        assert seen(made(3), line) in (LINE, seen(made(4), line))
        assert "⟦" in seen(made(0), line) or seen(made(0), line) == line


@pytest.mark.parametrize("making", [by_fields, scanning], ids=["fields", "scan"])
def test_a_number_with_an_exponent_gets_quotes_where_a_key_names_it(making: Callable[[], Redactor]) -> None:
    assert json.loads(seen(making(), '{"password":1e+16,"n":[2]}')) == {"password": "⟦password⟧", "n": [2]}


def test_null_in_an_array_that_a_key_names_is_a_value_of_its_own() -> None:
    out = seen(scanning(), '{"password":[null,1234,"abcd"]}')
    assert json.loads(out) == {"password": [None, "⟦password⟧", "⟦password⟧"]}

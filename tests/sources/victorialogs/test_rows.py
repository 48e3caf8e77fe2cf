from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.victorialogs import stream_text

from loglease.model.labels import labels_of
from loglease.sources.interface import SourceError, SourceLimit, SourceProtocol
from loglease.sources.paging import Row
from loglease.sources.victorialogs.rows import labels_in, row_of, streams_in

GOOD = {"_time": "2026-11-20T00:00:00.000000001Z", "_stream": '{a="b"}', "_msg": "hello", "_stream_id": "0"}
NAMES = st.text("abcé._-/ ,", min_size=1, max_size=5)


def record(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not None}).encode()


def test_a_record_is_a_row() -> None:
    row = row_of(record(a="b", level="info", user="7"))
    assert row == Row(1_795_132_800_000_000_001, (("a", "b"),), b"hello", (("level", "info"), ("user", "7")))


def test_a_field_that_only_has_the_name_of_a_label_is_metadata() -> None:
    assert row_of(record(a="other")).metadata == (("a", "other"),)


def test_a_line_keeps_its_bytes_and_loses_one_newline_at_its_end() -> None:
    assert row_of(record(_msg=" a\nb\n\n")).line == b" a\nb\n"
    assert row_of(record(_msg=None)).line == b""
    raw = record(_msg="hello", x="y").replace(b"hello", b"\xff\xfe hello").replace(b'"y"', b'"\xff"')
    assert row_of(raw).line == b"\xff\xfe hello"
    assert row_of(raw).metadata == (("x", "\ufffd"),)
    lone = record(_msg="hello").replace(b"hello", b"\\ud800")
    assert row_of(lone).line == "\ud800".encode("utf-8", "surrogatepass")


@given(st.dictionaries(NAMES, st.text(min_size=1), max_size=5))
def test_labels_are_read_as_they_were_written(labels: dict[str, str]) -> None:
    whole = {name: value.encode("utf-8", "replace").decode() for name, value in labels.items()}
    assert labels_in(stream_text(whole)) == labels_of(whole)


@pytest.mark.parametrize(
    ("escaped", "value"),
    [
        (r"\x7f\a\b\f\n\r\t\v\\\"", '\x7f\a\b\f\n\r\t\v\\"'),
        (r"\u00a0\u2028\U0001f600", "\u00a0\u2028\U0001f600"),
        (r"\xff\ud800\U00110000", "\ufffd\ufffd\ufffd"),
        (r"\101", "A"),
        ("é", "é"),
    ],
)
def test_the_escapes_of_go_are_read(escaped: str, value: str) -> None:
    assert labels_in(f'{{a="{escaped}"}}') == (("a", value),)


@pytest.mark.parametrize(
    "text",
    ["", "{", "a", '{a="b"', '{a="b",}', '{a="b" c="d"}', '{a="b",a="c"}', '{="b"}', "{a=b}", '{a="\\q"}', '{a="b}', "{a='b'}", '{a="b"}}', '{a="b\\"}'],
)  # fmt: skip
def test_what_is_no_stream_is_refused(text: str) -> None:
    with pytest.raises(SourceProtocol):
        labels_in(text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"7",
        b"null",
        b"{",
        b'{"a":"b"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff{",
        record(_time=None),
        record(_time="yesterday"),
        record(_time="2026-13-01T00:00:00Z"),
        record(_time=7),
        record(_stream=None),
        record(_stream=["a"]),
        record(_msg=7),
        record(_msg={"a": "b"}),
        record(a=None, b=True),
        record(a=[[[[["deep"]]]]]),
        b"\xff" + record(),
        record(_msg=7).replace(b"7", b'{"a":"\xff"}'),
    ],
)
def test_nonsense_is_an_error_and_nothing_of_it_is_told(raw: bytes) -> None:
    with pytest.raises(SourceError) as caught:
        row_of(raw)
    assert type(caught.value) is SourceProtocol
    assert caught.value.message == "The source answered what VictoriaLogs does not."


def test_a_line_has_an_end_to_its_fields_and_labels() -> None:
    with pytest.raises(SourceLimit):
        row_of(record(**{f"f{number}": "x" for number in range(3_000)}))
    with pytest.raises(SourceLimit):
        labels_in(stream_text({f"l{number}": "x" for number in range(101)}))


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b'{"values":7}', b'{"values":[7]}', b'{"values":[{"value":7}]}', b'{"values":[{"hits":7}]}'])  # fmt: skip
def test_what_is_no_list_of_streams_is_refused(raw: bytes) -> None:
    with pytest.raises(SourceProtocol):
        streams_in(raw)


def test_streams_are_read() -> None:
    assert streams_in(b'{"values":[{"value":"{a=\\"b\\"}","hits":3},{"value":"{}","hits":1}]}') == [(("a", "b"),), ()]

"""Numbers, durations, sizes and strings against the Go programs whose forms they have."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.real.oracle import Oracle

from loglease.logql import ParseError
from loglease.logql.lexer import quoted_string
from loglease.logql.quantities import go_duration, long_duration, number, print_sample, size

pytestmark = pytest.mark.real_go

many = settings(max_examples=400, deadline=None)

digits = st.text("0123456789", max_size=4) | st.integers(0, 1 << 70).map(str)
decimals = st.builds("{}{}{}".format, digits, st.sampled_from(("", ".", ",")), digits)
go_units = st.sampled_from(("ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "", "H"))
go_durations = st.builds(
    "{}{}".format,
    st.sampled_from(("", "-", "+", "--", " ")),
    st.lists(st.builds("{}{}".format, decimals, go_units), max_size=4).map("".join),
)
long_durations = st.lists(
    st.builds("{}{}".format, digits, st.sampled_from(("y", "w", "d", "h", "m", "s", "ms", "ns", ""))), max_size=5
).map("".join)
size_units = st.builds(
    "{}{}{}".format,
    st.sampled_from(("", "k", "K", "m", "M", "g", "T", "p", "E", "Z")),
    st.sampled_from(("", "i", "I")),
    st.sampled_from(("", "b", "B", "c")),
)
blanks = st.sampled_from(("", "", " ", "  ", "\t", "\u00a0"))
signs = st.sampled_from(("", "", "", "-", "+"))
sizes = st.builds("{}{}{}{}{}{}".format, blanks, signs, decimals, blanks, size_units, blanks)
exponents = st.builds("{}{}{}".format, st.sampled_from("eEpP"), signs, digits) | st.just("")
floats = (
    st.builds("{}{}{}{}".format, signs, st.sampled_from(("", "", "0x", "0X", "0b", "0o", "_")), decimals, exponents)
    | st.builds("{}{}".format, signs, st.sampled_from(("inf", "Inf", "INFINITY", "infinit", "nan", "NaN", "nano")))
    | st.floats().map(repr)
)
soup = st.text("0123456789.eExX+-_pPinfaNsmhdµ kKMiBbE,", max_size=8)
escapes = st.sampled_from("abfnrtv\\\"'xuU01234567e ") | st.characters()
strings = st.lists(
    st.characters() | st.builds("\\{}{}".format, escapes, st.text("0123456789abcdefAF", max_size=8)), max_size=4
).map(lambda parts: '"' + "".join(parts) + '"')


@many
@given(go_durations | soup)
@example("9223372036854775807ns")
@example("9223372036854775808ns")
@example("-9223372036854775808ns")
@example("2562047h47m16.854775807s")
@example("0.000000000000000000000000000000000000000000000000000001h")
@example("1.00000000000000000000000000000000000000000000000000000s")
@example(".s")
@example("1e3s")
def test_go_durations(oracle: Oracle, text: str) -> None:
    theirs = oracle.value("go_duration", text)
    assert go_duration(text) == (None if theirs is None else int(theirs))


@many
@given(long_durations | soup)
@example("0")
@example("00")
@example("0s")
@example("292y")
@example("293y")
@example("9223372036854ms")
@example("1h30m")
@example("1m1h")
def test_prometheus_durations(oracle: Oracle, text: str) -> None:
    theirs = oracle.value("prometheus_duration", text)
    assert long_duration(text) == (None if theirs is None else int(theirs))


@many
@given(sizes | soup)
@example("18446744073709551615")
@example("18446744073709551616")
@example("16EiB")
@example("15.999EiB")
@example("1.1.1MB")
@example("1,000.5 kB")
@example("1e3")
@example("0.1KiB")
@example("-1KB")
def test_sizes(oracle: Oracle, text: str) -> None:
    theirs = oracle.value("size", text)
    assert size(text) == (None if theirs is None else int(theirs))


@many
@given(floats | soup)
@example("1e400")
@example("-1e400")
@example("1e-400")
@example("0x1p-1074")
@example("0x1.fffffffffffffp1023")
@example("0x1p1024")
@example("0x_1p4")
@example("1_000")
@example("0x1.8")
@example("+inf")
@example("infinity")
@example("+nan")
def test_floats(oracle: Oracle, text: str) -> None:
    theirs = oracle.value("float", text)
    ours = number(text)
    if theirs is None or ours is None or math.isnan(ours):
        assert str(ours) == str(theirs).replace("NaN", "nan")
    else:
        assert math.copysign(1, ours) == math.copysign(1, float(theirs))
        assert ours == float(theirs)


@many
@given(st.floats())
def test_printed_samples(oracle: Oracle, value: float) -> None:
    assert print_sample(value) == oracle.value("print_float", repr(value))


@many
@given(strings)
@example('"\\377"')
@example('"\\xe2\\x9f\\xa6"')
@example('"\\ud800"')
@example('"\\U00110000"')
@example('"\\400"')
def test_strings(oracle: Oracle, text: str) -> None:
    theirs = oracle.value("unquote", text)
    try:
        ours, end = quoted_string(text, 0)
    except ParseError:
        # What is no UTF-8 is refused on purpose: a query could not show it.
        assert theirs is None or not _is_text(bytes.fromhex(theirs))
        return
    if end < len(text):
        assert theirs is None
        return
    assert theirs is not None
    assert ours.encode() == bytes.fromhex(theirs)


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.instant import MICROSECONDS, parse_instant
from loglease.policy.conditions import ABSENT, BOOL, DURATION, INT, Fault, Field, Listed, Record, Text, Type
from loglease.server.facts.pointers import MISSING, pointer_of
from loglease.server.facts.values import instant_of, value_of

SEVERITY = Text(words=frozenset({"SEV1", "SEV2"}))
INCIDENT = Record({"id": Field(Text()), "severity": Field(SEVERITY), "open_for": Field(DURATION, optional=True)})


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (BOOL, True, True),
        (INT, -5, -5),
        (Text(), "", ""),
        (SEVERITY, "SEV1", "SEV1"),
        (DURATION, "5m", 300 * MICROSECONDS),
        (DURATION, "1h30m", 5_400 * MICROSECONDS),
        (DURATION, "0s", 0),
        (DURATION, 90, 90 * MICROSECONDS),
        (DURATION, 0.25, MICROSECONDS // 4),
        (Listed(Text()), ["a", "b"], ("a", "b")),
        (Listed(DURATION), ["1m", 2], (60 * MICROSECONDS, 2 * MICROSECONDS)),
        (Listed(INT), [], ()),
        (INCIDENT, {"id": "I9", "severity": "SEV1", "more": 1}, {"id": "I9", "severity": "SEV1", "open_for": ABSENT}),
        (
            INCIDENT,
            {"id": "I9", "severity": "SEV1", "open_for": None},
            {"id": "I9", "severity": "SEV1", "open_for": ABSENT},
        ),
    ],
)
def test_what_fits_is_read(kind: Type, raw: object, value: object) -> None:
    found = value_of(kind, raw)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "raw", "told"),
    [
        (BOOL, "true", "bool expected"),
        (BOOL, 1, "bool expected"),
        (INT, True, "int expected"),
        (INT, 3.0, "int expected"),
        (Text(), 5, "string expected"),
        (SEVERITY, ["s3cret"], "one of SEV1, SEV2 expected"),
        (DURATION, "s3cret", "duration expected"),
        (DURATION, -1, "duration expected"),
        (DURATION, True, "duration expected"),
        (DURATION, float("inf"), "duration expected"),
        (Listed(Text()), "s3cret", "list of string expected"),
        (Listed(Text()), ["a", 1], "list of string expected"),
        (Listed(BOOL), {"a": True}, "list of bool expected"),
        (INCIDENT, ["s3cret"], "record of id, severity, open_for expected"),
        (INCIDENT, {"id": "I9"}, "member severity expected"),
        (INCIDENT, {"id": 9, "severity": "SEV1"}, "member id: string expected"),
    ],
)
def test_what_does_not_fit_tells_what_was_expected_and_not_what_came(kind: Type, raw: object, told: str) -> None:
    assert value_of(kind, raw) == Fault(told)


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "5m", "SEV1", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "severity", "open_for", ""]), inner)
    ),
    max_leaves=8,
)
KINDS = st.sampled_from([BOOL, INT, DURATION, Text(), SEVERITY, Listed(BOOL), Listed(DURATION), INCIDENT])


@given(KINDS, JSON)
def test_anything_is_a_value_or_a_fault(kind: Type, raw: object) -> None:
    value_of(kind, raw)


@pytest.mark.parametrize(
    ("raw", "instant"),
    [
        ("2026-11-23T09:30:00Z", parse_instant("2026-11-23T09:30:00Z")),
        ("2026-11-23T10:30:00+01:00", parse_instant("2026-11-23T09:30:00Z")),
        (1_800_000_000, 1_800_000_000 * MICROSECONDS),
        (0.5, MICROSECONDS // 2),
        ("2026-11-23T09:30:00", None),
        ("yesterday", None),
        (1e300, None),
        (float("nan"), None),
        (-1, None),
        (True, None),
        (MISSING, None),
    ],
)
def test_an_instant_is_rfc_3339_or_seconds(raw: object, instant: int | None) -> None:
    assert instant_of(raw) == instant


# RFC 6901, section 5.
DOCUMENT = json.loads(
    '{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\\\j": 5, "k\\"l": 6, " ": 7, "m~n": 8}'
)


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
        ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
        ("/foo/2", MISSING), ("/foo/-", MISSING), ("/foo/00", MISSING), ("/foo/0/0", MISSING), ("/none/x", MISSING),
    ],
)  # fmt: skip
def test_pointers_point_as_the_rfc_says(pointer: str, value: object) -> None:
    assert pointer_of(pointer).of(DOCUMENT) == value


@pytest.mark.parametrize("text", ["foo", "/~", "/~2", "/a" * 17])
def test_what_is_no_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="JSON pointer"):
        pointer_of(text)


@given(st.lists(st.text(st.sampled_from("a/~0 é"), max_size=4), max_size=5))
def test_any_path_of_members_has_a_pointer(names: list[str]) -> None:
    document: object = "found"
    for name in reversed(names):
        document = {name: document}
    written = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    assert pointer_of(written).of(document) == "found"

from __future__ import annotations

import json

import pytest

from loglease.model.labels import Selector, matcher_of, selector_of
from loglease.sources.interface import SourceLimit, SourceProtocol
from loglease.sources.journald.entries import MATCHES_BYTES, Entry, entry_of, matches_of
from loglease.sources.paging import Row

NAMES = frozenset({"systemd_unit", "hostname"})
GOOD = {"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1795000000000001", "MESSAGE": "hello"}


def record(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value != "gone"}).encode()


def row(**changes: object) -> Row:
    return entry_of(record(**changes), NAMES).row


def test_an_entry_is_a_row_whose_labels_only_journald_can_set() -> None:
    found = entry_of(
        record(_SYSTEMD_UNIT="a.service", _PID="7", PRIORITY="6", __MONOTONIC_TIMESTAMP="1", HOSTNAME="x"), NAMES
    )
    metadata = (("_pid", "7"), ("hostname", "x"), ("priority", "6"))
    assert found == Entry(
        "s=1;i=2", Row(1_795_000_000_000_001_000, (("systemd_unit", "a.service"),), b"hello", metadata)
    )


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("a\nb", b"a\nb"),
        ("a\n", b"a"),
        ([104, 105, 255, 0], b"hi\xff\x00"),
        (["one", "two"], b"one\ntwo"),
        ([[104, 105], "two"], b"hi\ntwo"),
        ([], b""),
        ("gone", b""),
    ],
)
def test_a_message_has_many_shapes(message: object, line: bytes) -> None:
    assert row(MESSAGE=message).line == line


def test_a_message_that_was_withheld_says_so() -> None:
    assert (row(MESSAGE=None).line, row(MESSAGE=None).metadata) == (b"", (("unreadable", "too_large"),))


@pytest.mark.parametrize("value", [["a.service", "b.service"], None, []])
def test_a_field_that_is_not_one_value_is_no_label(value: object) -> None:
    assert row(_SYSTEMD_UNIT=value, _HOSTNAME="h").labels == (("hostname", "h"),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"7",
        b"{",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        record(__CURSOR="gone"),
        record(__CURSOR=7),
        record(__CURSOR="a\nRange: b"),
        record(__CURSOR="é"),
        record(__REALTIME_TIMESTAMP="gone"),
        record(__REALTIME_TIMESTAMP=7),
        record(__REALTIME_TIMESTAMP="-7"),
        record(__REALTIME_TIMESTAMP="٧"),
        record(__REALTIME_TIMESTAMP="1" * 17),
        record(MESSAGE=7),
        record(MESSAGE={"a": "b"}),
        record(MESSAGE=[256]),
        record(MESSAGE=[-1]),
        record(MESSAGE=[[1, "a"]]),
        record(MESSAGE=[[[1]]]),
        record(MESSAGE=[True, "a"]),
        record(_HOSTNAME=True),
        record(X={"deep": {"deeper": []}}),
    ],
)
def test_nonsense_is_an_error_and_nothing_of_it_is_told(raw: bytes) -> None:
    with pytest.raises(SourceProtocol) as caught:
        entry_of(raw, NAMES)
    assert caught.value.message == "The source answered what systemd-journal-gatewayd does not."


def test_an_entry_has_an_end_to_its_fields() -> None:
    with pytest.raises(SourceLimit):
        entry_of(record(**{f"F{number}": "x" for number in range(3_000)}), NAMES)


def selector(**values: object) -> Selector:
    matchers = {name: matcher_of(**how) for name, how in values.items()}
    return selector_of({name: matcher for name, matcher in matchers.items() if matcher is not None})


def test_exact_values_are_pushed_each_field_from_one_origin() -> None:
    chosen = selector(systemd_unit={"exact": ["b", "a"]}, hostname={"exact": ["h"]})
    found = matches_of(chosen, NAMES)
    assert found.pushed == (("_HOSTNAME", "h"), ("_SYSTEMD_UNIT", "a"), ("_SYSTEMD_UNIT", "b"))
    assert found.left == Selector()


@pytest.mark.parametrize(
    "how",
    [
        {"prefixes": ["a"]},
        {"exact": ["b"], "prefixes": ["a"]},
        {"any_value": True},
        {"any_value": True, "except_exact": ["x"]},
        {"exact": ["x" * MATCHES_BYTES]},
    ],
)
def test_everything_else_is_left_to_us(how: dict[str, object]) -> None:
    chosen = selector(systemd_unit=how, hostname={"exact": ["h"]})
    found = matches_of(chosen, NAMES)
    assert found.pushed == (("_HOSTNAME", "h"),)
    assert found.left.matcher("systemd_unit") == chosen.matcher("systemd_unit")


def test_a_field_that_is_no_label_is_never_a_match() -> None:
    found = matches_of(selector(priority={"exact": ["6"]}), NAMES)
    assert found.pushed == ()
    assert found.left.keys == {"priority"}

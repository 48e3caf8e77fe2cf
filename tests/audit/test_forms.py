"""What is told fast to be an entry is one; and what servers record is told fast."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.audit.drafts import draft, drafts
from tests.volume import volume

from loglease.audit.entry import MAX_ENTRY_BYTES, entry_bytes, entry_of
from loglease.audit.forms import check_form, first_without_form, is_plain
from loglease.audit.interface import Draft, EntryInvalid
from loglease.audit.types import ENTRY_TYPES
from loglease.model.instant import Instant

AT = Instant(1_790_000_000_000_000)
spots = st.integers(0, 20_000)
changes = st.lists(
    st.tuples(st.sampled_from(["set", "cut", "double", "swap"]), spots, st.binary(max_size=3)), max_size=3
)


def changed(content: bytes, kind: str, spot: int, put: bytes) -> bytes:
    spot %= len(content) or 1
    match kind:
        case "set":
            return content[:spot] + put + content[spot + len(put) :]
        case "cut":
            return content[:spot] + content[spot + max(1, len(put)) :]
        case "double":
            return content[:spot] + put + content[spot:]
        case _:
            return content[spot:] + content[:spot]


def is_entry(content: bytes) -> bool:
    try:
        entry_of(content)
    except EntryInvalid:
        return False
    return True


@settings(max_examples=volume(100, 400), deadline=None)
@given(drafts(), changes)
def test_what_is_plain_is_an_entry(one: Draft, made: list[tuple[str, int, bytes]]) -> None:
    content = entry_bytes(one, AT)
    for kind, spot, put in made:
        content = changed(content, kind, spot, put)
    if is_plain(content):
        assert is_entry(content)


@settings(max_examples=volume(50, 200), deadline=None)
@given(drafts())
def test_ascii_without_escapes_is_plain(one: Draft) -> None:
    content = entry_bytes(one, AT)
    odd = re.search(rb'\\|[^ -~]|":-?[0-9]{16}', content)  # numbers of a quadrillion and more are read whole
    assert is_plain(content) or odd


@pytest.mark.parametrize("name", sorted(ENTRY_TYPES))
@settings(max_examples=5, deadline=None)
@given(st.data())
def test_every_type_has_a_pattern(name: str, data: st.DataObject) -> None:
    one = data.draw(drafts_of(name))
    content = entry_bytes(one, AT)
    check_form(content)
    assert is_entry(content)


def drafts_of(name: str) -> st.SearchStrategy[Draft]:
    from tests.audit.drafts import objects

    kind = ENTRY_TYPES[name]
    return st.builds(lambda ref, data: draft(1, type=name, ref=ref, data=data), objects(kind.ref), objects(kind.data))


@pytest.mark.parametrize(
    "text", ["", "x" * 512, "a\\b", 'a"b', "tab\t", "ü" * 256, "\u2028", "\x7f", "😀", "a/b <c> & 'd'"]
)
def test_any_text_is_taken(text: str) -> None:
    check_form(entry_bytes(draft(1, data={"digest_sha256": "a" * 64, "reviews": [text]}), AT))


def test_the_first_of_several_that_is_none_is_told() -> None:
    good = [entry_bytes(draft(number), AT) for number in range(3)]
    other = entry_bytes(draft(4, type="request.expired", data={}), AT)
    foreign = entry_bytes(draft(5, data={"digest_sha256": "a" * 64, "reviews": ["ü"]}), AT)
    assert first_without_form([*good, other, foreign, *good, other]) is None
    assert first_without_form([]) is None
    for wrong in (b"{}", good[0] + b" ", entry_bytes(draft(1), AT).replace(b"rev_1", b"x" * 17_000)):
        for place in range(4):
            entries = [*good, other]
            entries[place] = wrong
            found = first_without_form([*entries, wrong])
            assert found is not None
            assert found[0] == place


def test_an_entry_has_16384_bytes_at_most() -> None:
    texts = ["x" * 512] * 31
    short = entry_bytes(draft(1, data={"digest_sha256": "a" * 64, "reviews": [*texts, ""]}), AT)
    last = "x" * (MAX_ENTRY_BYTES - len(short))
    longest = entry_bytes(draft(1, data={"digest_sha256": "a" * 64, "reviews": [*texts, last]}), AT)
    assert len(longest) == MAX_ENTRY_BYTES
    check_form(longest)
    assert is_plain(longest)
    assert first_without_form([longest, longest]) is None
    longer = longest.replace(b'x"]', b'xx"]')
    assert len(longer) == MAX_ENTRY_BYTES + 1
    assert not is_plain(longer)
    with pytest.raises(EntryInvalid, match="at most 16,384 bytes, not 16,385"):
        check_form(longer)
    for before in ([], [longest]):
        found = first_without_form([*before, longer])
        assert found is not None
        assert found[0] == len(before)


GOOD = entry_bytes(draft(1), AT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b'"v":1', b'"v":2'),
        GOOD.replace(b'"v":1', b'"v":1.0'),
        GOOD.replace(b"request.approved", b"request.approves"),
        GOOD.replace(b"a" * 64, b"A" * 64),
        GOOD.replace(b"a" * 64, b"a" * 63),
        GOOD.replace(b"rev_1", b"x" * 513),
        GOOD.replace(b"rev_1", b"\xff"),
        GOOD.replace(b"rev_1", b"\\u0041"),
        GOOD.replace(b"2026-", b"2026-02-30T00:00:00.000000Z"[:5]).replace(b"2026-09", b"2026-13"),
        GOOD.replace(b'"reviews":["rev_1"]', b'"reviews":["rev_1"],"reviews":["rev_1"]'),
        GOOD.replace(b'"reviews":["rev_1"]', b'"reviews":["rev_1",]'),
        GOOD.replace(b'"reviews":["rev_1"]', b'"extra":1,"reviews":["rev_1"]'),
        GOOD.replace(b'"id":"ent_', b'"id":"req_'),
        GOOD.replace(b"sub_somebody", b"somebody"),
        GOOD.replace(b'"ref":{"request":"req_1"}', b'"ref":{}'),
    ],
)
def test_what_is_no_entry_is_refused(content: bytes) -> None:
    assert content != GOOD
    with pytest.raises(EntryInvalid):
        check_form(content)


@given(st.integers(-(2**53) - 5, 2**53 + 5))
@example(2**53)
@example(-(2**53))
@example(10**15)
def test_whole_numbers_keep_their_bounds(number: int) -> None:
    content = entry_bytes(draft(1, type="request.countered", data={"counter": 7, "terms_sha256": "b" * 64}), AT)
    other = content.replace(b'"counter":7', b'"counter":%d' % number)
    if is_plain(other):
        assert is_entry(other)
    assert (abs(number) < 2**53) == is_entry(other)


@pytest.mark.parametrize("day", ["2024-02-29", "2025-02-29", "2026-04-31", "2026-12-31", "1999-01-01", "2026-00-10"])
def test_days_are_those_of_the_calendar(day: str) -> None:
    content = GOOD.replace(GOOD[GOOD.index(b'"at":"') + 6 :][:10], day.encode())
    if is_plain(content):
        assert is_entry(content)

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.sources.files.segments import (
    PREFIX_BYTES,
    FrameDamaged,
    Lines,
    decode_frame,
    encode_frame,
    frames,
    header_of,
)

TEXT = st.sampled_from([b"", b"a", b"two\nlines", b"\xff\xfe", b"\n", b"x" * 50, b"tail\r"])
PAIRS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=2).map(tuple)


@st.composite
def lines(draw: st.DrawFn) -> Lines:
    text = draw(st.lists(TEXT, max_size=12))
    size = len(text)
    times = array("q", draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=size, max_size=size)))
    numbers = st.integers(0, 2**32 - 1)
    many = st.lists(numbers, min_size=size, max_size=size).map(lambda column: array("I", column))
    metadata = draw(st.dictionaries(st.integers(0, max(0, size - 1)), PAIRS, max_size=2)) if size else {}
    return Lines(draw(numbers | many), times, text, metadata)


@given(lines(), st.dictionaries(st.sampled_from("sfp"), st.integers(0, 9)), st.booleans())
def test_a_frame_gives_back_what_was_put_in(column, header, compress):
    data = encode_frame(column, header, compress=compress)
    [frame] = frames(data)
    assert decode_frame(data, frame) == column
    assert header_of(data, frame) == header
    assert frame.count == len(column)
    if column.text:
        assert (frame.first_ns, frame.last_ns) == (min(column.ts), max(column.ts))


@pytest.mark.parametrize("compress", [False, True])
def test_large_frames(compress):
    column = Lines(7, array("q", range(5_000)), [b"line %d" % number for number in range(5_000)])
    data = encode_frame(column, compress=compress)
    [frame] = frames(data)
    assert decode_frame(data, frame) == column
    assert (len(data) < 60_000) is compress


@given(st.lists(lines(), min_size=1, max_size=4), st.data())
def test_a_cut_leaves_the_frames_before_it(columns, data):
    whole = [encode_frame(column) for column in columns]
    text = b"".join(whole)
    cut = data.draw(st.integers(0, len(text)))
    ends = [sum(map(len, whole[: index + 1])) for index in range(len(whole))]
    found = list(frames(text[:cut]))
    assert [frame.end for frame in found] == [end for end in ends if end <= cut]


@given(lines(), st.data())
def test_a_changed_byte_is_noticed(column, data):
    text = bytearray(encode_frame(column, {"p": {"1": [5, None]}}))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = list(frames(bytes(text)))
    except FrameDamaged:
        return
    assert found == []  # its size is changed, so that it seems to be cut off


def test_zeros_are_no_frame():
    with pytest.raises(FrameDamaged):
        list(frames(bytes(PREFIX_BYTES)))

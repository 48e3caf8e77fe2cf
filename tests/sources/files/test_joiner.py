from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.sources.files.joiner import LineSplitter, Run, joiner_of

SECOND = 10**9
TEXT = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\r", b" x", b"\xff", b"E1"]), max_size=40).map(b"".join)


def split(data: bytes, cuts: list[int], limit: int = 100) -> tuple[list[bytes], int, LineSplitter]:
    splitter = LineSplitter(limit)
    lines, size, start = [], 0, 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        for run in splitter.feed(data[start:cut]):
            lines += run.entries
            size += run.size
        start = cut
    return lines, size, splitter


@pytest.mark.attack("RD-01")
@given(TEXT, st.lists(st.integers(0, 60), max_size=5))
def test_lines_do_not_depend_on_how_the_bytes_come(data, cuts):
    lines, size, splitter = split(data, cuts)
    whole = data.split(b"\n")
    assert lines == whole[:-1]
    assert size + splitter.unfinished == len(data)
    assert splitter.flush() == (Run([whole[-1]], len(whole[-1])) if whole[-1] else None)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.lists(st.integers(0, 200), max_size=6))
def test_a_long_line_keeps_one_byte_more_than_the_limit(lengths, cuts):
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    lines, size, _ = split(data, cuts, limit=10)
    assert [len(line) for line in lines] == [min(length, 11) for length in lengths]
    assert size == len(data)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_cut_line_stays_longer_than_the_limit(end):
    for data in (b"x" * 10 + b"\ry" + end, b"x" * 10 + b"\r" + b"y" * 50 + end):
        for cuts in ([], [3, 11], [12]):
            lines, _, _ = split(data, cuts, limit=10)
            [entry] = [e for run in joiner_of(None).feed(Run(lines, len(data)), 0) for e in run.entries]
            assert len(entry) == 11


@pytest.mark.attack("RD-03")
def test_memory_of_a_long_line_is_bounded():
    splitter = LineSplitter(1 << 20)
    for _ in range(40):
        assert list(splitter.feed(b"x" * (256 << 10))) == []
    assert splitter._kept == (1 << 20) + 1
    assert splitter.unfinished == 10 << 20
    [run] = splitter.feed(b"\n")
    assert (len(run.entries[0]), run.size) == ((1 << 20) + 1, (10 << 20) + 1)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_late_end_of_a_line_that_was_taken_is_no_empty_line(end):
    splitter = LineSplitter(100)
    assert list(splitter.feed(b"half")) == []
    assert splitter.flush() == Run([b"half"], 4)
    assert list(splitter.feed(end)) == []
    assert splitter.unfinished == len(end)
    assert list(splitter.feed(b"next\n")) == [Run([b"next"], 5 + len(end))]


def test_the_late_rest_of_a_line_that_was_taken_is_a_line():
    splitter = LineSplitter(100, midline=True)
    assert list(splitter.feed(b" rest\n\n")) == [Run([b" rest", b""], 7)]


def join(rule: str | None, data: bytes) -> list[bytes]:
    joiner = joiner_of(rule)
    lines = data.split(b"\n")
    done = list(joiner.feed(Run(lines, len(data) + 1), 0))
    last = joiner.due(0, force=True)
    runs = [*done, *([last] if last else [])]
    assert sum(run.size for run in runs) == len(data) + 1
    return [entry for run in runs for entry in run.entries]


def test_plain_lines_lose_their_carriage_return():
    assert join(None, b"a\r\nb\nc\r\r") == [b"a", b"b", b"c\r"]


def test_java_traces_join():
    data = b"ERROR java.lang.X: no\n\tat a.b(C.java:1)\n\tat a.c\nCaused by: java.io.Y\n\tat d\n\t... 3 more\nINFO next"
    assert join("trace", data) == [data.rpartition(b"\n")[0], b"INFO next"]


def test_python_tracebacks_join_with_the_line_that_ends_them():
    trace = b'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    f()\nValueError: bad'
    chained = b"\n\nDuring handling of the above exception, another exception occurred:\n\n" + trace
    assert join("trace", b"ERROR oops\n" + trace + b"\nINFO next") == [b"ERROR oops\n" + trace, b"INFO next"]
    assert join("trace", b"ERROR oops\n" + trace + chained + b"\nINFO next") == [
        b"ERROR oops\n" + trace + chained,
        b"INFO next",
    ]


def test_a_blank_line_behind_a_traceback_is_a_line_of_its_own():
    trace = b"E\nTraceback (most recent call last):\n  a\nValueError: bad"
    assert join("trace", trace + b"\n\nINFO next") == [trace, b"", b"INFO next"]
    assert join("trace", trace + b"\n") == [trace, b""]


def test_a_start_pattern_opens_groups():
    assert join(r"start: \d{4}-", b"  lost head\n2026-1\r\n a\r\nb\n2026-2\n\nc") == [
        b"  lost head",
        b"2026-1\n a\nb",
        b"2026-2\n\nc",
    ]


def test_a_group_ends_after_a_wait():
    joiner = joiner_of("trace")
    assert list(joiner.feed(Run([b"a", b" b"], 5), 0)) == []
    assert joiner.due(SECOND - 1) is None
    assert joiner.due(SECOND) == Run([b"a\n b"], 5)
    assert joiner.due(5 * SECOND) is None


def test_a_group_ends_at_a_thousand_lines_and_at_a_mebibyte():
    assert [entry.count(b"\n") + 1 for entry in join("trace", b"\n".join([b"a"] + [b" b"] * 2_499))] == [
        1_000,
        1_000,
        500,
    ]
    groups = join("trace", b"\n".join([b"a"] + [b" " + b"x" * 9_999] * 300))
    assert all(len(group) <= 1 << 20 for group in groups)
    assert b"\n".join(groups).count(b"x") == 300 * 9_999


LINES = st.lists(
    st.sampled_from([b"a", b" b", b"", b"Traceback (most recent call last):", b"Caused by: x", b"... 3 more",
                     b"During handling of the above exception, another", b"2026 x", b"\tat y\r"]), min_size=1,
)  # fmt: skip


@given(LINES, st.sampled_from(["trace", "start: 2026"]), st.lists(st.integers(1, 5)))
def test_joining_keeps_every_line_and_every_byte_of_the_file(lines, rule, stretches):
    joiner = joiner_of(rule)
    runs: list[Run] = []
    rest = list(lines)
    for stretch in [*stretches, len(lines)]:
        part, rest = rest[:stretch], rest[stretch:]
        if part:
            runs += joiner.feed(Run(part, sum(len(line) + 1 for line in part)), 0)
            assert sum(run.size for run in runs) + joiner.pending == sum(
                len(line) + 1 for line in lines[: len(lines) - len(rest)]
            )
    last = joiner.due(0, force=True)
    runs += [last] if last else []
    entries = [entry for run in runs for entry in run.entries]
    assert b"\n".join(entries) == b"\n".join(line.removesuffix(b"\r") for line in lines)

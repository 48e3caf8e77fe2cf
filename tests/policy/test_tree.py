"""Strict YAML: each trap, each limit, exact places, and one verdict whatever parser is installed."""

from __future__ import annotations

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.volume import volume

from loglease.policy import tree
from loglease.policy.problems import At, Problems
from loglease.policy.tree import Items, Node, Scalar, Table

FORMS = st.sampled_from(
    [
        *("a", "b", "key", ":", ": ", "- ", "-", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", ", ", "'", '"', "#"),
        *(" #", "?", "? ", "|", ">", "|-\n", "|2\n", " ", "  ", "&a ", "*a", "!t ", "!", "%", "@", "`", "---"),
        *("\n---\n", "\n...\n", "1", "no", "~", "<<", "\\", "\\n", "x: y", "k: [a, b]", "k: {a: b}", "é", "😀"),
        *("\r\n", "!!str "),
    ]
)


def read(text: str | bytes, loader: type = tree.FAST) -> tuple[list[Node], list[tuple[At, str, str]]]:
    problems = Problems()
    nodes = tree.documents("f.yaml", text.encode() if isinstance(text, str) else text, problems, loader)
    return nodes, [(one.at, one.code, one.message) for one in problems.found()]


def codes_of(text: str | bytes) -> list[str]:
    return [code for _, code, _ in read(text)[1]]


@pytest.mark.skipif(tree.FAST is tree.PURE, reason="PyYAML was built without its C parser")
def test_the_c_parser_is_what_runs() -> None:
    assert tree.FAST is yaml.CSafeLoader


@given(st.lists(FORMS, max_size=14).map("".join), st.booleans())
@settings(max_examples=volume(150, 600))
def test_both_parsers_accept_reject_and_locate_identically(text: str, within: bool) -> None:
    if within:
        text = f"api: x\nkind: y\nlist:\n  - a\n{text}"
    assert read(text, tree.FAST) == read(text, tree.PURE)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_a_verdict(content: bytes) -> None:
    read(content)


@pytest.mark.parametrize(
    "text", ["[a?]", "|#", "!, ", "{!, ,*a", "a: |2\n   x", "? *a", "?", "!@a!!!str keyno", "- - ? a"]
)
def test_where_the_parsers_are_known_to_differ_one_decides(text: str) -> None:
    assert read(text, tree.FAST) == read(text, tree.PURE)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\na: 2", "P107", 2, 1),
        ("x: {b: 1, b: 2}", "P107", 1, 11),
        ("a: &x 1", "P104", 1, 4),
        ("a: &x 1\nb: *x", "P104", 2, 4),
        ("a: !!str 1", "P105", 1, 4),
        ("a: !x 1", "P105", 1, 4),
        ("a: {<<: {b: 1}}", "P106", 1, 5),
        ("%YAML 1.1\n---\na: 1", "P103", 1, 1),
        ("%TAG ! x\n---\na: 1", "P103", 1, 1),
        ("a:\t1", "P102", 1, 3),
        ("a: 1\n\tb: 2", "P102", 2, 1),
        ('a: "x\\0y"', "P102", 1, 4),
        ("a: \x07", "P102", 1, 4),
        ("a: x\u2028y", "P102", 1, 5),
        ("a: x\x85y", "P102", 1, 5),
        ("\ufeffa: 1", "P102", 1, 1),
        ("a: 1\rb: 2", "P102", 1, 5),
        ("[a]: 1", "P109", 1, 1),
        ("a: [1", "P100", 1, 6),
        ("a: 'x", "P100", 1, 6),
        ("a: b: c", "P100", 1, 5),
        ("a: @x", "P100", 1, 4),
    ],
)
def test_traps_are_refused_where_they_stand(text: str, code: str, line: int, column: int) -> None:
    found = read(text)[1]
    assert (At("f.yaml", line, column, 1), code) in [(At(at.file, at.line, at.column, 1), one) for at, one, _ in found]


def test_a_key_twice_deep_inside_is_found() -> None:
    assert codes_of("a: [{b: {c: {d: 1, d: 2}}}]") == ["P107"]


def test_not_utf8_names_the_line() -> None:
    assert read(b"a: 1\nb: \xff")[1][0][:2] == (At("f.yaml", 2, 1), "P101")
    assert codes_of("a: 1".encode("utf-16")) == ["P101"]


def test_windows_line_ends_are_fine_and_do_not_shift_lines() -> None:
    nodes, problems = read("a: 1\r\nb: 2\r\nb: 3\r\n")
    assert [(at.line, code) for at, code, _ in problems] == [(3, "P107")]
    assert isinstance(nodes[0], Table)


def test_the_alias_bomb_is_refused_in_little_time() -> None:
    levels = "\n".join(f"l{n}: [{', '.join(f'*l{n - 1}' for _ in range(9))}]" for n in range(1, 9))
    bomb = "l0: &l0 x\n" + levels.replace(": [", ": &x [")
    started = time.thread_time()
    assert set(codes_of(bomb)) <= {"P104", "P100"}
    assert time.thread_time() - started < 5


@pytest.mark.parametrize("text", ["[" * 1_000_000, "{a: " * 200_000, "- " * 500_000, "? " * 500_000])
@pytest.mark.parametrize("loader", [tree.FAST, tree.PURE])
def test_nesting_stops_at_once(text: str, loader: type) -> None:
    started = time.thread_time()
    found = read(text, loader)[1]
    assert [code for _, code, _ in found] == ["P108"]
    assert "16 levels" in found[0][2]
    assert time.thread_time() - started < 10


def test_sixteen_levels_are_read_and_seventeen_are_not() -> None:
    assert not codes_of("[" * 15 + "x" + "]" * 15)
    assert codes_of("[" * 16 + "x" + "]" * 16) == ["P108"]


def test_nodes_scalars_and_files_are_bounded() -> None:
    assert codes_of("[" + "x," * 100_001 + "]") == ["P108"]
    assert codes_of("a: " + "x" * (64 * 1024 + 1)) == ["P108"]
    assert not codes_of("a: " + "x" * (64 * 1024))
    assert codes_of("a: " + "é" * (32 * 1024 + 1)) == ["P108"]
    assert codes_of(b"#" * (1024 * 1024 + 1)) == ["P108"]


def test_places_count_characters_and_mark_what_was_written() -> None:
    nodes, _ = read("ü: {\"😀\": [x, 'yy'],\n  b: |\n   z\n}".replace("|\n   z", '"q"'))
    assert isinstance(nodes[0], Table)
    (key, value), *_ = nodes[0].entries
    assert key.at == At("f.yaml", 1, 1, 1)
    assert isinstance(value, Table)
    inner_key, inner = value.entries[0]
    assert inner_key.at == At("f.yaml", 1, 5, 3)
    assert isinstance(inner, Items)
    assert [one.at for one in inner.items] == [At("f.yaml", 1, 11, 1), At("f.yaml", 1, 14, 4)]
    assert value.entries[1][1].at == At("f.yaml", 2, 6, 3)


def test_a_value_that_is_not_there_stands_with_its_key() -> None:
    nodes, _ = read("a:\nb: x")
    assert isinstance(nodes[0], Table)
    assert nodes[0].entries[0][1] == Scalar(At("f.yaml", 1, 1, 1), "", plain=True)


def test_empty_files_and_documents_hold_nothing() -> None:
    assert read("") == ([], [])
    assert read("# only a comment\n---\n---\n") == ([], [])
    assert len(read("a: 1\n---\nb: 2\n---\n")[0]) == 2

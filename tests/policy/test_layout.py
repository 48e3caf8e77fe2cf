"""The layout of policy files: documents and comments stay, and the second time nothing changes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy import world
from tests.volume import volume

from loglease.policy import Bundle, default_files, load
from loglease.policy.layout import laid_out
from loglease.policy.layout.comments import marks_of
from loglease.policy.problems import Problems
from loglease.policy.tree import Items, Node, Scalar, Table, documents

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
TEXTS = [
    *("---\n".join(BLOCK.findall(page.read_text())) for page in sorted(ROOT.glob("docs/*/*.md"))),
    *(content.decode() for content in default_files(["files"]).values()),
    "---\n".join(world.ORGANISATION),
    world.EXAMPLE_TEST,
]


def neat(text: str) -> str:
    found = laid_out("a.yaml", text.encode())
    assert isinstance(found, bytes), "\n".join(one.render() for one in found)
    return found.decode()


def read(text: str) -> list[Node]:
    problems = Problems()
    found = documents("a.yaml", text.encode(), problems)
    assert not problems.found()
    return found


def comments(text: str) -> list[str]:
    return [one.text for one in marks_of(text).comments]


def says(node: Node) -> object:
    match node:
        case Scalar(text=text):
            return text
        case Items(items=items):
            return [says(item) for item in items]
        case Table(entries=entries):
            return {key.text: says(value) for key, value in entries}


def test_layout() -> None:
    assert (
        neat("""\

# about the file
---
kind:   ApproverSet     # what


id: 'leads'
any_of:
- group:a # one

- # two
  group:b
# about none_of
none_of: [ group:c,group:d ]
when: # why
  true # indeed
labels: {env: prod, # only there
         service: {prefix: pay-}}   # these
nested:
-   - a: 1
      b: 2
      # inside
    -   c
    # outside
# further outside
---   # next
help: |
     first

      second
text: "one
  two

  three"
folded: >-
   one
   two
""")
        == """\
# about the file
kind: ApproverSet  # what

id: 'leads'
any_of:
  - group:a  # one

  # two
  - group:b
# about none_of
none_of: [group:c, group:d]
when: true  # why
# indeed
labels:
  env: prod  # only there
  service: {prefix: pay-}  # these
nested:
  - - a: 1
      b: 2
      # inside
    - c
    # outside
# further outside
---  # next
help: |
  first

   second
text: "one two\\nthree"
folded: >-
  one
  two
"""
    )


def test_what_does_not_fit_on_a_line_is_broken_up_from_outside() -> None:
    wide = f"{{a: [{'x' * 50}, {'y' * 55}], b: {{c: {{}}, d: []}}}}"
    assert neat(f"k: {wide}\n") == f"k:\n  a: [{'x' * 50}, {'y' * 55}]\n  b: {{c: {{}}, d: []}}\n"
    exact = "[" + ", ".join("abcd" for _ in range(19)) + "]"
    for pad, broken in ((120 - len(exact) - 2, False), (121 - len(exact) - 2, True)):
        assert ("\n  - abcd" in neat(f"{'k' * pad}: {exact}\n")) is broken


def test_nothing_is_left_of_empty_documents_but_their_comments() -> None:
    assert neat("# a\n---\n# b\n---\n---\na: 1\n...\n# c\n---\n") == "# a\n# b\na: 1\n# c\n"
    assert neat("") == ""
    assert neat("# alone") == "# alone\n"


@pytest.mark.parametrize(
    "text",
    ["a: |2-\n    x\n   y\n", "a: |+\n  x\n\n\nb: 1\n", "a: >+\n  x\n\n\nb: 1\n", "a: |  # why\n  x\n", "- - |\n    x\n  - y\n",
     "a: >\n  x\n\n    y\n  z\n", '"a b": 1\n', "a:\n", "-\n- a\n", "|-\n  x\n", "word\n"],
)  # fmt: skip
def test_what_is_neat_already_stays(text: str) -> None:
    assert neat(text) == text


@pytest.mark.parametrize(
    ("rough", "written"),
    [
        ("a: >2\n   x\n  y\n", 'a: " x\\ny\\n"\n'),
        ("a: |\n\n\nb: 1\n", 'a: ""\nb: 1\n'),
        ("a: |+\n\n\nb: 1\n", 'a: "\\n\\n"\nb: 1\n'),
        ("? a\n: b\n", "a: b\n"),
        ("a: one\n  two\n", "a: one two\n"),
        ("a: one\n\n  two\n", 'a: "one\\ntwo"\n'),
        ("a: [b: c]\n", "a: [{b: c}]\n"),
        ("a: {b: , c: d}\n", "a:\n  b:\n  c: d\n"),
        ("a:\r\n- b\r\n", "a:\n  - b\n"),
        ("key: # one\n  # two\n  value\n", "# one\n# two\nkey: value\n"),
        ("[a, # b\n]", "- a  # b\n"),
    ],
)
def test_rough_forms(rough: str, written: str) -> None:
    assert neat(rough) == written
    assert neat(written) == written
    assert list(map(says, read(rough))) == list(map(says, read(written)))


def test_a_file_of_bad_form_is_refused() -> None:
    found = laid_out("a.yaml", b"a: *b\n")
    assert isinstance(found, list)
    assert [one.code for one in found] == ["P104"]


def test_what_cannot_be_laid_out_without_harm_is_refused() -> None:
    found = laid_out("a.yaml", f"? {'k' * 1_100}\n: v\n".encode())
    assert isinstance(found, list)
    assert [one.code for one in found] == ["P120"]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_files_of_docs_and_tests(text: str) -> None:
    written = neat(text)
    assert list(map(says, read(written))) == list(map(says, read(text)))
    assert comments(written) == comments(text)
    assert neat(written) == written


def test_the_policy_that_ships_is_neat() -> None:
    for name, content in default_files(["files"]).items():
        assert (name, neat(content.decode())) == (name, content.decode())


SAFE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9:_@-]*[A-Za-z0-9])?")


class Rough:
    """Writes a document in a layout drawn at random, with comments wherever one may stand."""

    def __init__(self, chance: random.Random, *, quotes: bool = True) -> None:
        self._chance = chance
        self._quotes = quotes
        self._comments = 0

    def some(self) -> bool:
        return self._chance.randrange(4) == 0

    def note(self) -> str:
        if not self.some():
            return ""
        self._comments += 1
        return f"{' ' * self._chance.randint(1, 3)}# note {self._comments}: 'a' \"b\" {{c}}"

    def break_(self, column: int) -> str:
        """A line break, perhaps with a comment before it, blank lines, and comments of any depth on their own lines."""
        text = self.note() + "\n"
        while self.some():
            text += "\n" if self.some() else " " * self._chance.randint(0, column + 2) + self.note() + "\n"
        return text

    def gap(self, column: int) -> str:
        return self.break_(column) + " " * column if self.some() else " " * self._chance.randint(1, 2)

    def scalar(self, node: Scalar, *, flow: bool) -> str:
        may_stay = node.plain and (not flow or SAFE.fullmatch(node.text))
        if may_stay and (not self._quotes or not self.some()):
            return node.text
        ways = [json.dumps(node.text, ensure_ascii=False)]
        if "\n" not in node.text:
            ways.append("'" + node.text.replace("'", "''") + "'")
        return self._chance.choice(ways) if self._quotes else ways[-1]

    def flow(self, node: Node, column: int) -> str:
        if isinstance(node, Scalar):
            return self.scalar(node, flow=True)
        parts = [self.flow(item, column) for item in node.items] if isinstance(node, Items) else [
            f"{self.scalar(key, flow=True)}: {self.flow(value, column)}" for key, value in node.entries
        ]  # fmt: skip
        inner = ",".join(self.gap(column) + part for part in parts) + (self.gap(column) if parts else "")
        return f"[{inner}]" if isinstance(node, Items) else f"{{{inner}}}"

    def value(self, node: Node, column: int, *, in_table: bool) -> str:
        """Write what follows a key or dash, with the line break after it."""
        deeper = column + self._chance.randint(1, 4)
        empty = not isinstance(node, Scalar) and not (node.items if isinstance(node, Items) else node.entries)
        if isinstance(node, Scalar) and node.text.endswith("\n") and node.text.strip() and self.some():
            lines = node.text.split("\n")[:-1]
            if lines[0][:1] not in ("", " ") and lines[-1].strip():
                return " |" + self.note() + "\n" + "".join(f"{' ' * deeper}{line}\n" for line in lines)
        if isinstance(node, Scalar) or empty or self.some():
            return self.gap(deeper) + self.flow(node, deeper) + self.break_(column)
        if isinstance(node, Items) and in_table and self.some():
            deeper = column
        return self.break_(deeper) + self.block(node, deeper)

    def block(self, node: Node, column: int) -> str:
        assert not isinstance(node, Scalar)
        if isinstance(node, Items):
            return "".join(f"{' ' * column}-{self.value(item, column, in_table=False)}" for item in node.items)
        return "".join(
            f"{' ' * column}{self.scalar(key, flow=True)}:{self.value(value, column, in_table=True)}"
            for key, value in node.entries
        )

    def file(self, nodes: list[Node]) -> str:
        return self.break_(0).lstrip(" ") + "".join(f"---{self.note()}\n{self.block(node, 0)}" for node in nodes)


@given(text=st.sampled_from(TEXTS), chance=st.randoms(use_true_random=True))
def test_any_layout_gives_the_same_documents_and_comments_and_is_settled_at_once(
    text: str, chance: random.Random
) -> None:
    nodes = read(text)
    chosen = chance.sample(nodes, min(2, len(nodes)))
    rough = Rough(chance).file(chosen)
    written = neat(rough)
    assert list(map(says, read(written))) == list(map(says, chosen))
    assert comments(written) == comments(rough)
    assert neat(written) == written


@settings(max_examples=volume(15, 30))
@given(chance=st.randoms(use_true_random=True))
def test_the_hash_stays(chance: random.Random) -> None:
    rough = Rough(chance, quotes=False).file(read("---\n".join(world.ORGANISATION)))
    before, after = load({"a.yaml": rough.encode()}), load({"a.yaml": neat(rough).encode()})
    assert isinstance(before, Bundle)
    assert isinstance(after, Bundle)
    assert after.hash == before.hash == world.bundle_of(*world.ORGANISATION).hash

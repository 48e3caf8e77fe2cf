"""Writes the documents of a file anew: two spaces a level, one space where one is needed, flow style where it fits.

What an author chose stays: the order of fields, quotes, blocks of text, block style, single blank lines, and flow style
as long as it fits on a line and holds no comment.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Final

import yaml

from loglease.policy import tree
from loglease.policy.layout import scalars
from loglease.policy.layout.comments import Comment, Marks, marks_of
from loglease.policy.problems import At, Problem, Problems
from loglease.policy.tree import PURE, Items, Node, Scalar

WIDTH: Final = 120
"""Where a list or mapping in flow style stops to fit; nothing else is broken, however long it is."""


def laid_out(file: str, content: bytes) -> bytes | list[Problem]:
    """Write a file in its canonical layout.

    The result holds the same documents and the same comments in the same order, and is its own canonical layout.

    Args:
        file: its name, for problems.
        content: what it holds.

    Returns:
        The new content; or why the form of the file cannot be read. Fields, names and values are not looked at.
    """
    problems = Problems()
    before = tree.documents(file, content, problems)
    if found := problems.found():
        return found
    text = content.decode().replace("\r\n", "\n")
    marks = marks_of(text)
    written = _Writer(text, marks).written(list(yaml.compose_all(text, Loader=PURE)))
    # Nothing may depend on this module being right: what it wrote is read again and compared.
    again = Problems()
    same = list(map(_meaning, tree.documents(file, written.encode(), again))) == list(map(_meaning, before))
    if (
        not same
        or again.found()
        or [one.text for one in marks_of(written).comments] != [one.text for one in marks.comments]
    ):
        problems.add(
            At(file, 1, 1), "P120", "a canonical layout of this file would change its meaning",
            "write long or unusual field names as plain words",
        )  # fmt: skip
        return problems.found()
    return written.encode()


def _meaning(node: Node) -> object:
    """Return what a document says, without places; a value of several lines may get quotes."""
    if isinstance(node, Scalar):
        return (node.text, node.plain and "\n" not in node.text)
    if isinstance(node, Items):
        return [_meaning(item) for item in node.items]
    return {key.text: (_meaning(key), _meaning(value)) for key, value in node.entries}


class _Writer:
    """Lines that are written, and the comments that wait for their place among them."""

    def __init__(self, text: str, marks: Marks) -> None:
        self._text = text
        self._source = text.split("\n")
        self._marks = marks
        self._places = [one.index for one in marks.comments]
        self._waiting = deque(marks.comments)
        self._lines: list[str] = []
        self._last = -1  # the line of the source that was written last
        self._takes_comment = False  # whether the last line has room for one
        self._takes_blank = False  # whether a blank line of the source is kept here
        self._lead = ""  # what the next line begins with instead of its indent: dashes of lists

    def written(self, documents: list[yaml.Node]) -> str:
        """Write all documents that hold something."""
        count = 0
        for node in documents:
            if scalars.is_empty(node):
                continue
            if count:
                self._separator(node.start_mark.index)
            count += 1
            self._flush(node.start_mark.index, 0)
            self._document(node)
        self._flush(len(self._text), 0)
        return "".join(f"{line}\n" for line in self._lines)

    def _separator(self, before: int) -> None:
        opening = self._marks.openings[bisect_left(self._marks.openings, before + 1) - 1]
        self._flush(opening, 0)
        self._lines.append("---")
        self._last = self._text.count("\n", 0, opening)
        self._takes_comment, self._takes_blank = True, False

    def _document(self, node: yaml.Node) -> None:
        if (flat := self._flat(node, 0)) is not None:
            self._line(flat, 0, node.start_mark.line, _last_line(node))
        elif scalars.is_block(node, self._text):
            self._block(node, "", 0)
        else:
            self._collection(node, 0, parent=-1)

    def _collection(self, node: yaml.Node, indent: int, *, parent: int) -> None:
        """Write a list or mapping in block style, and the comments behind its last item.

        Args:
            node: the list or mapping.
            indent: of its items.
            parent: the column of what it stands in, in the source: a comment no deeper than that belongs there.
        """
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._entry(key, value, indent, node.start_mark.column)
        else:
            for item in node.value:
                self._item(item, indent, node.start_mark.column)
        is_flow = isinstance(node, yaml.CollectionNode) and bool(node.flow_style)
        while self._waiting and self._waiting[0].index < node.end_mark.index:
            comment = self._waiting[0]
            if comment.alone and not is_flow and not parent < node.start_mark.column <= comment.column:
                return
            self._comment(self._waiting.popleft(), indent)

    def _entry(self, key: yaml.ScalarNode, value: yaml.Node, indent: int, column: int) -> None:
        self._flush(key.start_mark.index, indent)
        name = f"{scalars.one_line(key, self._text)}:"
        flat = self._flat(value, len(self._lead or " " * indent) + len(name) + 1)
        if flat is not None:
            between = self._ending_key(key, value)
            if between is None:
                self._flush(value.start_mark.index, indent)
            self._line(f"{name} {flat}".rstrip(), indent, key.start_mark.line, _last_line(value))
            if between is not None:
                self._behind(between)
        elif scalars.is_block(value, self._text):
            self._flush(value.start_mark.index, indent)
            self._block(value, f"{name} ", indent)
        else:
            self._line(name, indent, key.start_mark.line, key.end_mark.line)
            self._collection(value, indent + 2, parent=column)

    def _ending_key(self, key: yaml.Node, value: yaml.Node) -> Comment | None:
        """Take the comment behind a key whose value follows on another line, if it is the only one there."""
        first = bisect_left(self._places, key.end_mark.index)
        if bisect_left(self._places, value.start_mark.index) - first != 1:
            return None
        comment = self._marks.comments[first]
        if comment.alone or comment.line != key.end_mark.line:
            return None
        return self._waiting.popleft()

    def _item(self, item: yaml.Node, indent: int, column: int) -> None:
        self._flush(item.start_mark.index, indent)
        lead = (self._lead or " " * indent) + "- "
        flat = self._flat(item, len(lead))
        if flat is not None:
            self._line(f"- {flat}".rstrip(), indent, item.start_mark.line, _last_line(item))
        elif scalars.is_block(item, self._text):
            self._block(item, "- ", indent)
        else:
            self._lead = lead
            self._collection(item, indent + 2, parent=column)

    def _flat(self, node: yaml.Node, used: int) -> str | None:
        """Write a node on one line; None where that is not its layout.

        Args:
            node: the value.
            used: characters that stand before it on its line.
        """
        if isinstance(node, yaml.ScalarNode):
            return None if scalars.is_block(node, self._text) else scalars.one_line(node, self._text)
        flat = self._flow(node)
        return flat if flat is not None and (used + len(flat) <= WIDTH or not node.value) else None

    def _flow(self, node: yaml.Node) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            return None if scalars.is_empty(node) else scalars.one_line(node, self._text)
        if not isinstance(node, yaml.CollectionNode) or not node.flow_style or self._holds_comment(node):
            return None
        parts = []
        for one in node.value:
            pair = one if isinstance(node, yaml.MappingNode) else (one,)
            flat = [self._flow(part) for part in pair]
            if any(part is None for part in flat):
                return None
            parts.append(": ".join(part for part in flat if part is not None))
        inner = ", ".join(parts)
        return f"{{{inner}}}" if isinstance(node, yaml.MappingNode) else f"[{inner}]"

    def _holds_comment(self, node: yaml.Node) -> bool:
        return bisect_left(self._places, node.start_mark.index) != bisect_left(self._places, node.end_mark.index)

    def _block(self, node: yaml.ScalarNode, name: str, indent: int) -> None:
        header, content, last = scalars.block(node, self._text, self._source)
        self._line(f"{name}{header}", indent, node.start_mark.line, node.start_mark.line)
        self._flush(node.end_mark.index, indent)
        depth = " " * (indent + 2)
        self._lines += [depth + line if line else "" for line in content]
        self._last, self._takes_comment = last, False
        self._takes_blank = not header.endswith("+")

    def _line(self, text: str, indent: int, first: int, last: int) -> None:
        """Write a line.

        Args:
            text: without its indent.
            indent: in spaces.
            first: the line of the source where it begins.
            last: the line of the source where it ends.
        """
        self._gap(first)
        self._lines.append((self._lead or " " * indent) + text)
        self._lead = ""
        self._last, self._takes_comment, self._takes_blank = last, True, True

    def _gap(self, first: int) -> None:
        """Keep one blank line where the source has some before this line."""
        if self._takes_blank and any(not line.strip() for line in self._source[self._last + 1 : first]):
            self._lines.append("")

    def _flush(self, before: int, indent: int) -> None:
        """Write the comments that stand before a place of the source."""
        while self._waiting and self._waiting[0].index < before:
            self._comment(self._waiting.popleft(), indent)

    def _comment(self, comment: Comment, indent: int) -> None:
        if not comment.alone and comment.line == self._last and self._takes_comment:
            self._behind(comment)
            return
        self._gap(comment.line)
        dash = len(self._lead) - len(self._lead.lstrip())
        self._lines.append(" " * (dash if self._lead else indent) + comment.text)
        self._last, self._takes_comment, self._takes_blank = comment.line, False, True

    def _behind(self, comment: Comment) -> None:
        self._lines[-1] += f"  {comment.text}"
        self._takes_comment = False


def _last_line(node: yaml.Node) -> int:
    """Return the last line of a value that is written on one line; one in block style may end far below it."""
    mark = node.end_mark
    return mark.line - 1 if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") else mark.line

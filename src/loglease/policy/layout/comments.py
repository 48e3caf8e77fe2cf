"""Where the comments of a YAML text stand: in the gaps between tokens, and behind the header of a block of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import yaml

from loglease.policy.tree import PURE

_BLOCK_HEADER: Final = re.compile(r"[|>][-+0-9]* +(#.*)")
_IN_GAP: Final = re.compile(r"#.*")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as written, from its `#` to the end of the line.

    Attributes:
        index: of its first character in the text.
        line: from 0.
        column: from 0.
        alone: nothing stands before it on its line.
    """

    index: int
    line: int
    column: int
    text: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Marks:
    """What the parser's tree does not tell: all comments in order, and where documents are opened by `---`."""

    comments: tuple[Comment, ...]
    openings: tuple[int, ...]


def marks_of(text: str) -> Marks:
    """Find comments and document openings.

    Raises:
        yaml.YAMLError: the text is not well-formed.
    """
    found: list[Comment] = []
    openings: list[int] = []
    end = 0
    for token in yaml.scan(text, Loader=PURE):
        start = token.start_mark.index
        found += _comments(text, end, start)
        if isinstance(token, yaml.DocumentStartToken):
            openings.append(start)
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            header = _BLOCK_HEADER.match(text, start)
            if header is not None:
                found.append(_comment(text, header.start(1), header[1]))
        end = max(end, token.end_mark.index)
    found += _comments(text, end, len(text))
    return Marks(tuple(found), tuple(openings))


def _comments(text: str, start: int, end: int) -> Iterator[Comment]:
    """Yield the comments of a gap, in which nothing else but space can stand."""
    for match in _IN_GAP.finditer(text, start, end):
        yield _comment(text, match.start(), match[0])


def _comment(text: str, index: int, written: str) -> Comment:
    column = index - (text.rfind("\n", 0, index) + 1)
    before = text[index - column : index]
    return Comment(index, text.count("\n", 0, index), column, written.rstrip(), alone=not before.strip())

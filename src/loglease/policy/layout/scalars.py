"""How one value is written: as it was, if it stood on one line; else on one line, or as a block of text."""

from __future__ import annotations

import re
from typing import Final, TypeGuard

import yaml

_HEADER: Final = re.compile(r"[|>]([-+0-9]*)")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"})


def is_block(node: yaml.Node, text: str) -> TypeGuard[yaml.ScalarNode]:
    """Say whether a value is written as a block of text and stays one."""
    if not isinstance(node, yaml.ScalarNode) or node.style not in ("|", ">"):
        return False
    return bool(node.value.strip()) and not (node.style == ">" and any(map(str.isdigit, _header(node, text))))


def is_empty(node: yaml.Node) -> bool:
    """Say whether nothing is written where a value could stand."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and not node.value


def one_line(node: yaml.ScalarNode, text: str) -> str:
    """Write a value on one line; it keeps its quotes unless a line break in it needs others."""
    written = text[node.start_mark.index : node.end_mark.index]
    if node.style not in ("|", ">") and "\n" not in written:
        return written
    value: str = node.value
    return value if node.style is None and "\n" not in value else f'"{value.translate(_ESCAPES)}"'


def block(node: yaml.ScalarNode, text: str, lines: list[str]) -> tuple[str, list[str], int]:
    """Write a block of text.

    Args:
        node: the value; it is a block.
        text: the source.
        lines: those of the source.

    Returns:
        The header, the lines to indent, and the number of the last line of the source that is part of it.
    """
    first, end = node.start_mark.line + 1, node.end_mark.line + (node.end_mark.column > 0)
    if node.style == ">":
        return _folded(_header(node, text), lines, first, end)
    value: str = node.value
    content = value.removesuffix("\n").split("\n")
    indented = any(line.startswith(" ") for line in content[: 1 + _first_filled(content)])
    keep = "" if value.endswith("\n") else "-"
    if value.endswith("\n\n"):
        return f"|{'2' * indented}+", content, end - 1
    return f"|{'2' * indented}{keep}", content, _last_filled(lines, first, end)


def _folded(keep: str, lines: list[str], first: int, end: int) -> tuple[str, list[str], int]:
    """Take the lines as they are folded, since where a line may be broken hangs on its neighbours."""
    last = end - 1 if keep == "+" else _last_filled(lines, first, end)
    content = lines[first : last + 1]
    filled = content[_first_filled(content)]
    depth = len(filled) - len(filled.lstrip(" "))
    return f">{keep}", [line[depth:] for line in content], last


def _header(node: yaml.Node, text: str) -> str:
    match = _HEADER.match(text, node.start_mark.index)
    return match[1] if match is not None else ""


def _first_filled(lines: list[str]) -> int:
    return next(number for number, line in enumerate(lines) if line.strip())


def _last_filled(lines: list[str], first: int, end: int) -> int:
    return max(number for number in range(first, end) if lines[number].strip())

"""The same matches sooner: what is derived from a pattern because `re` does not see it.

In ``[a-z]{1,64}@`` no shorter run of letters can be followed by an ``@``: a run that was taken whole and has none
behind it is no match. `re` tries every length; a possessive repeat (``{1,64}+``) says so. Where case is ignored it
tries every offset; in lower-case text it skips. And where a match needs an ``@``, it can only begin before one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from loglease.redaction.patterns import Either, Joined, Named, Node, OneOf, Repeat, shape_of_node, tree_of

_FOLDS: Final = "(?i)"
_PIECE: Final = re.compile(r"\\x[0-9A-Fa-f]{2}|\\.|\(\?P<\w+>|.", re.DOTALL)


def possessive(pattern: str) -> str:
    """Return a pattern for `re` that matches exactly what the given one does, and fails sooner.

    Args:
        pattern: one in the language of rules.

    Raises:
        PatternInvalid: it is outside that language.
    """
    text = pattern
    for end in sorted(_ends(tree_of(pattern), None), reverse=True):
        text = f"{text[:end]}+{text[end:]}"
    return text


def _ends(node: Node, follows: int | None) -> Iterator[int]:
    """Yield where the repeats end that can be possessive.

    Args:
        node: a part of a pattern.
        follows: every byte that a match can go on with behind the part; None where it can be over.
    """
    if isinstance(node, Repeat):
        yield from _ends_of_repeat(node, follows)
    elif isinstance(node, Joined):
        for part in reversed(node.parts):
            yield from _ends(part, follows)
            follows = _first(part, follows)
    elif isinstance(node, Either):
        for option in node.options:
            yield from _ends(option, follows)
    elif isinstance(node, Named):
        yield from _ends(node.part, follows)


def _ends_of_repeat(node: Repeat, follows: int | None) -> Iterator[int]:
    if not isinstance(node.part, OneOf):
        yield from _ends(node.part, _first(node.part, follows) if node.high > 1 else follows)
    elif node.low < node.high and not node.lazy and follows is not None and not node.part.members & follows:
        yield node.end


def _first(node: Node, follows: int | None) -> int | None:
    """Return every byte that a part and what follows it can begin with; None where both can be empty."""
    if isinstance(node, OneOf):
        return node.members
    if isinstance(node, Named):
        return _first(node.part, follows)
    if isinstance(node, Repeat):
        once = _first(node.part, follows)
        return once if node.low else _either(once, follows)
    if isinstance(node, Joined):
        for part in reversed(node.parts):
            follows = _first(part, follows)
        return follows
    if isinstance(node, Either):
        found: int | None = 0
        for option in node.options:
            found = _either(found, _first(option, follows))
        return found
    return follows


def _either(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one | other


def is_folding(pattern: str) -> bool:
    """Say whether a pattern ignores case from its first to its last byte."""
    return pattern.startswith(_FOLDS)


def lowered(pattern: str) -> str:
    """Return what matches in lower-case text where a pattern that ignores case does, as one that heeds it.

    Args:
        pattern: one in the language of rules for which `is_folding` holds, without ranges from capitals to others.
    """
    return "".join(_in_lower_case(piece[0]) for piece in _PIECE.finditer(pattern.removeprefix(_FOLDS)))


def _in_lower_case(piece: str) -> str:
    if piece.startswith("\\x"):
        return f"\\x{bytes.fromhex(piece[2:]).lower().hex()}"
    return piece if len(piece) > 1 else piece.lower()


def pivot_of(pattern: str) -> tuple[bytes, bytes] | None:
    """Return a byte that every match holds, and all bytes that can stand before its first one in a match.

    None where no such byte is found, or the pattern begins with it. Who knows where the byte stands knows where a match
    can begin.
    """
    tree = tree_of(pattern)
    before = 0
    for part in tree.parts if isinstance(tree, Joined) else ():
        shape = shape_of_node(part)
        if shape.shortest == shape.longest == 1 and shape.members.bit_count() == 1 and not shape.members & before:
            return (_members(shape.members), _members(before)) if before else None
        before |= shape.members
    return None


def _members(mask: int) -> bytes:
    return bytes(byte for byte in range(256) if mask >> byte & 1)

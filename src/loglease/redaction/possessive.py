"""Patterns that `re` matches without going back where going back cannot help.

In ``[a-z]{1,64}@`` no shorter run of letters can be followed by an ``@``: a run that was taken whole and has none
behind it is no match. `re` does not see that and tries every length. A possessive repeat (``{1,64}+``) says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from loglease.redaction.patterns import Either, Joined, Named, Node, OneOf, Repeat, tree_of


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

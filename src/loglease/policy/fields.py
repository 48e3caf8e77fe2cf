"""Reads the fields of mappings by type. Whatever does not fit is a problem; what comes back then is harmless.

A run with a problem never becomes a bundle, so such a value is seen by nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Final

from loglease.policy.problems import At, Problems, did_you_mean, shown
from loglease.policy.scalars import day, duration_s, integer, is_ambiguous, size_bytes
from loglease.policy.tree import Items, Node, Scalar, Table

Later = Mapping[str, tuple[str, str]]
"""Fields that are part of the format and not implemented yet: code and when they come."""

_SELF_APPROVAL: Final = frozenset({"allow_self", "self_approval", "allow_self_approval", "allow_own"})


class Record:
    """The fields of one mapping; unknown ones, and known ones of later versions, are reported when it is made."""

    def __init__(
        self, at: At, fields: Mapping[str, tuple[Scalar, Node]], problems: Problems, known: Collection[str]
    ) -> None:
        self.at = at
        self._fields = fields
        self._problems = problems
        self._known = known

    def node(self, name: str) -> Node | None:
        """Return the value of a field, or None where it is not given."""
        if name not in self._known:
            raise KeyError(name)
        pair = self._fields.get(name)
        return pair[1] if pair is not None else None

    def need(self, name: str, example: str) -> Node | None:
        """Return the value of a field that must be there; report its absence."""
        found = self.node(name)
        if found is None:
            self._problems.add(self.at, "P111", f"field '{name}' is missing", f"write it like {name}: {example}")
        return found

    def key_at(self, name: str) -> At:
        """Return the place of a field's name, or of the mapping where the field is not given."""
        pair = self._fields.get(name)
        return pair[0].at if pair is not None else self.at


class Reader:
    """Typed access to nodes, with one collection of problems."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def record(self, node: Node, what: str, known: Collection[str], later: Later | None = None) -> Record:
        """Read a mapping with these fields, all optional here."""
        later = later or {}
        fields: dict[str, tuple[Scalar, Node]] = {}
        for key, value in self.table(node, what):
            if key.text in known:
                fields[key.text] = (key, value)
            elif key.text in later:
                code, when = later[key.text]
                self.problems.add(key.at, code, f"'{key.text}' is not supported yet: {when}", "remove it for now")
            elif key.text in _SELF_APPROVAL:
                self.problems.add(
                    key.at, "P307", "nobody can be allowed to approve their own request", "remove the field"
                )
            else:
                help_text = did_you_mean(key.text, {*known, *later})
                self.problems.add(key.at, "P110", f"unknown field {shown(key.text)} in {what}", help_text)
        return Record(node.at, fields, self.problems, known)

    def table(self, node: Node, what: str) -> tuple[tuple[Scalar, Node], ...]:
        """Read a mapping whose keys are the caller's business; an empty one is a problem."""
        if not isinstance(node, Table):
            self._wrong(node, f"{what} is a mapping of fields", "name: value")
            return ()
        if not node.entries:
            self.problems.add(node.at, "P119", f"{what} is empty", "fill it in or leave it out")
        return node.entries

    def items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        """Read a list; an empty one is a problem."""
        if node is None:
            return ()
        if not isinstance(node, Items):
            self._wrong(node, f"{what} is a list", "[first, second]")
            return ()
        if not node.items:
            self.problems.add(node.at, "P119", f"{what} is empty", "an empty list would allow nothing: leave it out")
        return node.items

    def optional_items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        """Read a list that may be empty."""
        return () if isinstance(node, Items) and not node.items else self.items(node, what)

    def text(self, node: Node | None, what: str, *, longest: int = 1_000) -> str:
        """Read a string; words that some YAML version reads as something else must be quoted."""
        if node is None:
            return ""
        if not isinstance(node, Scalar):
            self._wrong(node, f"{what} is a text", '"some text"')
            return ""
        if node.plain and not node.text:
            self.problems.add(node.at, "P113", f"{what} has no value", "write one, or leave the field out")
        elif node.plain and is_ambiguous(node.text):
            self.problems.add(
                node.at, "P113", f"{what} is a text, but {shown(node.text)} without quotes may be read as another type",
                f'quote it: "{node.text}"',
            )  # fmt: skip
        elif not node.text.strip() or len(node.text) > longest:
            self.problems.add(node.at, "P114", f"{what} has 1 to {longest:,} characters", "shorten it or fill it in")
        return node.text

    def texts(self, node: Node | None, what: str) -> tuple[tuple[str, At], ...]:
        """Read a list of strings that are all different."""
        found: dict[str, At] = {}
        for item in self.items(node, what):
            text = self.text(item, f"each of {what}")
            if text in found:
                self.problems.add(item.at, "P107", f"{shown(text)} is given twice", "remove one")
            found[text] = item.at
        return tuple(found.items())

    def word(self, node: Node | None, what: str, allowed: Collection[str], default: str) -> str:
        """Read one of a closed list of words."""
        if node is None:
            return default
        text = self.text(node, what)
        if text and text not in allowed:
            self.problems.add(node.at, "P115", f"{what} cannot be {shown(text)}", did_you_mean(text, allowed))
            return default
        return text or default

    def boolean(self, node: Node | None, what: str, *, default: bool = False) -> bool:
        """Read exactly `true` or `false`."""
        if node is None:
            return default
        if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
            return node.text == "true"
        self._wrong(node, f"{what} is true or false", "true")
        return default

    def number(self, node: Node | None, what: str, *, least: int = 1, most: int = 2**53 - 1, default: int = 1) -> int:
        """Read a whole number in plain decimals."""
        if node is None:
            return default
        value = integer(node.text) if isinstance(node, Scalar) and node.plain else None
        if value is None:
            self._wrong(node, f"{what} is a whole number", str(max(least, 1)))
            return default
        if not least <= value <= most:
            self.problems.add(node.at, "P114", f"{what} is {least:,} to {most:,}", "write a number in that range")
            return default
        return value

    def duration(self, node: Node | None, what: str, default: int = 1) -> int:
        """Read a duration in seconds, `90s` to ten years."""
        if node is None:
            return default
        seconds = duration_s(node.text) if isinstance(node, Scalar) else None
        if seconds is None:
            self._wrong(node, f"{what} is a duration of 1s or more", "90s, 30m, 2h30m or 7d")
            return default
        return seconds

    def size(self, node: Node, what: str) -> int:
        """Read a size in bytes."""
        size = size_bytes(node.text) if isinstance(node, Scalar) else None
        if size is None:
            self._wrong(node, f"{what} is a size", "500MB or 256MiB")
            return 1
        return size

    def date(self, node: Node | None, what: str) -> date | None:
        """Read a date."""
        if node is None:
            return None
        found = day(node.text) if isinstance(node, Scalar) else None
        if found is None:
            self._wrong(node, f"{what} is a date", "2027-05-01")
        return found

    def _wrong(self, node: Node, what: str, example: str) -> None:
        written = shown(node.text) if isinstance(node, Scalar) else "a list" if isinstance(node, Items) else "a mapping"
        code = "P114" if isinstance(node, Scalar) and node.text else "P112"
        self.problems.add(node.at, code, f"{what}, not {written}", f"write it like {example}")

"""Reads conditions out of documents: positions inside their text become places in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Final

from loglease.policy.conditions import Condition, ConditionRefused, Record, compiled
from loglease.policy.conditions.vagueness import widening
from loglease.policy.problems import At, Problems, Severity
from loglease.policy.tree import Node, Scalar

_LATER: Final = frozenset({"ctx", "ask"})
LineOf = Callable[[At], str]
_EXAMPLE: Final = 'when: req.duration <= duration("1h")'


class Effect(Enum):
    """What a condition leads to when it holds: access without a person, a route with people, or a ban or cap."""

    GIVES = "gives"
    ASKS = "asks"
    BANS = "bans"


class Conditions:
    """Reads conditions against the schema of their bundle."""

    def __init__(self, problems: Problems, schema: Record) -> None:
        self._problems = problems
        self._schema = schema

    def read(self, node: Node | None, what: str, effect: Effect) -> Condition | None:
        """Read a condition; None where there is none, or it is refused.

        Args:
            node: the value of the field.
            what: the field.
            effect: what it leads to; asking for more must not change that in the favour of whoever asks.
        """
        if node is None:
            return None
        if not isinstance(node, Scalar) or not node.text.strip():
            self._problems.add(node.at, "P112", f"{what} is a condition", f"write it like {_EXAMPLE}")
            return None
        place = _Place(node, self._problems.line_of)
        if not place.is_exact:
            self._problems.add(
                node.at, "P212", f"{what} is written so that no place inside it can be named",
                "write it on one line without quotes or in 'single quotes', or as a literal block (|)",
            )  # fmt: skip
            return None
        try:
            found = compiled(node.text, self._schema)
        except ConditionRefused as fault:
            self._refused(fault, node.text, place)
            return None
        if not found.reads:
            self._problems.add(
                node.at,
                "P213",
                f"{what} reads nothing, so that it always says the same",
                "leave it out, or ask something",
            )
        if effect is not Effect.ASKS:
            self._judge_widening(found, place, effect)
        return replace(found, at=place.at(0, len(node.text.rstrip())))

    def warn_of_widening(self, node: Node | None, found: Condition | None) -> None:
        """Warn of what asking for more could make true in a condition that was read from a node."""
        if isinstance(node, Scalar) and found is not None:
            self._judge_widening(found, _Place(node, self._problems.line_of), Effect.ASKS)

    def _refused(self, fault: ConditionRefused, text: str, place: _Place) -> None:
        root = text[fault.start : fault.end].partition(".")[0]
        at = place.at(fault.start, fault.end)
        if fault.code == "P205" and root in _LATER:
            self._problems.add(
                at, "P901", f"'{root}' is not supported yet: facts come with a later version", "ask req or who instead"
            )
        else:
            self._problems.add(at, fault.code, str(fault), fault.help)

    def _judge_widening(self, found: Condition, place: _Place, effect: Effect) -> None:
        """Refuse what gives access by asking for more; warn where that makes it cheaper."""
        bans = effect is Effect.BANS
        for part in widening(found.tree, positive=not bans):
            at = place.at(part.start, part.end)
            if effect is Effect.GIVES:
                self._problems.add(
                    at, "P211", "asking for more labels could make this true",
                    'say what must not be there: !("pii" in …); or what all must be: ….all(x, x == "staging")',
                )  # fmt: skip
                continue
            self._problems.add(
                at, "P416",
                f"asking for more labels could make this {'false' if bans else 'true'}",
                "see whether that makes anything cheaper",
                Severity.WARNING,
            )  # fmt: skip


class _Place:
    """Where the characters of a scalar stand in its file."""

    def __init__(self, scalar: Scalar, line_of: LineOf) -> None:
        self._start = scalar.at
        self._text = scalar.text
        line = line_of(scalar.at)[scalar.at.column - 1 :]
        self._quote = "'" if line.startswith("'") else ""
        written = scalar.text.replace("'", "''") if self._quote else scalar.text
        self._block = scalar.text.split("\n") if line.startswith("|") else None
        self._line_of = line_of
        self.is_exact = self._block is not None or line.startswith(self._quote + written + self._quote)

    def at(self, start: int, end: int) -> At:
        """Return the place of a part of the text."""
        before = self._text[:start]
        width = max(1, self._text.find("\n", start, end) - start if "\n" in self._text[start:end] else end - start)
        if self._block is None:
            shift = len(self._quote) + (before.count("'") if self._quote else 0)
            return At(self._start.file, self._start.line, self._start.column + shift + start, width)
        number = before.count("\n")
        line = At(self._start.file, self._start.line + 1 + number, 1)
        indent = max(0, self._line_of(line).find(self._block[number]))
        return At(line.file, line.line, indent + len(before) - (before.rfind("\n") + 1) + 1, width)

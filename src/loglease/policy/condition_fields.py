"""Reads conditions out of documents: positions inside their text become places in the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from loglease.policy.conditions import Condition, ConditionRefused, Record, compiled
from loglease.policy.conditions.vagueness import LABELS, Path, widening
from loglease.policy.documents import Combine, FactRule
from loglease.policy.fields import Reader
from loglease.policy.problems import At, Problems, Severity
from loglease.policy.tree import Node, Scalar

_DECLARED: Final = {
    "ctx": "declare it in a document of kind Facts: ctx.on_call: {type: bool, from: rota, …}",
    "approver": "declare it in a document of kind Facts, and read it in 'approver_when'",
    "ask": "declare it under 'ask', 'inputs' of this policy",
    "cal": "declare it under 'calendars' in a document of kind Facts",
}
"""Where roots come from that a schema has only if something is declared in them."""
LineOf = Callable[[At], str]
_EXAMPLE: Final = 'when: req.duration <= duration("1h")'


class Effect(Enum):
    """What a condition leads to when it holds: access without a person, a route with people, or a ban or cap."""

    GIVES = "gives"
    ASKS = "asks"
    BANS = "bans"


def turning_facts(facts: Mapping[str, FactRule]) -> dict[Path, bool]:
    """Return which facts asking for more labels can turn, and what into."""
    joined = ((name, rule.combine) for name, rule in facts.items() if rule.combine is not None)
    return {tuple(name.split(".")): combine is Combine.ANY for name, combine in joined}


class Conditions:
    """Reads conditions against a schema.

    Args:
        turning: see `turning_facts`.
    """

    def __init__(self, problems: Problems, schema: Record, turning: Mapping[Path, bool] | None = None) -> None:
        self._problems = problems
        self._schema = schema
        self._turning = turning or {}

    def within(self, schema: Record) -> Conditions:
        """Return the same for another schema of the bundle."""
        return Conditions(self._problems, schema, self._turning)

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
        return found.placed(place.at)

    def one_of(self, path: str, node: Node | None, what: str) -> Condition | None:
        """Read a list of words, one of which a field of an optional fact has to be, as the condition that says so.

        Args:
            path: such as ``ctx.ticket.state``.
            node: the words; None asks nothing.
            what: the field that they stand in.
        """
        if node is None:
            return None
        fact = path.rpartition(".")[0]
        text = f"{path} in {json.dumps([word for word, _ in Reader(self._problems).texts(node, what)])}"
        if self._is_optional(fact):
            text = f"has({fact}) && {text}"
        try:
            return compiled(text, self._schema).placed(lambda _start, _end: node.at)
        except ConditionRefused as fault:
            self._problems.add(
                node.at, fault.code, f"{what} asks for {text}, and {fault}",
                f"declare {fact} as a record with these words in a document of kind Facts",
            )  # fmt: skip
            return None

    def _is_optional(self, fact: str) -> bool:
        root, _, name = fact.partition(".")
        known = self._schema.fields.get(root)
        field = known.type.fields.get(name) if known is not None and isinstance(known.type, Record) else None
        return field is not None and field.optional

    def warn_of_widening(self, node: Node | None, found: Condition | None) -> None:
        """Warn of what asking for more could make true in a condition that was read from a node."""
        if isinstance(node, Scalar) and found is not None:
            self._judge_widening(found, _Place(node, self._problems.line_of), Effect.ASKS)

    def _refused(self, fault: ConditionRefused, text: str, place: _Place) -> None:
        root = text[fault.start : fault.end].partition(".")[0]
        at = place.at(fault.start, fault.end)
        undeclared = fault.code == "P205" and root in _DECLARED and root not in self._schema.fields
        self._problems.add(at, fault.code, str(fault), _DECLARED[root] if undeclared else fault.help)

    def _judge_widening(self, found: Condition, place: _Place, effect: Effect) -> None:
        """Refuse what gives access by asking for more; warn where that makes it cheaper."""
        if not any(path[:2] == LABELS or path in self._turning for path in found.reads):
            return
        bans = effect is Effect.BANS
        for part in widening(found.tree, positive=not bans, turning=self._turning):
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

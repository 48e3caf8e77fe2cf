"""Reads `ask`: what the requester of a policy has to tell."""

from __future__ import annotations

from typing import Final

import re2

from loglease.policy.condition_fields import Conditions
from loglease.policy.conditions import BOOL, INT, Text
from loglease.policy.conditions.types import Bool, Int
from loglease.policy.documents import AskRule, InputRule, TicketRule
from loglease.policy.fact_names import check_name
from loglease.policy.fields import Reader
from loglease.policy.names import Names
from loglease.policy.problems import shown
from loglease.policy.tree import Items, Node, Scalar

MAX_INPUTS: Final = 16
MAX_INPUT: Final = 256
TICKET_FACT: Final = "ctx.ticket"


class AskDocuments:
    """Reads `ask` of policies."""

    def __init__(self, reader: Reader, names: Names, conditions: Conditions) -> None:
        self._reader = reader
        self._names = names
        self._conditions = conditions

    def read(self, node: Node | None) -> AskRule:
        """Read `ask`; without it a reason of one character does."""
        if node is None:
            return AskRule()
        record = self._reader.record(node, "ask", ("reason", "ticket", "inputs"))
        least = 1
        if (reason := record.node("reason")) is not None:
            field = self._reader.record(reason, "reason", ("min",)).need("min", "20")
            least = self._reader.number(field, "min", most=500)
        return AskRule(least, self._ticket(record.node("ticket")), self._inputs(record.node("inputs")))

    def _ticket(self, node: Node | None) -> TicketRule | None:
        if node is None:
            return None
        record = self._reader.record(node, "ticket", ("tracker", "key", "state"))
        tracker = self._reader.text(given := record.need("tracker", "tickets"), "tracker")
        if given is not None and tracker:
            self._names.tracker(tracker, given.at)
        key_node = record.need("key", "'PAY-[0-9]{1,6}'")
        key = self._reader.text(key_node, "key", longest=128)
        if key_node is not None and not is_pattern(key):
            self._reader.problems.add(
                key_node.at, "P114", "key is no regular expression", "RE2 syntax, no backreference"
            )
        return TicketRule(tracker, key, self._conditions.one_of(f"{TICKET_FACT}.state", record.node("state"), "state"))

    def _inputs(self, node: Node | None) -> tuple[InputRule, ...]:
        entries = self._reader.table(node, "inputs") if node is not None else ()
        if node is not None and len(entries) > MAX_INPUTS:
            self._reader.problems.add(node.at, "P108", f"there are more than {MAX_INPUTS} inputs", "remove some")
        return tuple(sorted((self._input(key, value) for key, value in entries[:MAX_INPUTS]), key=lambda one: one.name))

    def _input(self, key: Scalar, node: Node) -> InputRule:
        check_name(key, key.text, "an input", "ask.<name>", self._reader)
        record = self._reader.record(node, f"input {shown(key.text)}", ("type", "max", "label", "required"))
        return InputRule(
            name=key.text,
            type=self._type(record.need("type", "string"), record.node("max")),
            label=self._reader.text(record.node("label"), "label", longest=100) or key.text,
            required=self._reader.boolean(record.node("required"), "required", default=True),
        )

    def _type(self, node: Node | None, longest: Node | None) -> Bool | Int | Text:
        most = self._reader.number(longest, "max", most=MAX_INPUT, default=MAX_INPUT)
        if isinstance(node, Items):
            return Text(words=frozenset(word for word, _ in self._reader.texts(node, "type")))
        match self._reader.word(node, "type", ("bool", "int", "string"), "string"):
            case "bool":
                return BOOL
            case "int":
                return INT
            case _:
                return Text(longest=most)


def is_pattern(text: str) -> bool:
    """Say whether a text is a regular expression that can be matched in bounded time and space."""
    try:
        re2.compile(text, options=_quiet())
    except re2.error:
        return False
    return bool(text)


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options

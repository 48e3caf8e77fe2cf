"""Reads Facts documents: the facts that conditions may read, calendars, and risk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from loglease.policy.calendar_documents import calendars_of
from loglease.policy.calendars import Calendar
from loglease.policy.condition_fields import Conditions, Effect
from loglease.policy.conditions import BOOL, DURATION, INT, Field, Listed, Record, Text, Type
from loglease.policy.conditions.types import LONGEST_TEXT, MOST_ITEMS, Bool, Duration, Int
from loglease.policy.documents import Combine, FactRule, RiskTerm
from loglease.policy.fact_names import check_name
from loglease.policy.fields import Reader
from loglease.policy.fields import Record as Fields
from loglease.policy.names import Names
from loglease.policy.problems import At, shown
from loglease.policy.roots import PRESENCE, RISK
from loglease.policy.tree import Items, Node, Scalar, Table

MAX_FACTS: Final = 200
MAX_TERMS: Final = 50
MAX_WORDS: Final = 200
MAX_FIELDS: Final = 32

_DOCUMENT: Final = ("api", "kind", "id", "facts", "calendars", "risk")
_FACT: Final = (
    "type", "from", "optional", "per", "combine", "max_age", "of", "max_items", "max", "range", "fields",
)  # fmt: skip
_TYPES: Final = ("bool", "int", "string", "duration", "list", "record")
_ROOTS: Final = ("ctx", "approver")
_EXAMPLE: Final = "{ctx.on_call: {type: bool, from: rota, per: service, combine: all, max_age: 120s}}"


@dataclass(frozen=True, slots=True)
class Declared:
    """What the Facts documents of a bundle declare, but for risk: its terms are conditions over the rest."""

    facts: dict[str, FactRule]
    calendars: dict[str, Calendar]
    risk: tuple[Node, ...]


def declared_of(documents: Iterable[Table], reader: Reader, names: Names) -> Declared:
    """Read all Facts documents; a name means one thing in the whole bundle, whatever document it is in."""
    sections: dict[str, list[tuple[Scalar, Node]]] = {"facts": [], "calendars": []}
    risk: list[Node] = []
    for document in sorted(documents, key=lambda one: one.at):
        record = reader.record(document, "a Facts document", _DOCUMENT)
        if all(record.node(one) is None for one in ("facts", "calendars", "risk")):
            record.need("facts", _EXAMPLE)
        for name, found in sections.items():
            node = record.node(name)
            found.extend(reader.table(node, name) if node is not None else ())
        risk += reader.items(record.node("risk"), "risk")
    for name, entries in sections.items():
        _refuse_doubles(entries, name, reader)
    facts = _Facts(reader, names).read(sections["facts"], has_risk=bool(risk))
    return Declared(facts, calendars_of(sections["calendars"], reader), tuple(risk))


def _refuse_doubles(entries: Iterable[tuple[Scalar, Node]], what: str, reader: Reader) -> None:
    first: dict[str, At] = {}
    for key, _ in entries:
        if key.text in first:
            reader.problems.add(
                key.at, "P107", f"{what.rstrip('s')} {shown(key.text)} is given twice",
                f"the first is at {first[key.text]}",
            )  # fmt: skip
        first.setdefault(key.text, key.at)


class _Facts:
    """Reads facts one by one."""

    def __init__(self, reader: Reader, names: Names) -> None:
        self._reader = reader
        self._names = names

    def read(self, entries: Iterable[tuple[Scalar, Node]], *, has_risk: bool) -> dict[str, FactRule]:
        found = {}
        for number, (key, node) in enumerate(entries):
            if number == MAX_FACTS:
                self._reader.problems.add(key.at, "P108", f"the bundle has more than {MAX_FACTS} facts", "remove some")
                break
            root, _, name = key.text.partition(".")
            if root not in _ROOTS:
                self._reader.problems.add(
                    key.at, "P114", f"{shown(key.text)} is no name of a fact", "begin with ctx. or approver."
                )
            elif check_name(key, name, "a fact", f"{root}.<name>", self._reader):
                if has_risk and key.text == f"ctx.{RISK}":
                    self._reader.problems.add(key.at, "P323", "ctx.risk is the sum of 'risk'", "name it otherwise")
                found[key.text] = self._fact(key, node)
        return found

    def _fact(self, key: Scalar, node: Node) -> FactRule:
        read = self._reader
        record = read.record(node, f"fact {shown(key.text)}", _FACT)
        provider = read.text(record.need("from", "identity"), "from", longest=63)
        kind = self._type(record)
        self._refuse_foreign(record, kind)
        age = record.node("max_age")
        per = self._per(record)
        if provider in PRESENCE:
            for name in ("max_age", "per", "optional"):
                if record.node(name) is not None:
                    read.problems.add(
                        record.key_at(name), "P323", f"a fact from '{provider}' is known from the call itself",
                        f"remove '{name}'",
                    )  # fmt: skip
        elif age is None and provider:
            read.problems.add(
                key.at, "P323", f"{shown(key.text)} has no max_age", "say how old an answer may be: max_age: 120s"
            )
        if per is not None and key.text.startswith("approver."):
            read.problems.add(record.key_at("per"), "P323", "a fact about an approver has no label", "remove 'per'")
        rule = FactRule(
            name=key.text,
            type=kind,
            optional=read.boolean(record.node("optional"), "optional"),
            provider=provider,
            per=per,
            combine=self._combine(record, kind, per, key.at),
            max_age_s=None if age is None else read.duration(age, "max_age"),
            span=self._span(record.node("range")),
            at=key.at,
        )
        if provider:
            self._names.fact(rule)
        return rule

    def _per(self, record: Fields) -> str | None:
        node = record.node("per")
        label = self._reader.text(node, "per")
        return label if node is not None and label and self._names.label(label, node.at) else None

    def _combine(self, record: Fields, kind: Type, per: str | None, at: At) -> Combine | None:
        node = record.node("combine")
        if per is None or not isinstance(kind, Bool):
            if node is not None:
                self._reader.problems.add(
                    record.key_at("combine"), "P323", "'combine' is for a bool that is asked for each value of a label",
                    "remove it",
                )  # fmt: skip
            if per is not None and not isinstance(kind, Bool | Record):
                self._reader.problems.add(
                    record.key_at("per"), "P323", "'per' is for a bool or a record", "answers of this type do not join"
                )
            return None
        if node is None:
            self._reader.problems.add(
                at, "P323", "it is not said how the answers for several values become one",
                "write combine: all, or any",
            )  # fmt: skip
            return None
        return Combine(self._reader.word(node, "combine", tuple(Combine), "all"))

    def _type(self, record: Fields) -> Type:
        node = record.need("type", "bool")
        if isinstance(node, Items):
            return self._words(node)
        word = self._reader.word(node, "type", _TYPES, "bool")
        match word:
            case "record":
                return self._fields(record)
            case "list":
                most = self._reader.number(
                    record.node("max_items"), "max_items", most=MAX_WORDS * 5, default=MOST_ITEMS
                )
                of = self._simple(record.need("of", "string"), "of", record.node("max"))
                return Listed(of, most)
            case _:
                return self._plain(word, record.node("max"))

    def _refuse_foreign(self, record: Fields, kind: Type) -> None:
        """Refuse what has a meaning only for other types."""
        fitting = {"of": Listed, "max_items": Listed, "range": Int, "fields": Record, "max": Text | Listed}
        for name, types in fitting.items():
            if record.node(name) is not None and not isinstance(kind, types):
                self._reader.problems.add(
                    record.key_at(name), "P323", f"'{name}' is not for a fact of this type", "remove it"
                )

    def _plain(self, word: str, longest: Node | None) -> Bool | Int | Duration | Text:
        match word:
            case "int":
                return INT
            case "string":
                most = self._reader.number(longest, "max", most=4_096, default=LONGEST_TEXT)
                return Text(longest=most)
            case "duration":
                return DURATION
            case _:
                return BOOL

    def _simple(self, node: Node | None, what: str, longest: Node | None = None) -> Bool | Int | Duration | Text:
        """Read a type that is no list and no record."""
        if isinstance(node, Items):
            return self._words(node)
        word = self._reader.word(node, what, ("bool", "int", "string", "duration"), "bool")
        return self._plain(word, longest)

    def _words(self, node: Items) -> Text:
        words = self._reader.texts(node, "type")
        if len(words) > MAX_WORDS:
            self._reader.problems.add(node.at, "P108", f"there are more than {MAX_WORDS} words", "use string")
        return Text(words=frozenset(word for word, _ in words))

    def _fields(self, record: Fields) -> Record:
        node = record.need("fields", "{id: string, severity: [SEV1, SEV2]}")
        entries = self._reader.table(node, "fields") if node is not None else ()
        if node is not None and len(entries) > MAX_FIELDS:
            self._reader.problems.add(node.at, "P108", f"a record has more than {MAX_FIELDS} fields", "remove some")
        fields = {}
        for key, value in entries[:MAX_FIELDS]:
            check_name(key, key.text, "a field", "ctx.<fact>.<field>", self._reader)
            if isinstance(value, Table):
                inner = self._reader.record(value, f"field {shown(key.text)}", ("type", "optional"))
                optional = self._reader.boolean(inner.node("optional"), "optional")
                fields[key.text] = Field(self._simple(inner.need("type", "string"), "type"), optional)
            else:
                fields[key.text] = Field(self._simple(value, f"field {shown(key.text)}"))
        return Record(fields)

    def _span(self, node: Node | None) -> tuple[int, int] | None:
        if node is None:
            return None
        items = self._reader.items(node, "range")
        if len(items) != len(("least", "most")):
            self._reader.problems.add(node.at, "P114", "range has a least and a greatest number", "write [0, 100]")
            return None
        least, most = (self._reader.number(one, "each of range", least=-(2**53) + 1) for one in items)
        if least > most:
            self._reader.problems.add(node.at, "P114", "the range is empty", "write the smaller number first")
        return least, most


def risk_of(nodes: Iterable[Node], reader: Reader, conditions: Conditions) -> tuple[RiskTerm, ...]:
    """Read the terms of the risk of a bundle, sorted by id.

    Args:
        nodes: the terms of all Facts documents.
        reader: where problems go.
        conditions: reads against a schema that has no risk in it.
    """
    found: dict[str, RiskTerm] = {}
    for number, node in enumerate(nodes):
        if number == MAX_TERMS:
            reader.problems.add(node.at, "P108", f"the risk has more than {MAX_TERMS} terms", "join some")
            break
        for term in _term(node, reader, conditions):
            if term.id in found:
                reader.problems.add(
                    node.at, "P107", f"risk term {shown(term.id)} is given twice", "remove one, or rename it"
                )
            found.setdefault(term.id, term)
    return tuple(found[name] for name in sorted(found))


def _term(node: Node, reader: Reader, conditions: Conditions) -> Iterator[RiskTerm]:
    record = reader.record(node, "a term of risk", ("id", "add", "if", "show"))
    id_node = record.need("id", "off-hours")
    name = reader.text(id_node, "id", longest=63)
    add = reader.number(record.need("add", "20"), "add", most=100)
    # A risk that is too high only takes something away, so a term counts as a ban does.
    condition = conditions.read(record.need("if", "!cal.office"), "if", Effect.BANS)
    show = reader.text(record.node("show"), "show", longest=200) or name
    if id_node is not None and name and condition is not None:
        yield RiskTerm(id=name, add=add, condition=condition, show=show, at=node.at)

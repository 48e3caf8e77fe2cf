"""Conditions and values drawn at random: typed, over the schema in `facts`, with values where things go wrong.

A seed gives the same ones again on every machine. Most conditions drawn are accepted; `spoiled` makes others of them, by
taking, doubling, swapping and replacing single tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

from tests.policy.conditions.facts import ABSENT, ENV, FAULT, NET, STATE, ZONE

MOST, LEAST = 2**63 - 1, -(2**63)
LONGEST = 10 * 365 * 86_400 * 1_000_000
INTS = [0, 1, 2, 3, 5, 20, -1, -2, MOST, MOST - 1, LEAST, LEAST + 1]
DURATIONS = [0, 1, -1, 1_000_000, 60_000_000, 300_000_000, 5_400_000_000, LONGEST, -LONGEST, LONGEST - 1]
DURATION_TEXTS = ["0s", "1s", "60s", "1m", "5m", "300s", "1h30m", "90m", "1h29m60s", "87600h"]
TEXTS = [
    "",
    "a",
    "ab",
    "b",
    "corp",
    "prod",
    "é",
    "e\u0301",
    "😀",
    "日本",
    "it's",
    'say "a"',
    "\\",
    "\n\t",
    "\0",
    "a" * 10,
]
TEXTS_GIVEN = [text for text in TEXTS if "\0" not in text]
"""CEL for Python takes a text up to its first NUL only, unless it stands in the condition."""
WORDS = {"net": sorted(NET), "zone": sorted(ZONE), "env": sorted(ENV), "state": sorted(STATE)}
KINDS = ["bool", "int", "duration", "text", *WORDS]

OR, AND, RELATION, SUM, UNARY, MEMBER = range(6)
"""How tightly a piece binds; one that binds less than its place asks for is put in parentheses."""


class Piece(NamedTuple):
    text: str
    binds: int


class Read(NamedTuple):
    """What is read where: its path, and the optional values that have to be there."""

    path: str
    needs: tuple[str, ...] = ()


SINGLE: dict[str, list[Read]] = {
    "bool": [Read("ctx.mfa"), Read("ctx.on_call"), Read("opt.flag", ("opt.flag",))],
    "int": [
        Read("ctx.risk"), Read("ctx.least"), Read("ctx.device.level"), Read("opt.count", ("opt.count",)),
        Read("opt.ticket.points", ("opt.ticket",)),
        Read("opt.ticket.parent.id", ("opt.ticket", "opt.ticket.parent")),
    ],
    "duration": [Read("ctx.age"), Read("ctx.limit"), Read("span.age", ("span.age",))],
    "text": [
        Read("ctx.note"), Read("ctx.short"), Read("ctx.device.id"), Read("opt.name", ("opt.name",)),
        Read("opt.ticket.note", ("opt.ticket", "opt.ticket.note")),
    ],
    "net": [Read("ctx.net"), Read("opt.net", ("opt.net",))],
    "zone": [Read("ctx.zone")],
    "env": [],
    "state": [Read("opt.ticket.state", ("opt.ticket",))],
}  # fmt: skip
LISTS: dict[str, list[Read]] = {
    "bool": [Read("ctx.flags")],
    "int": [Read("ctx.counts")],
    "duration": [Read("ctx.ages")],
    "text": [Read("ctx.names"), Read('req.labels["k8s.io/name"]'), Read("opt.names", ("opt.names",))],
    "net": [Read("ctx.nets")],
    "zone": [],
    "env": [Read("req.labels.env"), Read("req.labels['env']")],
    "state": [],
}
OPTIONAL = [
    *(Read(f"opt.{name}") for name in ("flag", "count", "name", "net", "names", "ticket")),
    *(Read(f"opt.ticket.{name}", ("opt.ticket",)) for name in ("note", "parent")),
    Read("span.age"),
]  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where a piece stands: how deep, what is there for sure, and the variable that is bound, with its kind."""

    depth: int
    present: frozenset[str] = frozenset()
    variable: tuple[str, str] | None = None

    def deeper(self) -> Place:
        return replace(self, depth=self.depth - 1)


class Drawing:
    """Draws conditions."""

    def __init__(self, seed: int | str) -> None:
        self.random = Random(seed)  # noqa: S311 - drawn again from the same seed, nothing secret
        self._optional_faults = 0.0
        self._bools: list[Callable[[Place], Piece]] = [
            *(*[self._chain] * 4, *[self._guarded] * 4, self._not, self._equal, self._equal),
            *(self._ordered, self._among, self._member_of, self._text_method, self._quantified, self._quantified),
        ]

    def condition(self) -> str:
        return self._bool(Place(self.random.randint(1, 6))).text

    def _chance(self, of: float) -> bool:
        return self.random.random() < of

    def _at(self, binds: int, piece: Piece) -> str:
        """The piece where something is needed that binds so tightly."""
        if piece.binds < binds or self._chance(0.04):
            return f"({piece.text})"
        return piece.text

    def _spaced(self, op: str) -> str:
        return self.random.choice([op, f"{op}  ", f"\n {op} "]) if self._chance(0.1) and op != "in" else f" {op} "

    # Bools.

    def _bool(self, place: Place) -> Piece:
        if place.depth <= 0 or self._chance(0.06):
            return self._leaf("bool", place)
        return self.random.choice(self._bools)(place.deeper())

    def _chain(self, place: Place) -> Piece:
        op, binds = self.random.choice([("&&", AND), ("||", OR)])
        items = [self._at(binds + 1, self._bool(place)) for _ in range(self.random.choice([2, 2, 2, 3, 4]))]
        return Piece(self._spaced(op).join(items), binds)

    def _guarded(self, place: Place) -> Piece:
        """A guard and, where it holds, something that may rely on it."""
        one = self.random.choice(OPTIONAL)
        paths = [path for path in (*one.needs, one.path) if path not in place.present]
        if not paths:
            return self._bool(place)
        inside = replace(place, present=place.present | set(paths))
        has = [f"has({path})" for path in paths]
        if self._chance(0.15):
            return Piece(" && ".join(has), AND) if len(has) > 1 else Piece(has[0], MEMBER)
        if self._chance(0.5):
            return Piece(" && ".join([*has, self._at(AND + 1, self._bool(inside))]), AND)
        unless = [f"!{one}" for one in has] if self._chance(0.5) else [f"!({' && '.join(has)})"]
        return Piece(" || ".join([*unless, self._at(OR + 1, self._bool(inside))]), OR)

    def _not(self, place: Place) -> Piece:
        return Piece("!" * self.random.choice([1, 1, 2]) + self._at(MEMBER, self._bool(place)), UNARY)

    def _equal(self, place: Place) -> Piece:
        return self._compared(self.random.choice(KINDS), ["==", "!="], place)

    def _ordered(self, place: Place) -> Piece:
        return self._compared(self.random.choice(["int", "duration"]), ["<", "<=", ">", ">="], place)

    def _compared(self, kind: str, ops: list[str], place: Place) -> Piece:
        other = "text" if kind in WORDS and self._chance(0.1) else kind
        left, right = self._at(SUM, self._any(kind, place)), self._at(SUM, self._any(other, place))
        return Piece(left + self._spaced(self.random.choice(ops)) + right, RELATION)

    def _among(self, place: Place) -> Piece:
        kind = self.random.choice([kind for kind in KINDS if kind != "duration"])
        items = ", ".join(self._literal(kind) for _ in range(self.random.randint(0, 3)))
        return Piece(f"{self._at(SUM, self._any(kind, place))} in [{items}]", RELATION)

    def _member_of(self, place: Place) -> Piece:
        kind, of = self._list(place)
        return Piece(f"{self._at(SUM, self._any(kind, place))} in {of}", RELATION)

    def _text_method(self, place: Place) -> Piece:
        of, other = (self._any(self.random.choice(["text", "text", "net"]), place) for _ in range(2))
        name = self.random.choice(["startsWith", "endsWith", "contains"])
        return Piece(f"{self._at(MEMBER, of)}.{name}({other.text})", MEMBER)

    def _quantified(self, place: Place) -> Piece:
        if place.variable is not None and self._chance(0.95):  # they do not nest
            return self._member_of(place)
        kind, of = self._list(place)
        name = self.random.choice(["x", "x", "_", "item", "int", "size", "duration", "has"])
        body = self._bool(replace(place, variable=(name, kind)))
        return Piece(f"{of}.{self.random.choice(['exists', 'all'])}({name}, {body.text})", MEMBER)

    # Everything else.

    def _any(self, kind: str, place: Place) -> Piece:
        if kind == "bool":
            return self._bool(place)
        if place.depth > 0 and kind in {"int", "duration"} and self._chance(0.35):
            return self._sum(kind, place.deeper())
        return self._leaf(kind, place)

    def _sum(self, kind: str, place: Place) -> Piece:
        if kind == "int" and self._chance(0.3):
            return self._sized(place)
        if kind == "int" and self._chance(0.3):
            of = self._any("int", place)
            return Piece("-" + (self._at(MEMBER, of) if of.text[0] != "-" else f"({of.text})"), UNARY)
        text = self._at(SUM, self._any(kind, place))
        for _ in range(self.random.choice([1, 1, 2, 3])):
            text += self._spaced(self.random.choice("+-")) + self._at(UNARY, self._any(kind, place))
        return Piece(text, SUM)

    def _sized(self, place: Place) -> Piece:
        of = self._any("text", place) if self._chance(0.5) else Piece(self._list(place)[1], MEMBER)
        return Piece(f"size({of.text})" if self._chance(0.5) else f"{self._at(MEMBER, of)}.size()", MEMBER)

    def _leaf(self, kind: str, place: Place) -> Piece:
        if place.variable is not None and place.variable[1] == kind and self._chance(0.6):
            return Piece(place.variable[0], MEMBER)
        reads = self._readable(SINGLE[kind], place)
        if reads and self._chance(0.6):
            return Piece(self.random.choice(reads).path, MEMBER)
        text = self._literal(kind)
        return Piece(text, UNARY if text.startswith("-") else MEMBER)

    def _list(self, place: Place) -> tuple[str, str]:
        kind = self.random.choice([kind for kind in KINDS if LISTS[kind]])
        return kind, self.random.choice(self._readable(LISTS[kind], place)).path

    def _readable(self, reads: list[Read], place: Place) -> list[Read]:
        careless = self._chance(0.01)
        return [read for read in reads if careless or place.present.issuperset(read.needs)]

    def _literal(self, kind: str) -> str:
        match kind:
            case "bool":
                return self.random.choice(["true", "false"])
            case "int":
                return str(self.random.choice(INTS))
            case "duration":
                return f"duration({self._quoted(self.random.choice(DURATION_TEXTS))})"
            case "text":
                return self._quoted(self.random.choice(TEXTS))
            case _:
                return self._quoted(self.random.choice(WORDS[kind]))

    def _quoted(self, text: str) -> str:
        quote = self.random.choice("\"'")
        return quote + "".join(self._written(character, quote) for character in text) + quote

    def _written(self, character: str, quote: str) -> str:
        short = {"\n": r"\n", "\t": r"\t", "\\": r"\\", quote: "\\" + quote}
        if character in short:
            return short[character]
        if character < " " or (character < "\uffff" and self._chance(0.05)):
            code = f"{ord(character):04x}"
            return r"\u" + (code.upper() if self._chance(0.5) else code)
        return "\\" + character if character in "\"'" and self._chance(0.5) else character

    # What the conditions are asked about.

    def values(self, *, optional_faults: float = 0) -> dict[str, Any]:
        """A value for each member of the schema, or a fault; an optional one may be absent.

        Single optional values are in fault so often as it says; all of a root are now and then.
        """
        self._optional_faults = optional_faults
        one = self._value
        ticket = {
            "state": one("state"), "points": one("int"), "note": self._unless_absent(self._plain("text")),
            "parent": self._unless_absent({"id": one("int")}),
        }  # fmt: skip
        optional = {
            "flag": self._plain("bool"), "count": self._plain("int"), "name": self._plain("text"),
            "net": self._plain("net"), "names": self._items("text"), "ticket": ticket,
        }  # fmt: skip
        return {
            "ctx": {
                "mfa": one("bool"), "on_call": one("bool"), "risk": one("int"), "least": one("int"),
                "age": one("duration"), "limit": one("duration"), "note": one("text"), "short": one("text"),
                "net": one("net"), "zone": one("zone"), "flags": one("bool", many=True),
                "counts": one("int", many=True), "ages": one("duration", many=True), "names": one("text", many=True),
                "nets": one("net", many=True),
                "device": FAULT if self._chance(0.05) else {"id": one("text"), "level": one("int")},
            },
            "req": {"labels": {"env": one("env", many=True), "k8s.io/name": one("text", many=True)}},
            "opt": FAULT if self._chance(0.05) else {n: self._unless_absent(v) for n, v in optional.items()},
            "span": FAULT if self._chance(0.05) else {"age": self._unless_absent(self._plain("duration"))},
        }  # fmt: skip

    def _value(self, kind: str, *, many: bool = False) -> Any:
        if self._chance(0.15):
            return FAULT
        return self._items(kind) if many else self._plain(kind)

    def _plain(self, kind: str) -> Any:
        pools: dict[str, list[Any]] = {"bool": [True, False], "int": INTS, "duration": DURATIONS, "text": TEXTS_GIVEN}
        return self.random.choice(pools.get(kind) or WORDS[kind])

    def _items(self, kind: str) -> tuple[Any, ...]:
        return tuple(self._plain(kind) for _ in range(self.random.choice([0, 1, 1, 2, 3, 5])))

    def _unless_absent(self, value: Any) -> Any:
        if self._chance(self._optional_faults):
            return FAULT
        return ABSENT if self._chance(0.3) else value

    def spoiled(self, text: str) -> str:
        """The condition with a few tokens taken, doubled, swapped or replaced, most often by others of their kind."""
        tokens = TOKEN.findall(text)
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            at = self.random.randrange(len(tokens))
            match self.random.choice(["take", "double", "swap", *["replace"] * 7]):
                case "take" if len(tokens) > 1:
                    del tokens[at]
                case "double":
                    tokens.insert(at, tokens[at])
                case "swap":
                    other = self.random.randrange(len(tokens))
                    tokens[at], tokens[other] = tokens[other], tokens[at]
                case _:
                    kinds = [kind for kind in OTHERS if tokens[at] in kind] or OTHERS
                    tokens[at] = self.random.choice(self.random.choice(kinds))
        return " ".join(tokens)


TOKEN = re.compile(r"""[A-Za-z_]\w*|\d\w*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|&&|\|\||[=!<>]=|\S""")
OTHERS = [
    ["&&", "||"],
    ["==", "!=", "<", "<=", ">", ">=", "in"],
    ["+", "-"],
    ["+", "-", "!"],
    ["(", ")", "[", "]", ".", ",", "?", ":"],
    ["true", "false", "null", "0", "-1", "9223372036854775807", "9223372036854775808", "1u", "1.0"],
    ["''", "'corp'", '"open"', "'prod'", "'a'", "'1m'", "b''"],
    ["has", "size", "duration", "type", "dyn", "int"],
    ["exists", "all", "exists_one", "map", "filter"],
    ["startsWith", "endsWith", "contains", "matches", "size"],
    ["ctx", "opt", "span", "req", "x", "_", "__result__", "item"],
    ["mfa", "on_call", "flag"],
    ["risk", "least", "count", "level", "points", "id"],
    ["age", "limit"],
    ["note", "short", "id", "name", "net", "zone", "state"],
    ["counts", "names", "flags", "ages", "nets", "env", "labels"],
    ["ticket", "parent", "device"],
]

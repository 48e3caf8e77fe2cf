"""From tokens to a syntax tree, by one function for each rule of the grammar.

    expr    = and { "||" and } ;            and  = rel { "&&" rel } ;
    rel     = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") sum ] ;
    sum     = unary { ("+" | "-") unary } ; unary = { "!" } member | [ "-" ] member ;
    member  = primary { "." NAME [ "(" [ args ] ")" ] | "[" STRING "]" } ;
    primary = INT | STRING | "true" | "false" | NAME [ "(" args ")" ] | "(" expr ")" | "[" [ literals ] "]" ;

Depth is checked before anything is descended into, so that no text can exhaust the stack.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from loglease.policy.conditions.errors import ConditionRefused
from loglease.policy.conditions.lexing import Token, tokens_of
from loglease.policy.conditions.syntax import (
    Binary,
    Call,
    Chain,
    Expression,
    Literal,
    Literals,
    Name,
    Select,
    Unary,
)
from loglease.policy.conditions.values import MOST

MAX_DEPTH: Final = 24
RELATIONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
RESERVED: Final = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "null", "return", "var", "void", "while",
})  # fmt: skip
_BOOLS: Final = frozenset({"true", "false"})
_WORDS: Final = _BOOLS | {"in"}
_SUMS: Final = frozenset({"+", "-"})
_MEMBERS: Final = frozenset({".", "["})


def parsed(text: str) -> Expression:
    """Read a condition.

    Raises:
        ConditionRefused: P200, not in the grammar; P201, over a limit; P202, a number out of range; P209, a reserved
            word.
    """
    parser = _Parser(tokens_of(text))
    found = parser.expression(0)
    parser.finish()
    return found


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._next = tokens[0]

    def _taken(self) -> Token:
        token = self._next
        self._at += 1
        self._next = self._tokens[self._at]  # there is one: no rule takes the end
        return token

    def _is(self, sign: str) -> bool:
        return self._next.sign == sign

    def _is_one_of(self, signs: Collection[str]) -> bool:
        return self._next.sign in signs

    def _expected(self, sign: str) -> Token:
        if not self._is(sign):
            raise self._unexpected(f"{sign!r} is missing")
        return self._taken()

    def _unexpected(self, why: str, remedy: str | None = None) -> ConditionRefused:
        token = self._next
        found = "the condition ends here" if token.kind == "end" else f"found {token.text[:40]!r}"
        return ConditionRefused("P200", token.start, token.end, f"{why}: {found}", remedy)

    def _deeper(self, depth: int) -> int:
        if depth >= MAX_DEPTH:
            token = self._next
            raise ConditionRefused(
                "P201", token.start, token.end, f"the condition nests more than {MAX_DEPTH} deep", "write it flatter"
            )
        return depth + 1

    def finish(self) -> None:
        """Make sure that nothing is left."""
        if self._next.kind != "end":
            remedy = "comparisons do not chain: join two with &&" if self._is_one_of(RELATIONS) else None
            raise self._unexpected("the condition goes on behind its end", remedy)

    def expression(self, depth: int) -> Expression:
        """Read operands of ``||``."""
        return self._chain("||", depth)

    def _chain(self, op: str, depth: int) -> Expression:
        items = [self._operand(op, depth)]
        while self._is(op):
            self._taken()
            items.append(self._operand(op, depth))
        if len(items) == 1:
            return items[0]
        return Chain(op=op, items=tuple(items), start=items[0].start, end=items[-1].end)

    def _operand(self, op: str, depth: int) -> Expression:
        return self._chain("&&", depth) if op == "||" else self._relation(depth)

    def _relation(self, depth: int) -> Expression:
        left = self._sum(depth)
        if not self._is_one_of(RELATIONS):
            return left
        op = self._taken().text
        right = self._sum(depth)
        if self._is_one_of(RELATIONS):
            raise self._unexpected("comparisons do not chain", "join two with &&")
        return Binary(op=op, left=left, right=right, start=left.start, end=right.end)

    def _sum(self, depth: int) -> Expression:
        left = self._unary(depth)
        while self._is_one_of(_SUMS):
            depth = self._deeper(depth)
            op = self._taken().text
            right = self._unary(depth)
            left = Binary(op=op, left=left, right=right, start=left.start, end=right.end)
        return left

    def _unary(self, depth: int) -> Expression:
        if self._is("!"):
            inside = self._deeper(depth)
            token = self._taken()
            of = self._unary(inside) if self._is("!") else self._member(inside)
            return Unary(op="!", of=of, start=token.start, end=of.end)
        if not self._is("-"):
            return self._member(depth)
        token = self._taken()
        if self._next.kind == "number":
            number = self._taken()
            literal = Literal(value=-int(number.value), start=token.start, end=number.end)
            return self._members(literal, depth)
        of = self._member(depth)
        return Unary(op="-", of=of, start=token.start, end=of.end)

    def _member(self, depth: int) -> Expression:
        return self._members(self._primary(depth), depth)

    def _members(self, found: Expression, depth: int) -> Expression:
        while self._is_one_of(_MEMBERS):
            depth = self._deeper(depth)
            if self._taken().text == "[":
                found = self._indexed(found)
                continue
            name = self._name("a member")
            if self._is("("):
                found = self._call(name, found, depth)
            else:
                found = Select(of=found, name=name.text, start=found.start, end=name.end)
        return found

    def _indexed(self, of: Expression) -> Expression:
        key = self._next
        if key.kind != "text":
            raise self._unexpected("only a text stands in brackets", 'like req.labels["k8s.io/name"]')
        self._taken()
        end = self._expected("]").end
        return Select(of=of, name=str(key.value), indexed=True, start=of.start, end=end)

    def _name(self, what: str) -> Token:
        token = self._next
        if token.kind != "name" or token.text in _WORDS:
            raise self._unexpected(f"{what} is missing")
        if token.text in RESERVED:
            raise ConditionRefused("P209", token.start, token.end, f"{token.text!r} is a reserved word of CEL")
        return self._taken()

    def _primary(self, depth: int) -> Expression:
        token = self._next
        if token.kind in {"number", "text"} or self._is_one_of(_BOOLS):
            return self._literal()
        if token.kind == "name":
            name = self._name("an expression")
            if self._is("("):
                return self._call(name, None, depth)
            return Name(name=name.text, start=name.start, end=name.end)
        if self._is("("):
            inside = self._deeper(depth)
            self._taken()
            found = self.expression(inside)
            return replace(found, start=token.start, end=self._expected(")").end)
        if self._is("["):
            return self._list()
        raise self._unexpected("an expression is missing")

    def _literal(self) -> Literal:
        negative = self._taken() if self._is("-") else None
        token = self._next
        if token.kind == "number":
            number = int(token.value)
            if negative is None and number > MOST:
                raise ConditionRefused("P202", token.start, token.end, "the number is too large", f"at most {MOST}")
            self._taken()
            start = token.start if negative is None else negative.start
            return Literal(value=number if negative is None else -number, start=start, end=token.end)
        if negative is None and token.kind == "text":
            self._taken()
            return Literal(value=str(token.value), start=token.start, end=token.end)
        if negative is None and self._is_one_of(_BOOLS):
            self._taken()
            return Literal(value=token.text == "true", start=token.start, end=token.end)
        raise self._unexpected("a literal is missing", "lists hold texts, numbers, true and false")

    def _list(self) -> Literals:
        start = self._taken().start
        items: list[Literal] = []
        while not self._is("]"):
            if items:
                self._expected(",")
            items.append(self._literal())
        return Literals(items=tuple(items), start=start, end=self._taken().end)

    def _call(self, name: Token, receiver: Expression | None, depth: int) -> Call:
        inside = self._deeper(depth)
        self._taken()
        arguments: list[Expression] = []
        while not self._is(")"):
            if arguments:
                self._expected(",")
            arguments.append(self.expression(inside))
        start = name.start if receiver is None else receiver.start
        return Call(
            receiver=receiver, name=name.text, arguments=tuple(arguments), name_start=name.start, start=start,
            end=self._taken().end,
        )  # fmt: skip

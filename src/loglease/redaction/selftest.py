"""The self-test of a plan: every example and non-example of every rule, on this machine, through its engine.

A rule's example has to fire its tripwire and be found in exactly the marked ranges; a non-example has to be left alone.
One disguise of each kind proves the decoded views.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from loglease.redaction.blocks import BlockMatcher, BlockState
from loglease.redaction.engine import ENGINES, Engine, engine_named
from loglease.redaction.errors import Withheld
from loglease.redaction.plan import Plan, compiled, scanner_of
from loglease.redaction.profile import Profile
from loglease.redaction.result import Counters
from loglease.redaction.rules import BlockRule, Pack, Rule
from loglease.redaction.scanning import confirmed, edits_of, lines_hit
from loglease.redaction.tokens import KEY_BYTES, Keys

# One secret in each kind of disguise; `credentials` finds them all.
DISGUISED: Final = (
    b"GET /login?password%3Dhunter2horse HTTP/1.1",
    b'{"msg":"{\\"password\\":\\"hunter2horse\\"}"}',
    b"pass\\u0077ord=hunter2horse",
    b"pass\\x77ord=hunter2horse",
    b"pass&#119;ord=hunter2horse",
    b"pass\x1b[31mword=hunter2horse",
    b"pass\xe2\x80\x8bword=hunter2horse",
)
_HIDDEN: Final = b"hunter2horse"


@lru_cache(maxsize=32)
def _proved(profiles: tuple[Profile, ...], packs: tuple[Pack, ...], engine: str, marker: bytes) -> Plan:
    return _checked_plan(profiles, packs, engine_named(engine), marker)


def _checked_plan(profiles: Sequence[Profile], packs: Sequence[Pack], engine: Engine, marker: bytes) -> Plan:
    plan = compiled(profiles, packs, engine=engine, marker=marker)
    try:
        prove(plan)
    except Withheld as fault:
        # An engine that fails on the examples has not passed, either.
        raise Withheld("selftest_failed", rule=fault.rule) from None
    return plan


def plan_of(profiles: Sequence[Profile], packs: Sequence[Pack], *, engine: Engine, marker: bytes) -> Plan:
    """Return a plan that passed its self-test; equal arguments share one.

    Raises:
        Withheld: ``profile_invalid`` or ``selftest_failed``, naming the rule.
        EngineUnavailable: the engine does not work here.
    """
    if ENGINES.get(engine.name) is not engine:
        return _checked_plan(profiles, packs, engine, marker)
    return _proved(tuple(profiles), tuple(packs), engine.name, marker)


def prove_again() -> None:
    """Forget which plans have passed their self-test: the next of each is compiled anew and has to pass it again."""
    _proved.cache_clear()
    scanner_of.cache_clear()


def prove(plan: Plan) -> None:
    """Run the self-test.

    Raises:
        Withheld: ``selftest_failed``, naming the rule that failed.
    """
    for miss in misses(plan):
        raise Withheld("selftest_failed", rule=miss.rule.id)
    if any(one.rule.id == "credentials.password" for one in plan.active):
        _prove_disguises(plan)


@dataclass(frozen=True, slots=True)
class Miss:
    """An example that a rule does not treat as it says.

    Attributes:
        wanted: whether it is an example; else a non-example.
        number: its place in its list, from 0.
        found: the ranges that the rule finds in it; None if its tripwire does not fire.
    """

    rule: Rule
    wanted: bool
    number: int
    example: Example
    found: tuple[tuple[int, int], ...] | None


def misses(plan: Plan) -> Iterator[Miss]:
    """Yield every example of a plan's rules that is not found as it is marked, and each non-example that is.

    Raises:
        Withheld: the engine failed.
    """
    for wanted in (True, False):
        cases = [
            (number, place, example_of(marked))
            for number, one in enumerate(plan.active)
            for place, marked in enumerate(one.rule.examples if wanted else one.rule.non_examples)
        ]
        lines = lines_hit(b"".join(example.text + b"\n" for _, _, example in cases) + plan.canary, plan)
        at = 0
        for number, place, example in cases:
            line, rule = lines.get(at), plan.active[number].rule
            where = line.rules.get(number) if line is not None else None
            found = (
                _found(rule, example.text, {number: where}, at, plan) if where is not None else _unfound(rule, example)
            )
            if (found or ()) != (example.ranges if wanted else ()):
                yield Miss(rule, wanted, place, example, found)
            at += len(example.text) + 1


def _found(
    rule: Rule, text: bytes, where: dict[int, tuple[int, int]], at: int, plan: Plan
) -> tuple[tuple[int, int], ...]:
    if isinstance(rule, BlockRule):
        return tuple(BlockMatcher(rule).line(text, BlockState()))
    return tuple(find[:2] for find in confirmed(text, where, at, plan))


def _unfound(rule: Rule, example: Example) -> tuple[tuple[int, int], ...] | None:
    """Tell a text without a word that has to stand before the rule's matches from one in which no tripwire fires."""
    is_apart = rule.scanned != rule.tripwire and re.search(rule.tripwire.encode(), example.text)
    return () if is_apart else None


def _prove_disguises(plan: Plan) -> None:
    text = b"".join(one + b"\n" for one in DISGUISED)
    edits = edits_of(
        text,
        plan=plan.for_values(),
        keys=Keys(bytes(KEY_BYTES)),
        state=BlockState(),
        keep_tokens=False,
        counters=Counters(),
    )
    left = text
    for edit in reversed(edits):
        left = left[: edit.start] + left[edit.end :]
    if _HIDDEN in left:
        raise Withheld("selftest_failed", rule="credentials.password")


class Example(NamedTuple):
    """A text and the ranges in it that a rule has to find."""

    text: bytes
    ranges: tuple[tuple[int, int], ...]


def example_of(marked: str) -> Example:
    """Read an example: «…» marks what is masked."""
    text = b""
    ranges: list[tuple[int, int]] = []
    start = 0
    for part in _parts(marked):
        if part == "«":
            start = len(text)
        elif part == "»":
            ranges.append((start, len(text)))
        else:
            text += part.encode()
    return Example(text, tuple(ranges))


def _parts(marked: str) -> Iterator[str]:
    word = ""
    for char in marked:
        if char in "«»":
            yield word
            yield char
            word = ""
        else:
            word += char
    yield word

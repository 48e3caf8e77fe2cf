"""Every condition that is accepted is CEL and means the same there: asked of Google's CEL, which is written in C++.

`CEL_ROUNDS` says how many conditions are compared, each over two sets of values, and draws them from a new seed, which
is printed; `CEL_SEED` repeats one. What the comparison takes care of:

- Values that are always there are variables of a type with dots in their names, since maps of any type refuse
  durations. Optional ones live in maps, since `has()` of a variable is no question of whether it is there.
- A fault is a variable, or a key of a map, that is left out. An optional value that is left out is absent, so that faults
  of single optional values are tried in `test_faults`, without CEL.
- An error is an object that is true, so that the type of an answer is looked at first.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from random import SystemRandom
from typing import Any

import pytest
from tests.policy.conditions.drawn import Drawing
from tests.policy.conditions.facts import ABSENT, SCHEMA, VALUES, condition, refusal
from tests.policy.conditions.test_accepted import EXAMPLES
from tests.policy.conditions.test_faults import OVERFLOWS
from tests.policy.conditions.test_guards import GUARDED
from tests.policy.conditions.test_limits import DEEPEST
from tests.volume import volume

from loglease.policy.conditions import Condition, ConditionRefused, Fault, Listed, Record, Type
from loglease.policy.conditions.types import Bool, Duration, Int

try:
    from cel_expr_python import cel
except ImportError:
    cel = None

pytestmark = pytest.mark.skipif(
    cel is None,
    reason="ABSENT: cel-expr-python, so conditions are not compared with Google's CEL. It has no wheel here.",
)
ROUNDS = int(os.environ.get("CEL_ROUNDS", volume(3_000, 20000)))
SHARES = 4
SEED = os.environ.get("CEL_SEED") or (str(SystemRandom().randrange(10**9)) if "CEL_ROUNDS" in os.environ else "0")


def type_in_cel(kind: Type) -> Any:
    match kind:
        case Bool():
            return cel.Type.BOOL
        case Int():
            return cel.Type.INT
        case Duration():
            return cel.Type.DURATION
        case Listed(of=of):
            return cel.Type.List(type_in_cel(of))
        case _:
            return cel.Type.STRING


def members(kind: Type, name: str) -> Mapping[str, Type]:
    assert isinstance(kind, Record)
    return {f"{name}{member}": field.type for member, field in kind.fields.items()}


def declared() -> dict[str, Any]:
    """The variables of the schema in `facts`: `ctx.mfa`, `ctx.device.id`, maps `req.labels`, `opt` and `span`."""
    roots = members(SCHEMA, "")
    always = {**members(roots["ctx"], "ctx.")}
    always |= members(always.pop("ctx.device"), "ctx.device.")
    texts = cel.Type.List(cel.Type.STRING)
    return {name: type_in_cel(kind) for name, kind in always.items()} | {
        "req.labels": cel.Type.Map(cel.Type.STRING, texts),
        "opt": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "span": cel.Type.Map(cel.Type.STRING, cel.Type.DURATION),
    }


def value_in_cel(kind: Type, value: Any) -> Any:
    match kind:
        case Duration():
            return timedelta(microseconds=value)
        case Listed(of=of):
            return [value_in_cel(of, one) for one in value]
        case Record(fields=fields):
            there = {name: one for name, one in value.items() if one is not ABSENT and not isinstance(one, Fault)}
            return {name: value_in_cel(fields[name].type, one) for name, one in there.items()}
        case _:
            return value


def given(roots: Mapping[str, Any]) -> dict[str, Any]:
    """What CEL is given for values: variables as `declared`, without those in fault."""
    known = {name: value for name, value in roots.items() if not isinstance(value, Fault)}
    plain = value_in_cel(SCHEMA, known)
    always = {f"ctx.{name}": value for name, value in plain["ctx"].items()}
    device = always.pop("ctx.device", {})
    always |= {f"ctx.device.{name}": value for name, value in device.items()}
    maps = {name: plain[name] for name in ("opt", "span") if name in plain}
    return always | {"req.labels": plain["req"]["labels"]} | maps


@pytest.fixture(scope="module")
def world() -> Any:
    return cel.NewEnv(variables=declared())


def by_cel(compiled: Any, roots: Mapping[str, Any]) -> bool | str:
    found = compiled.eval(data=given(roots))
    if found.type() == cel.Type.ERROR:
        return "fault"
    assert found.type() == cel.Type.BOOL, found.type()
    value: bool = found.value()
    return value


def by_us(accepted: Condition, roots: Mapping[str, Any]) -> bool | str:
    found = accepted.answer(roots)
    return "fault" if isinstance(found, Fault) else found


def compare(world: Any, text: str, all_roots: list[dict[str, Any]]) -> list[bool | str]:
    """Ask both about a condition that is accepted; the answer is what both say."""
    accepted = condition(text)
    try:
        compiled = world.compile(text)
    except Exception as refused:
        raise AssertionError(f"accepted, but no CEL: {text!r}: {refused}") from refused
    said = []
    for roots in all_roots:
        ours, theirs = by_us(accepted, roots), by_cel(compiled, roots)
        assert ours == theirs, f"{text!r} is {ours}, in CEL {theirs}, for {roots}"
        said.append(ours)
    return said


@pytest.mark.volume
@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_accepted_is_cel_and_means_the_same(world: Any, share: int) -> None:
    seed = f"{SEED}/{share}"
    drawing, said = Drawing(seed), Counter[str]()
    while said["compared"] < ROUNDS // SHARES:
        text = drawing.condition()
        kind = "drawn"
        if said["drawn"] % 4 == 3:
            text, kind = drawing.spoiled(text), "spoiled"
        said["drawn"] += 1
        try:
            answers = compare(world, text, [drawing.values(), drawing.values()])
        except ConditionRefused as refused:
            said[f"{kind}, {refused.code}"] += 1
            continue
        except AssertionError as differs:
            raise AssertionError(f"CEL_SEED={SEED}, share {share}: {differs}") from differs
        said.update(["compared", f"{kind}, accepted", *(str(answer).lower() for answer in answers)])
    print(f"CEL_SEED={SEED}, share {share}: {dict(sorted(said.items()))}")  # noqa: T201 - pytest shows it with -s, and when it fails
    assert said["drawn, accepted"] > said["drawn"] * 0.5, said
    assert said["spoiled, accepted"] > said["drawn"] * 0.02, said
    for answer in ("true", "false", "fault"):
        assert said[answer] > said["compared"] * 0.1, said


FIXED = [
    *(text for text, _ in EXAMPLES if "ctx.device[" not in text),
    *GUARDED,
    *DEEPEST,
    *(text.format(overflow) for overflow in OVERFLOWS for text in ("{} < 0", "{} < 0 || true", "false && {} < 0")),
    "&&".join(["1<2"] * 500),
    "||".join(["false"] * 580),
    f"ctx.note != '{'a' * 4080}'",
]


@pytest.mark.parametrize("text", FIXED, ids=lambda text: ascii(text)[:60])
def test_the_examples_are_cel_and_mean_the_same(world: Any, text: str) -> None:
    drawing = Drawing(text)
    compare(world, text, [VALUES, *(drawing.values() for _ in range(10))])


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775808 > 1", "-(9223372036854775808) < 1", "-9223372036854775809 < 1",
        "ctx.flags.exists(__result__, __result__)", "has(opt['ticket'])", "has(opt)", "has(1)", "ctx.risk", "ctx.mfa = true",
        "1 < ctx.mfa", "'a' in [1]", "-ctx.age < ctx.age", "ctx.note == 'a\nb'", r"ctx.note == '\d'", r"'\ud83d\ude00' == ''",
        "if == 1", "ctx.flags.exists(for, for)", "ctx.flags.exists(ctx.mfa, true)", "(true", "true)", "1 == 1.", "01 == 1u",
    ],
)  # fmt: skip
def test_what_cel_refuses_is_refused(world: Any, text: str) -> None:
    assert refusal(text)
    try:
        kind = world.compile(text).return_type()
    except Exception as refused:  # noqa: BLE001 - it has no narrower one
        assert "ERROR" in str(refused)
    else:
        assert kind != cel.Type.BOOL

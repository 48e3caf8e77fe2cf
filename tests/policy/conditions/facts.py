"""The schema that tests of conditions share, one value for each of its members, and short ways to ask."""

from __future__ import annotations

from typing import Any

from loglease.policy.conditions import (
    ABSENT,
    BOOL,
    DURATION,
    INT,
    Condition,
    ConditionRefused,
    Fault,
    Field,
    Listed,
    Record,
    Text,
    Type,
    compiled,
)

NET = frozenset({"corp", "vpn", "other"})
ZONE = frozenset({"corp", "vpn", "home"})
ENV = frozenset({"prod", "staging", "dev", "?"})
STATE = frozenset({"open", "in_progress", "closed"})
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def record(optional: bool = False, /, **members: Type) -> Record:
    return Record({name: Field(kind, optional) for name, kind in members.items()})


TICKET = Record({
    "state": Field(Text(words=STATE)),
    "points": Field(INT),
    "note": Field(Text(), optional=True),
    "parent": Field(record(id=INT), optional=True),
})  # fmt: skip
SCHEMA = record(
    ctx=record(
        mfa=BOOL, on_call=BOOL, risk=INT, least=INT, age=DURATION, limit=DURATION, note=Text(), short=Text(longest=10),
        net=Text(words=NET), zone=Text(words=ZONE), flags=Listed(BOOL), counts=Listed(INT, most=5),
        ages=Listed(DURATION), names=Listed(Text()), nets=Listed(Text(words=NET)), device=record(id=Text(), level=INT),
    ),
    req=record(labels=Record({"env": Field(Listed(Text(words=ENV))), "k8s.io/name": Field(Listed(Text()))})),
    opt=record(True, flag=BOOL, count=INT, name=Text(), net=Text(words=NET), names=Listed(Text()), ticket=TICKET),
    span=record(True, age=DURATION),
)  # fmt: skip
"""What is in `opt` and `span` is optional, as in `opt.ticket` the members `note` and `parent` are."""

PARENT: dict[str, Any] = {"id": 1}
OPEN_TICKET: dict[str, Any] = {"state": "open", "points": 8, "note": "late", "parent": PARENT}
VALUES: dict[str, Any] = {
    "ctx": {
        "mfa": True, "on_call": False, "risk": 20, "least": -(2**63), "age": 5 * MINUTE, "limit": 2 * HOUR,
        "note": "cards fail: é😀", "short": "", "net": "corp", "zone": "home", "flags": (True, False),
        "counts": (1, 5, 2**63 - 1), "ages": (), "names": ("pay-api", "pay-db"), "nets": ("vpn", "corp"),
        "device": {"id": "d-1", "level": 3},
    },
    "req": {"labels": {"env": ("prod", "?"), "k8s.io/name": ("api",)}},
    "opt": {"flag": True, "count": 3, "name": "maria", "net": "vpn", "names": ("a",), "ticket": OPEN_TICKET},
    "span": {"age": 30 * SECOND},
}  # fmt: skip


def values(**changed: Any) -> dict[str, Any]:
    """The values above, some of them changed: `ctx_risk=5`, `opt_ticket__state=…`, `opt=Fault(…)`."""
    made: dict[str, Any] = {root: dict(members) for root, members in VALUES.items()}
    for name, value in changed.items():
        root, _, member = name.partition("_")
        member, _, field = member.partition("__")
        if not member:
            made[root] = value
        elif not field:
            made[root][member] = value
        else:
            made[root][member] = {**made[root][member], field: value}
    return made


def condition(text: str) -> Condition:
    return compiled(text, SCHEMA)


def answer(text: str, **changed: Any) -> bool | str:
    """True, False, or "fault"."""
    found = condition(text).answer(values(**changed))
    return "fault" if isinstance(found, Fault) else found


def refusal(text: str) -> ConditionRefused:
    try:
        condition(text)
    except ConditionRefused as refused:
        return refused
    raise AssertionError(f"{text!r} was accepted")


FAULT = Fault("the provider is down")
__all__ = ["ABSENT", "FAULT", "SCHEMA", "VALUES", "answer", "condition", "refusal", "values"]

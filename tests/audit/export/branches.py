"""Every type of entry in all its branches: each optional field there and not there, each word of each closed set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.audit.drafts import draft

from loglease.audit.entry import entry_bytes
from loglease.audit.field_types import Field
from loglease.audit.interface import SYSTEM
from loglease.audit.types import ENTRY_TYPES, ON_TEXT, SHAPES, EntryType
from loglease.model.instant import parse_instant

AT = "2026-11-23T02:05:20.123456Z"
Values = dict[str, Any]


def entries() -> Iterator[bytes]:
    """All of them, as the log has them."""
    for kind in ENTRY_TYPES.values():
        yield from of_type(kind)


def of_type(kind: EntryType) -> list[bytes]:
    found = [
        entry_bytes(draft(1, type=kind.name, ref=ref, data=data), parse_instant(AT))
        for ref, data in [
            *((ref, full(kind.data)) for ref in objects(kind.ref)),
            *((full(kind.ref), data) for data in objects(kind.data)),
        ]
    ]
    smallest = {"type": kind.name, "ref": least(kind.ref), "data": least(kind.data)}
    found += [
        entry_bytes(draft(1, **smallest, **who), parse_instant(AT))
        for who in ({"actor": SYSTEM}, {"via": "sub_agent"}, {"actor": SYSTEM, "via": "sub_agent"})
    ]
    return list(dict.fromkeys(found))


def full(fields: tuple[Field, ...]) -> Values:
    return {field.name: values(field)[0] for field in fields}


def least(fields: tuple[Field, ...]) -> Values:
    return {field.name: values(field)[-1] for field in fields if not field.optional}


def objects(fields: tuple[Field, ...]) -> list[Values]:
    """All fields, the required ones only, each optional one alone and missing alone, each value of each field."""
    everything, required = full(fields), least(fields)
    found = [everything, required]
    for field in fields:
        if field.optional:
            found.append({**required, field.name: everything[field.name]})
            found.append({name: value for name, value in everything.items() if name != field.name})
        found += [{**everything, field.name: value} for value in values(field)]
    return found


def values(field: Field) -> list[Any]:
    """Values of a field, the fullest first, the barest last."""
    name, form = field.name, field.form
    if form == "#" or (form == "" and name.endswith(("_s", "_ms"))):
        return [2**53 - 1, -(2**53) + 1, 0]
    if form == "!":
        return [True, False]
    if form.startswith("{"):
        return form.strip("{}").split("|")
    if form.startswith(":["):
        inner = form[2:-1]
        items = shape(inner) if inner else [text(name)]
        return [items[:1], *([item] for item in items[1:]), items[:2], []]
    return shape(form[1:]) if form else [text(name), *([""] if text(name) == "x\u202ey" else [])]


def shape(name: str) -> list[Any]:
    if name == "On":
        return ON_TEXT.strip("{}").split("|")
    if name == "Plan":
        slots = {"from": ["role:x"], "need": 1}
        return [[slots, {"all_of": [slots]}, {"any_of": [slots, slots]}], []]
    return objects(SHAPES[name])


def text(name: str) -> str:
    if name.endswith("_at"):
        return AT
    if name.endswith("_ns"):
        return str(-(2**63))
    if name.endswith(("sha256", "_c")):
        return "0f" * 32
    return "x\u202ey"

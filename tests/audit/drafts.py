"""Entries for audit tests: simple ones, and a strategy that reaches every type and every key of the schema."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from loglease.audit.field_types import Field
from loglease.audit.interface import SYSTEM, Draft
from loglease.audit.types import ENTRY_TYPES, ON_TEXT, SHAPES
from loglease.model.ids import EntryId

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
integers = st.integers(-(2**53) + 1, 2**53 - 1)


def draft(number: int, **changes: Any) -> Draft:
    values: dict[str, Any] = {
        "id": EntryId(f"ent_{number:026d}"),
        "type": "request.approved",
        "actor": "sub_somebody",
        "ref": {"request": "req_1"},
        "data": {"digest_sha256": "a" * 64, "reviews": ["rev_1"]},
    }
    return Draft(**(values | changes))


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    kind = ENTRY_TYPES[draw(st.sampled_from(list(ENTRY_TYPES)))]
    return Draft(
        id=EntryId(f"ent_{draw(st.integers(0, 10**20)):026d}"),
        type=kind.name,
        actor=draw(st.sampled_from([SYSTEM, "sub_one", "sub_two"])),
        ref=draw(objects(kind.ref)),
        data=draw(objects(kind.data)),
        via=draw(st.none() | st.just("sub_agent")),
    )


def objects(fields: tuple[Field, ...]) -> st.SearchStrategy[dict[str, Any]]:
    required = {field.name: of_field(field) for field in fields if not field.optional}
    optional = {field.name: of_field(field) for field in fields if field.optional}
    return st.fixed_dictionaries(required, optional=optional)


def of_field(field: Field) -> st.SearchStrategy[Any]:
    """Read the written form again, independently of the checks that it compiles to."""
    name, form = field.name, field.form
    if form == "#" or (form == "" and name.endswith(("_s", "_ms"))):
        return integers
    if form == "!":
        return st.booleans()
    if form.startswith("{"):
        return st.sampled_from(form.strip("{}").split("|"))
    if form.startswith(":["):
        inner = form[2:-1]
        return st.lists(shape(inner) if inner else text(name), max_size=2)
    return shape(form[1:]) if form else text(name)


def shape(name: str) -> st.SearchStrategy[Any]:
    if name == "On":
        return st.sampled_from(ON_TEXT.strip("{}").split("|"))
    if name == "Plan":
        slots = objects(SHAPES["Slots"])
        joint = st.builds(lambda key, blocks: {key: blocks}, st.sampled_from(["all_of", "any_of"]), st.lists(slots))
        return st.lists(slots | joint, max_size=2)
    return objects(SHAPES[name])


def text(name: str) -> st.SearchStrategy[str]:
    if name.endswith("_at"):
        return st.just("2026-11-23T02:05:20.123456Z")
    if name.endswith("_ns"):
        return st.integers(-(2**63), 2**63).map(str)
    if name.endswith(("sha256", "_c")):
        return digests
    return texts

from __future__ import annotations

from pathlib import Path

import pytest

from loglease.audit import types
from loglease.audit.reference import reference_text
from loglease.audit.types import ENTRY_TYPES, SHAPES
from loglease.model.access_request import CancelWhy
from loglease.model.grant import EndWhy
from loglease.model.hold import LockKind, SuspendCause
from loglease.model.principal import Kind
from loglease.model.review import Channel, Verdict
from loglease.model.session import CloseWhy, Front, SessionKind

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "audit-entries.md"
CAUSES = {*SuspendCause, "lock"}


def words(name: str, field: str) -> set[str]:
    (found,) = [one.form for one in ENTRY_TYPES[name].data if one.name == field]
    return set(found.strip("{}").split("|"))


@pytest.mark.parametrize(
    ("name", "field", "model"),
    [
        ("session.closed", "why", set(CloseWhy)),
        ("session.opened", "kind", set(SessionKind)),
        ("session.opened", "front", set(Front)),
        ("grant.ended", "why", set(EndWhy)),
        ("request.cancelled", "why", set(CancelWhy)),
        ("review.given", "verdict", set(Verdict)),
        ("review.given", "channel", set(Channel)),
        ("policy.reviewed", "verdict", set(Verdict)),
        ("policy.reviewed", "channel", set(Channel)),
        ("principal.added", "kind", set(Kind)),
        ("grant.suspended", "cause", CAUSES),
        ("grant.resumed", "cause", CAUSES),
    ],
)
def test_closed_sets_are_those_of_the_model(name: str, field: str, model: set[str]) -> None:
    assert words(name, field) == {str(word) for word in model}


def test_what_can_be_locked_can_be_recorded() -> None:
    assert set(types.ON_TEXT.strip("{}").split("|")) == {str(kind) for kind in LockKind}


def test_names_are_a_noun_and_a_past_participle() -> None:
    assert len(ENTRY_TYPES) == 82
    for name, kind in ENTRY_TYPES.items():
        noun, _, verb = name.partition(".")
        assert noun
        assert verb
        assert kind.name == name
        assert 100_000 <= kind.type_uid <= 699_999


def test_every_shape_is_used() -> None:
    text = types.ENTRY_TYPES_TEXT + "".join(types.SHAPES_TEXT.values())
    for name in SHAPES:
        assert f":{name}" in text or f"[{name}]" in text or name == "Slots", name


def test_the_reference_is_current() -> None:
    assert PAGE.read_text() == reference_text(), (
        "run: python -m loglease.audit.reference > docs/reference/audit-entries.md"
    )

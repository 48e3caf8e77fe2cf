"""What the names of logs say of their generations; how heads are read and signed stands in `test_note`."""

from __future__ import annotations

import pytest

from loglease.audit.checkpoint import generation_of, is_later, next_origin


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("a/b/1", ("a/b", 1)),
        ("a/12", ("a", 12)),
        ("a/0", None),
        ("a/01", None),
        ("a", None),
        ("/1", None),
        ("a/x", None),
    ],
)
def test_generations_of_names(origin: str, found: tuple[str, int] | None) -> None:
    assert generation_of(origin) == found


def test_the_next_name_is_later() -> None:
    assert next_origin("a/b/9") == "a/b/10"
    assert next_origin("a") is None
    assert is_later("a/b/10", "a/b/9")
    assert not is_later("a/b/9", "a/b/9")
    assert not is_later("a/b/9", "a/b/10")
    assert not is_later("a/c/10", "a/b/9")
    assert not is_later("a/b/10", "unknown")
    assert not is_later("unknown", "a/b/9")
    assert next_origin("a/b/0") is None

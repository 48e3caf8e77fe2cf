"""Which redaction profile is stricter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.policy.world import PROFILES

from loglease.policy.profiles import RAW, ProfileInfo, below, is_as_strict, known_profile, strictest

NAMES = st.sampled_from(sorted(PROFILES))


def test_strictness_is_followed_through() -> None:
    assert below("strict", PROFILES) == {"pii-default", "secrets"}
    assert is_as_strict("strict", "secrets", PROFILES)
    assert not is_as_strict("secrets", "strict", PROFILES)
    assert is_as_strict("odd", RAW, PROFILES)
    assert not is_as_strict(RAW, "odd", PROFILES)


def test_where_none_is_the_strictest_there_is_none() -> None:
    assert strictest(["odd", "secrets"], PROFILES) is None
    assert strictest(["odd", RAW], PROFILES) == "odd"
    assert strictest(["secrets", "strict", "pii-default"], PROFILES) == "strict"
    assert strictest([], PROFILES) is None


@given(st.lists(NAMES, min_size=1))
def test_the_strictest_is_as_strict_as_each(names: list[str]) -> None:
    chosen = strictest(names, PROFILES)
    if chosen is not None:
        assert chosen in names
        assert all(is_as_strict(chosen, name, PROFILES) for name in names)


def test_versions() -> None:
    assert known_profile("pii-default", PROFILES) == known_profile("pii-default@7", PROFILES)
    assert known_profile("pii-default@6", PROFILES) is None
    assert known_profile("missing", PROFILES) is None
    assert PROFILES["pii-default"].pinned == "pii-default@7"


def test_a_circle_ends() -> None:
    circle = {"a": ProfileInfo("a", "1", frozenset({"b"})), "b": ProfileInfo("b", "1", frozenset({"a"}))}
    assert below("a", circle) == {"b"}

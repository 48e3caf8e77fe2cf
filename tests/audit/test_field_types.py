from __future__ import annotations

from typing import Any

import pytest

from loglease.audit.field_types import Shapes, object_check

GOOD: dict[str, list[Any]] = {
    "name": ["", "x" * 512, "é" * 256],
    "name#": [0, -(2**53) + 1, 2**53 - 1],
    "name!": [True, False],
    "name{a|b_c}": ["a", "b_c"],
    "made_at": [
        "2026-11-23T02:05:20.123456Z",
        "1970-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
        "2028-02-29T12:30:00.000001Z",
        "2026-10-29T19:09:10.000000Z",
    ],
    "length_s": [0, 60],
    "skew_ms": [-5],
    "first_ns": ["0", "-1", "1796000000000000000"],
    "some_sha256": ["0123456789abcdef" * 4],
    "sha256": ["f" * 64],
    "reason_c": ["f" * 64],
    "names:[]": [[], ["a"], ("a", "b")],
    "rules_c:[]": [["f" * 64]],
    "one:{a, b#?}": [{"a": "x"}, {"a": "x", "b": 1}],
    "many:[{a}]": [[], [{"a": "x"}]],
}
BAD: dict[str, list[Any]] = {
    "name": [None, 1, "x" * 513, "é" * 257, b"x", "\ud800" * 200],
    "name#": [True, 1.0, "1", 2**53, -(2**53), None],
    "name!": [0, 1, "true", None],
    "name{a|b_c}": ["c", "", "a|b_c", None, ["a"]],
    "made_at": [
        "2026-11-23T02:05:20Z",
        "2026-11-23T02:05:20.123456+00:00",
        "",
        5,
        "2026-11-23T02:05:20.123456Z\n",
        "２０２６-11-23T02:05:20.123456Z",
        "1969-12-31T23:59:59.999999Z",
        "2026-00-23T02:05:20.123456Z",
        "2026-13-23T02:05:20.123456Z",
        "2026-11-00T02:05:20.123456Z",
        "2026-11-31T02:05:20.123456Z",
        "2026-11-32T02:05:20.123456Z",
        "2027-02-29T02:05:20.123456Z",
        "2026-11-23T24:05:20.123456Z",
        "2026-11-23T02:60:20.123456Z",
        "2026-11-23T02:05:60.123456Z",
    ],
    "length_s": ["60", 1.5, True],
    "first_ns": [5, "05", "-0", "+1", "1e9", "", "5\n", "1٢"],
    "some_sha256": ["F" * 64, "f" * 63, "f" * 65, b"f" * 64, "f" * 64 + "\n"],
    "sha256": ["", None],
    "reason_c": ["why not"],
    "names:[]": ["abc", {"a": 1}, [1], None],
    "rules_c:[]": [["x"]],
    "one:{a, b#?}": [{}, {"a": "x", "c": 1}, [], None, {"a": "x", "b": None}],
    "many:[{a}]": [{}, [{}], [{"a": 1}], ["a"]],
}


@pytest.mark.parametrize(("form", "value"), [(form, value) for form, values in GOOD.items() for value in values])
def test_what_fits(form: str, value: Any) -> None:
    (field,) = Shapes().fields(form)
    assert field.check(value) is None


@pytest.mark.parametrize(("form", "value"), [(form, value) for form, values in BAD.items() for value in values])
def test_what_does_not_fit(form: str, value: Any) -> None:
    (field,) = Shapes().fields(form)
    assert field.check(value) is not None


def test_a_fault_names_its_place() -> None:
    shapes = Shapes()
    shapes.object("Inner", "a, b#?")
    check = object_check(shapes.fields("list:[Inner], other?"))
    assert check({"list": [{"a": "x"}, {"a": "x", "b": "y"}]}) == ".list[1].b is no integer within ±(2^53−1)"
    assert check({"list": [{}]}) == ".list[0].a is missing"
    assert check({"list": [], "more": 1}) == ".more is not a key of it"
    assert check({}) == ".list is missing"


@pytest.mark.parametrize("text", ["Name", "name$", "na me#x", "name{}", "1a"])
def test_what_is_not_of_the_language(text: str) -> None:
    with pytest.raises(ValueError, match="is no field"):
        Shapes().fields(text)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(KeyError):
        Shapes().fields("a:Unknown")

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.logql.fields import Field, Found, fields_of


def fields(text: str, *, taken: frozenset[str] = frozenset(), rescan=lambda _, value: value) -> list[Found]:
    return list(fields_of(text, taken=taken, rescan=rescan))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("1", "-2"), "int"),
        (("1", "2.5"), "float"),
        (("1e3",), "float"),
        (("true", "False"), "boolean"),
        (("5ms", "1h2m", "0"), "duration"),
        (("5KiB", "12", "1.5 MB"), "bytes"),
        (("1", "x"), "string"),
        (("nan",), "string"),
        (("",), "string"),
        (("⟦email:q3f7k2p9xa⟧",), "string"),
    ],
)
def test_a_type_is_what_all_values_are(values: tuple[str, ...], kind: str) -> None:
    field = Field()
    assert [field.add(Found("name", value, "json")) for value in values] == [True] * len(values)
    assert (field.type, field.add(Found("name", values[0], "json"))) == (kind, False)


def test_json_is_tried_before_logfmt() -> None:
    assert fields('{"a":{"b.c":1,"d":null,"e":[1]},"f":true} x=1') == [
        Found("a_b_c", "1", "json", ("a", "b.c")),
        Found("f", "true", "json", ("f",)),
    ]
    assert fields('{"a":1, b=2') == [Found("b", "2", "logfmt")]
    assert fields('INFO took=5ms empty= msg="a b" took=6ms') == [
        Found("took", "5ms", "logfmt"),
        Found("msg", "a b", "logfmt"),
    ]


def test_a_name_that_a_label_has_is_extended() -> None:
    assert [one.name for one in fields('{"pod":"1","x":2}', taken=frozenset({"pod"}))] == ["pod_extracted", "x"]


def test_what_an_escape_hid_is_redacted_again_in_keys_and_values() -> None:
    def rescan(_: str, value: str) -> str:
        return value.replace("bob@example.com", "⟦email⟧")

    escaped = r"bob\u0040example.com"
    assert fields('{"mail":"' + escaped + '","' + escaped + '":1}', rescan=rescan) == [
        Found("mail", "⟦email⟧", "json", ("mail",)),
        Found("_email_", "1", "json", ("⟦email⟧",)),
    ]
    assert fields(f'mail="{escaped}"', rescan=rescan) == [Found("mail", "⟦email⟧", "logfmt")]


@given(st.dictionaries(st.text(alphabet="abc_", min_size=1), st.text() | st.integers() | st.booleans()))
def test_every_scalar_of_an_object_is_found_under_its_path(members: dict[str, str | int | bool]) -> None:
    found = {one.path: one.value for one in fields(json.dumps(members))}
    assert found == {(key,): value if isinstance(value, str) else json.dumps(value) for key, value in members.items()}


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert all(one.name for one in fields(text))
